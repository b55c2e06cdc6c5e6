"""Checks: whether a case is a plausible PET/CT; warnings with figures, and nothing is refused."""

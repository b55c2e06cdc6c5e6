"""Augmentation online: clicks, scribbles, PET/CT misalignment, strong changes of PET and CT."""

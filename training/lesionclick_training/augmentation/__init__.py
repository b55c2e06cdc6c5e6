"""Augmentation online: clicks and PET/CT misalignment."""

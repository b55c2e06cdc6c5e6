"""A case on disk: images, geometry, clicks, mask, datasets of cases. Loads neither torch nor nnU-Net."""

"""A model folder: its files, its weights, the U-Net, and the way between an image and the network's input."""

"""Inference: from a network's input to one logit a voxel, by tiles, passes and networks."""

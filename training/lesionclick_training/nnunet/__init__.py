"""nnU-Net's extension points: trainer, settings, plans, pretrained weights, the workspace."""

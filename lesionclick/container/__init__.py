"""What the inference image does: one case after the other, from a folder to its mask."""

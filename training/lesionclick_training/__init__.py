"""Training for LesionClick on nnU-Net's extension points: clicks, misalignment, organ supervision, data and phantoms."""

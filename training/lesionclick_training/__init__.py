"""Training for LesionClick on nnU-Net's extension points: clicks, misalignment, organs, data and phantoms."""

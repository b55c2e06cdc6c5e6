"""A digital whole-body PET/CT from a seed, to train on and to test with."""

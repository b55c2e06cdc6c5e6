"""Simulated readers: where they click and scribble."""

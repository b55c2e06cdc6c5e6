"""Cluster: work on the machines of a Ray cluster."""

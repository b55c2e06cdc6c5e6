"""Benchmarks: a program each, `python -m benchmarks.NAME --help`, that prints Markdown."""

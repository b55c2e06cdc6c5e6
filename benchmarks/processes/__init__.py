"""Processes: what benchmarks run apart from themselves, so that each starts fresh and has its own peak memory."""

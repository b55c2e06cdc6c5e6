"""Evaluation: metrics, simulated readers at work, the runner, tables, statistics and figures."""

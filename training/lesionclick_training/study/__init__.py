"""Studies: validation with clicks, and the paper's table in kind."""

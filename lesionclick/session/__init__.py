"""A session: one open case, predicted for any list of clicks."""

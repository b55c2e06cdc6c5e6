"""Cohort: many cases, segmented one after the other or on many machines at a time."""

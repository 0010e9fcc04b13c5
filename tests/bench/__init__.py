"""Costs of the server, as ratios to bare handlers in one run. Run with ``make bench``."""

"""Presets: saved settings of a model, one of them the default."""

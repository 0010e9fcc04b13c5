"""The configuration of a deployment: reading, validating and reloading it."""

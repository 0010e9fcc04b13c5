"""The configuration of a deployment: read, checked, taken again."""

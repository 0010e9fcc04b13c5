"""The entries of this plugin at its own extension points."""

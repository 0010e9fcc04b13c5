"""Routes of the plugin."""

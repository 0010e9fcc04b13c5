"""What this plugin itself offers at its extension points."""

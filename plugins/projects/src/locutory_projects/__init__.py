"""Projects: folders of conversations with their statistics."""

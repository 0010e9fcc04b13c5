"""What the service `CONVERSATIONS` offers beyond single saves, and the feed of changes."""

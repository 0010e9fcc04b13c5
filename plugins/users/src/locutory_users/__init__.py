"""What a signed-in user keeps: profile, terms, preferences, favourites, tool keys (user.md)."""

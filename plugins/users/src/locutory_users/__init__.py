"""The data of signed-in users: profile, terms, preferences, favourites, tool keys (user.md)."""

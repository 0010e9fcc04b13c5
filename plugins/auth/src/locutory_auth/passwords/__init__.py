"""Password hashes, and resetting passwords."""

"""What an agent consists of: checks of what users set, and what is derived from it."""

"""The API of a server, described."""

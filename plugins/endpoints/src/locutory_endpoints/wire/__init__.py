"""The line to a provider: connections, request bodies, streams, failures."""

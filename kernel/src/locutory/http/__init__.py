"""From a request to an endpoint and back."""

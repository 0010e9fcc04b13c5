"""What a chat request must pass before its turn starts."""

"""Second factor: codes of an authenticator app, and backup codes."""

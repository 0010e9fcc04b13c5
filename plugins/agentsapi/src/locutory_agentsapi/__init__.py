"""API keys, and the API that programs reach agents by."""

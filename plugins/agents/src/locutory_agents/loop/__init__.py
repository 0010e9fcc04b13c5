"""The agent loop: prompt, model calls, tool calls."""

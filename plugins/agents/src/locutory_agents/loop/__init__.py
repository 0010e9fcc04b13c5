"""The agent loop: whose model, prompt, model calls, tool calls. Knows neither chats nor stores."""

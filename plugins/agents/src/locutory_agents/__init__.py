"""Chat turns: the agent loop, resumable event streams, and the stores of running jobs."""

"""Lists of agents that a caller reaches."""

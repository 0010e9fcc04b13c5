"""One turn: its request, its life, what it records, and how it ends."""

"""Jobs: running turns, their records, event logs and stores."""

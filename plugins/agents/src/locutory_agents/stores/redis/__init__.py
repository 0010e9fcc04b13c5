"""Jobs of many workers, in Redis Streams."""

"""Where jobs live: the interface of a store, one in memory, one in Redis."""

"""Full-text search over the history: an index of its own, or Meilisearch."""

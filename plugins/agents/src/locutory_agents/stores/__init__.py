"""Stores of jobs: their interface, one in memory, one in Redis."""

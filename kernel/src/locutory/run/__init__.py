"""The life of a server: build, start-up phases, background work, shutdown."""

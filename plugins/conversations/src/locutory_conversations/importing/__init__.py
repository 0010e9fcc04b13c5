"""Imports: files of other programs, and of our own exports, as conversations."""

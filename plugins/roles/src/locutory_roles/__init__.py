"""Roles, their permissions and administrative capabilities."""

"""Accounts, sign-in with e-mail and password, sessions and access tokens (contract auth.md)."""

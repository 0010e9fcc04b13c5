"""Sign-in with names and passwords of an LDAP directory (contract oauth.md §7)."""

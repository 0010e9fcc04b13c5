"""Sign-in with names and passwords of an LDAP directory (contract oauth §7)."""

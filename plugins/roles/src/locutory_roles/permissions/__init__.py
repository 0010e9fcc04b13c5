"""The permissions of roles: all that are declared, and changing them."""

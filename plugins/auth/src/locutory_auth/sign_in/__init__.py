"""Who somebody is: by a password, by another service, by the session that a request carries."""

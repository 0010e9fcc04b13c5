"""Sign-in through other services: social logins, OpenID Connect, SAML (contract oauth.md)."""

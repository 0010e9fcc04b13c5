"""OpenID Connect (contract oauth §5). Importing it loads authlib and joserfc, so that is done
only when a provider is configured."""

"""SAML (contract oauth §6). Importing `saml.response` loads python3-saml, lxml and xmlsec, so
that is done only when a provider is configured."""

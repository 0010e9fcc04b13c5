"""Settings of the plugin (contract oauth §7)."""

import re
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from locutory import env, option

NAME = "{{username}}"
"""Represents the typed name in the search filter."""


def _addresses(text: str | None) -> list[str]:
    """The addresses in `LDAP_URL`. Commas may also be part of the path of an address."""
    return re.split(r"(?i)[\s,]+(?=[a-z]+://)", text.strip()) if text and text.strip() else []


class LdapConfig(BaseModel):
    """The directory, the search for people in it, and the attributes that are read."""

    model_config = ConfigDict(extra="forbid")

    ldap_url: str | None = env(
        "LDAP_URL",
        None,
        "ldap:// or ldaps:// address of the directory; of several, parted by spaces, the next is "
        "asked when one does not answer",
    )
    ldap_user_search_base: str | None = env(
        "LDAP_USER_SEARCH_BASE", None, "Where people are; with LDAP_URL it switches LDAP on"
    )
    ldap_bind_dn: str | None = env(
        "LDAP_BIND_DN", None, "Account that searches; anonymous when unset"
    )
    ldap_bind_credentials: SecretStr | None = env(
        "LDAP_BIND_CREDENTIALS", None, "Password of the account that searches"
    )
    ldap_search_filter: str = env(
        "LDAP_SEARCH_FILTER", f"mail={NAME}", f"Finds a person; {NAME} is what was typed"
    )
    ldap_ca_cert_path: str | None = env(
        "LDAP_CA_CERT_PATH", None, "File with the authority of the directory's certificate"
    )
    ldap_tls_reject_unauthorized: bool = env(
        "LDAP_TLS_REJECT_UNAUTHORIZED",
        False,
        "With LDAP_CA_CERT_PATH: check the certificate. Without it, it is always checked",
    )
    ldap_starttls: bool = env("LDAP_STARTTLS", False, "Encrypt an ldap:// connection")
    ldap_login_uses_username: bool = env(
        "LDAP_LOGIN_USES_USERNAME", False, "The login form asks for a user name"
    )
    ldap_id: str | None = env(
        "LDAP_ID", None, "Attribute that identifies a person; else uid, sAMAccountName, mail"
    )
    ldap_username: str | None = env(
        "LDAP_USERNAME", None, "Attribute of the user name; else givenName, mail"
    )
    ldap_email: str | None = env("LDAP_EMAIL", None, "Attribute of the e-mail address; else mail")
    ldap_full_name: list[str] = env(
        "LDAP_FULL_NAME",
        list,
        "Attributes of the display name, joined; else cn, name, commonname, displayName",
    )
    timeout_seconds: float = option(
        10.0, "How long the directory may take for one step, in seconds", gt=0
    )
    connections: int = option(8, "Sign-ins that are checked at once", ge=1)

    @field_validator("ldap_url")
    @classmethod
    def _check_address(cls, url: str | None) -> str | None:
        for each in _addresses(url):
            if not each.lower().startswith(("ldap://", "ldaps://")):
                raise ValueError("begins with ldap:// or ldaps://")
            try:
                usable = urlsplit(each).port != 0
            except ValueError:
                usable = False
            if not usable:
                raise ValueError("is no address of a directory, as ldaps://ldap.example is")
        return url

    @field_validator("ldap_search_filter")
    @classmethod
    def _check_filter(cls, text: str) -> str:
        if NAME not in text:
            raise ValueError(f"holds {NAME}, which stands for what was typed")
        return text

    @property
    def addresses(self) -> list[str]:
        """Addresses of the directory's servers, in the order in which they are asked."""
        return _addresses(self.ldap_url)

    @property
    def configured(self) -> bool:
        """``True`` when passwords belong to a directory."""
        return bool(self.ldap_url and self.ldap_user_search_base)

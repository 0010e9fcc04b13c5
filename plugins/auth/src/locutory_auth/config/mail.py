"""Settings of mail (contract auth §10, kernel §16.5)."""

from email.errors import MessageError, ObsoleteHeaderDefect
from email.headerregistry import Address
from email.policy import default as policy
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationInfo, field_validator

from locutory import env


class MailSettings(BaseModel):
    """Settings of sending mail. Mailgun takes precedence over SMTP; both need a sender."""

    app_title: str = env("APP_TITLE", "LibreChat", "Name of the deployment in mails and codes")
    mailgun_api_key: SecretStr | None = env("MAILGUN_API_KEY", None, "Key of the Mailgun account")
    mailgun_domain: str | None = env("MAILGUN_DOMAIN", None, "Domain that Mailgun sends for")
    mailgun_host: str = env(
        "MAILGUN_HOST", "https://api.mailgun.net", "Address of Mailgun's interface"
    )
    email_service: str | None = env("EMAIL_SERVICE", None, "Well-known mail service to send with")
    email_host: str | None = env("EMAIL_HOST", None, "SMTP server to send with")
    email_port: int = env("EMAIL_PORT", 25, "Port of EMAIL_HOST", ge=1, le=65535)
    email_encryption: str = env(
        "EMAIL_ENCRYPTION",
        "",
        "'tls' for TLS from the start, 'starttls' to insist on an upgrade; else an upgrade is "
        "made where the server offers it",
    )
    email_encryption_hostname: str | None = env(
        "EMAIL_ENCRYPTION_HOSTNAME", None, "Name that the server's certificate must have"
    )
    email_allow_selfsigned: bool = env(
        "EMAIL_ALLOW_SELFSIGNED", False, "The server's certificate is not checked"
    )
    email_username: str | None = env("EMAIL_USERNAME", None, "SMTP account; blank: none")
    email_password: SecretStr | None = env("EMAIL_PASSWORD", None, "Password of the SMTP account")
    email_from: str | None = env(
        "EMAIL_FROM",
        None,
        "Sender, as chat@example.com or Chat <chat@example.com>; mail counts as configured with it",
    )
    email_from_name: str | None = env(
        "EMAIL_FROM_NAME", None, "Name of the sender; else that in EMAIL_FROM, else APP_TITLE"
    )
    mail_templates: Path | None = env(
        "LOCUTORY_MAIL_TEMPLATES", None, "Folder whose templates replace the built-in ones"
    )

    @property
    def uses_mailgun(self) -> bool:
        """``True`` when mail is sent by Mailgun."""
        return bool(self.email_from and self.mailgun_api_key and self.mailgun_domain)

    @property
    def mail_configured(self) -> bool:
        """``True`` when mail can be sent: by Mailgun or SMTP, and with a sender."""
        smtp = self.email_service or self.email_host
        return self.uses_mailgun or bool(self.email_from and smtp)

    @property
    def sender(self) -> Address:
        """Name and address that mail comes from."""
        found = _sender(self.email_from or "")
        name = self.email_from_name or found.display_name or self.app_title
        # Line breaks would be refused, and a header is no place for them.
        return Address(display_name=" ".join(name.split()), addr_spec=found.addr_spec)

    @field_validator("email_from")
    @classmethod
    def _check_sender(cls, text: str | None, info: ValidationInfo) -> str | None:
        mailgun = info.data.get("mailgun_api_key") and info.data.get("mailgun_domain")
        if text and (mailgun or info.data.get("email_service") or info.data.get("email_host")):
            _sender(text)
        return text

    @field_validator("email_encryption")
    @classmethod
    def _lower(cls, value: str) -> str:
        return value.strip().lower()


def _sender(text: str) -> Address:
    """The only address in a text, with its name; ``ValueError`` otherwise."""
    try:
        header: Any = policy.header_factory("From", " ".join(text.split()))
        broken = [each for each in header.defects if not isinstance(each, ObsoleteHeaderDefect)]
        if len(header.addresses) == 1 and not broken:
            found = header.addresses[0]
            return Address(found.display_name, addr_spec=found.addr_spec)
    except (IndexError, MessageError):
        pass
    raise ValueError("is no sender, as chat@example.com or Chat <chat@example.com> is")

"""SMTP servers of well-known mail services, for ``EMAIL_SERVICE``."""

import difflib
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Service:
    """An SMTP server. ``tls``: TLS from the start; else the connection is upgraded."""

    host: str
    port: int
    tls: bool


def _tls(host: str) -> Service:
    return Service(host, 465, tls=True)


def _starttls(host: str) -> Service:
    return Service(host, 587, tls=False)


_SERVICES: dict[str, Service] = {
    "126": _tls("smtp.126.com"),
    "163": _tls("smtp.163.com"),
    "1und1": _tls("smtp.1und1.de"),
    "aliyun": _tls("smtp.aliyun.com"),
    "aol": _starttls("smtp.aol.com"),
    "fastmail": _tls("smtp.fastmail.com"),
    "gandimail": _starttls("mail.gandi.net"),
    "gmail": _tls("smtp.gmail.com"),
    "gmx": _starttls("mail.gmx.com"),
    "godaddy": Service("smtpout.secureserver.net", 25, tls=False),
    "hotmail": _starttls("smtp-mail.outlook.com"),
    "icloud": _starttls("smtp.mail.me.com"),
    "infomaniak": _starttls("mail.infomaniak.com"),
    "mailgun": _tls("smtp.mailgun.org"),
    "mailjet": _starttls("in.mailjet.com"),
    "mailru": _tls("smtp.mail.ru"),
    "mailtrap": Service("live.smtp.mailtrap.io", 587, tls=False),
    "mandrill": _starttls("smtp.mandrillapp.com"),
    "naver": _starttls("smtp.naver.com"),
    "ohmysmtp": _starttls("smtp.ohmysmtp.com"),
    "one": _tls("send.one.com"),
    "outlook365": _starttls("smtp.office365.com"),
    "postmark": Service("smtp.postmarkapp.com", 2525, tls=False),
    "protonmail": _starttls("smtp.protonmail.ch"),
    "qq": _tls("smtp.qq.com"),
    "qqex": _tls("smtp.exmail.qq.com"),
    "sendcloud": Service("smtp.sendcloud.net", 2525, tls=False),
    "sendgrid": _starttls("smtp.sendgrid.net"),
    "sendinblue": _starttls("smtp-relay.brevo.com"),
    "ses": _tls("email-smtp.us-east-1.amazonaws.com"),
    "sparkpost": _starttls("smtp.sparkpostmail.com"),
    "tipimail": _starttls("smtp.tipimail.com"),
    "yahoo": _tls("smtp.mail.yahoo.com"),
    "yandex": _tls("smtp.yandex.ru"),
    "zoho": _tls("smtp.zoho.com"),
}
_ALIASES = {
    "brevo": "sendinblue",
    "gandi": "gandimail",
    "gmailcom": "gmail",
    "googlemail": "gmail",
    "me": "icloud",
    "office365": "outlook365",
    "outlook": "hotmail",
    "outlookcom": "hotmail",
    "yahoomail": "yahoo",
}
_REGION = re.compile(r"ses((?:us|eu|ap|ca|sa|me|af|il)(?:north|south|east|west|central|gov)+)(\d)")


def known_service(name: str) -> Service | None:
    """The server of a service, whatever the spelling (``Outlook-365``, ``SES-EU-WEST-1``)."""
    word = re.sub(r"[^a-z0-9]", "", name.lower())
    region = _REGION.fullmatch(word)
    if region is not None:
        area, direction, number = region[1][:2], region[1][2:], region[2]
        return _tls(f"email-smtp.{area}-{direction}-{number}.amazonaws.com")
    return _SERVICES.get(_ALIASES.get(word, word))


def near_services(name: str) -> list[str]:
    """Known names that resemble this one."""
    return difflib.get_close_matches(name.lower(), [*_SERVICES, *_ALIASES], n=2)

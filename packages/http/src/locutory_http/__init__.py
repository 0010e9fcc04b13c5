"""Outgoing connections: routing through proxies, trusted authorities, and the guard that keeps
requests of users away from the server's own network."""

from locutory_http.bodies import BodyTooLarge
from locutory_http.guard import AddressRefused, Guard
from locutory_http.outgoing import Outgoing
from locutory_http.proxies import Proxies, Proxy, parse_proxy
from locutory_http.settings import OutgoingSettings
from locutory_http.transport import CertificateNotTrusted
from locutory_http.trust import Trust, refused_certificate

__all__ = [
    "AddressRefused",
    "BodyTooLarge",
    "CertificateNotTrusted",
    "Guard",
    "Outgoing",
    "OutgoingSettings",
    "Proxies",
    "Proxy",
    "Trust",
    "parse_proxy",
    "refused_certificate",
]

"""E-mail domains that may register (``registration.allowedDomains``)."""

from collections.abc import Iterable


class Domains:
    """The allowed domains; all when there are none."""

    def __init__(self, domains: Iterable[str]) -> None:
        self.configure(domains)

    def configure(self, domains: Iterable[str]) -> None:
        """Take these from now on."""
        self._domains = {domain.strip().lower() for domain in domains}

    def allow(self, email: str) -> bool:
        """``True`` when the domain of an address is allowed. One entry is one domain, without its
        subdomains."""
        return not self._domains or email.rpartition("@")[2].strip().lower() in self._domains

"""Addresses as they are counted."""

import ipaddress


def counted(ip: str) -> str:
    """An address as a key: IPv6 by its /64, since one caller owns at least that much."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((address, 64), strict=False).network_address)
    return str(address)

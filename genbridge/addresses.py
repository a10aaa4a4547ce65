"""Which hosts are this machine, and which are private."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


@lru_cache
def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")
_PUBLIC_V6 = ip_network("2000::/3")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")


def is_private(host: str) -> bool:
    """Whether a host, by its name or literal address alone, cannot be reached from the internet."""
    name = host.lower().rstrip(".")
    try:
        address = ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(_PRIVATE_SUFFIXES) or _is_old_number(name)
    embedded = (address.ipv4_mapped or address.sixtofour) if isinstance(address, IPv6Address) else None
    return not _is_public(embedded or address)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    # What Python calls global includes multicast, and much of IPv6 that belongs to nobody.
    return address.is_global and not address.is_multicast and (address.version == 4 or address in _PUBLIC_V6)


def _is_old_number(name: str) -> bool:
    # https://url.spec.whatwg.org/#ends-in-a-number-checker: 127.1 and 0x7f.0.0.1 are addresses to a browser and to most libraries
    return _NUMBER.fullmatch(name.rpartition(".")[2]) is not None

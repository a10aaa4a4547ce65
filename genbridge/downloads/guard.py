"""Where files may be fetched from: which links, which addresses, and a session that connects to no other.

An address is checked twice: what a name resolves to before anything is connected, and the peer of every connection before anything
is sent on it. So an answer of DNS that changes in between gains nothing.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from genbridge import __version__
from genbridge.addresses import is_loopback
from genbridge.downloads.policy import DownloadPolicy
from genbridge.errors import DownloadError

READ_AHEAD = 256 * 1024
"""How many bytes a connection may read ahead of what is written, about."""

# The IANA registry of special-purpose addresses, written out because what Python calls global differs from version to version.
_NOT_PUBLIC_V4 = tuple(
    ip_network(network)
    for network in (
        *(
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
        ),
        *("192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # Azure's metadata service has a public address
    )
)
_PUBLIC_V6 = ip_network("2000::/3")
# Within that: IETF protocols with Teredo, documentation, 6to4 (which may hold a private IPv4 address), documentation.
_NOT_PUBLIC_V6 = tuple(ip_network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
_NAT64 = ip_network("64:ff9b::/96")


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address stands for, where it is reached through that."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet; `False` for what is not an address."""
    try:
        actual = _unwrapped(ip_address(address))
    except ValueError:
        return False
    if isinstance(actual, IPv4Address):
        return not any(actual in network for network in _NOT_PUBLIC_V4)
    return actual in _PUBLIC_V6 and not any(actual in network for network in _NOT_PUBLIC_V6)


def check_address(host: str, address: str, *, allow_private: bool) -> None:
    """Raise `DownloadError` when a link to `host` may not lead to `address`."""
    if is_loopback(host):
        if not is_loopback(str(_unwrapped(ip_address(address)))):
            raise DownloadError(f"{host!r} is to be this machine, and leads to {address}")
    elif not allow_private and not is_public(address):
        raise DownloadError(
            f"{host!r} leads to the address {address}, which is not on the public internet; where that is meant, as behind a proxy "
            "that answers for DNS, set allow_private (under [downloads] in genbridge.toml, or in the DownloadPolicy)"
        )


def read_link(text: str) -> URL:
    """Return a link as a URL, to the byte, because a change would break a signed one's signature; raises `DownloadError`."""
    try:
        exact = text.isascii() and text.isprintable() and " " not in text
        url = URL(text, encoded=exact)
        url.port  # noqa: B018 - reading it checks it
    except (ValueError, IndexError):  # yarl's own, of https://[::1]@
        raise DownloadError("the link cannot be read") from None
    return url


def check_link(url: URL, *, previous: URL | None, allow_private: bool, allow_local: bool = True) -> None:
    """Raise `DownloadError` when a link may not be followed; `previous` is the one that redirected to it.

    `allow_local` says whether it may lead to this machine.
    """
    host = url.raw_host
    if not host or url.scheme not in {"http", "https"}:
        raise DownloadError("it is no https link")
    if url.scheme == "http" and not is_loopback(host):
        raise DownloadError("it is plain http; only https is fetched, as anybody in between could change the file")
    if url.scheme == "http" and previous is not None and previous.scheme == "https":
        raise DownloadError("it redirects from https to plain http")
    if url.raw_user is not None or url.raw_password is not None:
        raise DownloadError("the link carries a user name or password, and genbridge sends neither")
    if is_loopback(host) and previous is not None and not is_loopback(previous.raw_host or "") and not allow_private:
        raise DownloadError(f"it redirects to this machine ({host})")
    if is_loopback(host) and not allow_local and not allow_private:
        why = "where the service itself is not; if it is, the backend needs its base_url here, too"
        raise DownloadError(f"it leads to this machine ({host}), {why}")
    if _numeric(host):
        _check_numeric(host, allow_private=allow_private)


def _numeric(host: str) -> bool:
    # What a connection takes for an address without asking DNS, which is more than looks like one: 127.1 is one to the system.
    return ":" in host or host.replace(".", "").isdigit()


def _check_numeric(host: str, *, allow_private: bool) -> None:
    try:
        ip_address(host)
    except ValueError:
        raise DownloadError(f"{host!r} is not a proper address") from None
    check_address(host, host, allow_private=allow_private)


def without_query(url: str) -> str:
    """Return a URL without what may be secret in it: query, fragment, user name and password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "a link that cannot be read"
    host = parts.netloc.rpartition("@")[2]
    if not host and (parts.netloc or parts.path.startswith("//")):  # the path would be read as a host
        return "a link that cannot be read"
    return parts._replace(netloc=host, query="", fragment="").geturl()


class GuardedResolver(AbstractResolver):
    """Resolves as another resolver does, and refuses a name with any address that it may not lead to."""

    def __init__(self, inner: AbstractResolver, *, allow_private: bool) -> None:
        self._inner = inner
        self._allow_private = allow_private

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[Any]:
        """Return the addresses of a name; raises `DownloadError` when one of them is refused."""
        try:
            found = await self._inner.resolve(host, port, family)
        except UnicodeError:
            raise DownloadError(f"{host!r} is no proper host name") from None
        for entry in found:
            check_address(host, entry["host"], allow_private=self._allow_private)
        return list(found)

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()


class GuardedConnector(aiohttp.TCPConnector):
    """Makes connections, and drops one whose peer has an address that it may not have, before anything is sent."""

    def __init__(self, resolver: AbstractResolver, *, allow_private: bool) -> None:
        super().__init__(resolver=resolver, use_dns_cache=False, limit=0)
        self._allow_private = allow_private

    async def connect(self, req: aiohttp.ClientRequest, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        """Return a connection; raises `DownloadError` when its peer is refused."""
        connection = await super().connect(req, traces, timeout)
        try:
            check_address(req.url.raw_host or "", _peer(connection), allow_private=self._allow_private)
        except (DownloadError, aiohttp.ClientConnectionError):
            connection.close()
            raise
        return connection


def _peer(connection: Any) -> str:
    transport = connection.transport
    peer = transport.get_extra_info("peername") if transport is not None else None
    if not peer:
        raise aiohttp.ClientConnectionError("the connection was closed at once")
    return str(peer[0])


def open_session(policy: DownloadPolicy | None = None, *, resolver: AbstractResolver | None = None) -> aiohttp.ClientSession:
    """Return a session for downloads, for the caller to close; it can be shared by many of them.

    It has no cookies and no credentials, and does not look at the environment: a proxy named there would resolve names itself, so
    that they could not be checked, and a `.netrc` would add passwords.
    """
    policy = policy or DownloadPolicy()
    guarded = GuardedResolver(resolver or aiohttp.ThreadedResolver(), allow_private=policy.allow_private)
    return aiohttp.ClientSession(
        connector=GuardedConnector(guarded, allow_private=policy.allow_private),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        read_bufsize=READ_AHEAD,
        headers={"User-Agent": f"genbridge/{__version__}", "Accept-Encoding": "identity", "Accept": "*/*"},
    )

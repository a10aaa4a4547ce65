"""Which links and addresses a file may be fetched from."""

from __future__ import annotations

import ipaddress

import aiohttp
import attrs
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from genbridge.downloads.guard import (
    GuardedConnector,
    GuardedResolver,
    _peer,
    check_address,
    check_link,
    is_public,
    open_session,
    read_link,
    without_query,
)
from genbridge.errors import DownloadError


@attrs.define
class FixedResolver(AbstractResolver):
    """Answers every name with one address."""

    address: str
    closed: bool = False

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict[str, object]]:  # type: ignore[override]
        """Return that address."""
        return [{"hostname": host, "host": self.address, "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


@attrs.define
class FakeConnection:
    """A connection whose transport is gone, or has no peer."""

    transport: object


class FakeTransport:
    """A transport that has lost its peer."""

    def get_extra_info(self, name: str) -> None:
        """Know nothing."""


PUBLIC = ["93.184.216.34", "8.8.8.8", "172.15.255.255", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
NOT_PUBLIC = [
    *("0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.255", "169.254.169.254", "172.16.0.1"),
    *("172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
    *(
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::808:808",
        "100::1",
        "fc00::1",
    ),
    *("fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1"),
    *("", "localhost", "127.1", "2130706433"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_public(address: str) -> None:
    """Also one that stands for a public IPv4 address."""
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_any_other_address_is_not(address: str) -> None:
    """Private, local, for metadata, reserved, many's at once, standing for such a one, or no address at all."""
    assert not is_public(address)


@given(address=st.ip_addresses(v=4))
def test_no_private_address_gets_through_in_the_dress_of_another(address: ipaddress.IPv4Address) -> None:
    """Mapped into IPv6 or through NAT64, an address is what it is without."""
    plain = is_public(str(address))
    assert (plain, plain) == (is_public(f"::ffff:{address}"), is_public(f"64:ff9b::{address}"))


@given(address=st.ip_addresses())
def test_no_address_that_python_knows_to_be_private_is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Our list is at least as strict as the standard library's."""
    mapped = isinstance(address, ipaddress.IPv6Address) and address in ipaddress.ip_network("64:ff9b::/96")
    assert not is_public(str(address)) or mapped or (address.is_global and not address.is_multicast)


def test_this_machine_may_only_lead_to_this_machine() -> None:
    """A `localhost` that DNS sends elsewhere is refused, whatever is allowed."""
    check_address("localhost", "127.0.0.1", allow_private=False)
    check_address("localhost", "::1", allow_private=False)
    with pytest.raises(DownloadError, match=r"'localhost' is to be this machine, and leads to 10\.0\.0\.1"):
        check_address("localhost", "10.0.0.1", allow_private=True)


def test_a_private_address_is_refused_unless_it_is_allowed() -> None:
    """The message names the setting."""
    check_address("files.example", "8.8.8.8", allow_private=False)
    check_address("files.example", "10.0.0.1", allow_private=True)
    with pytest.raises(DownloadError, match=r"'files\.example' leads to the address 10\.0\.0\.1, .* set allow_private"):
        check_address("files.example", "10.0.0.1", allow_private=False)


@pytest.mark.parametrize(
    "link",
    [
        *("https://files.example/x", "https://files.example:8443/x?a=b", "https://8.8.8.8/x", "https://[2606:4700::1111]/x"),
        *("http://127.0.0.1:8000/x", "http://localhost/x", "http://[::1]:8000/x", "https://127.0.0.1/x"),
    ],
)
def test_https_and_this_machine_may_be_followed(link: str) -> None:
    """The sandbox lives on this machine, and speaks plain http."""
    check_link(read_link(link), previous=None, allow_private=False)


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("http://files.example/x", "plain http"),
        ("http://10.0.0.1/x", "plain http"),
        ("http://127.0.0.1.files.example/x", "plain http"),
        ("http://localhost.files.example/x", "plain http"),
        ("ftp://files.example/x", "no https link"),
        ("/x", "no https link"),
        ("", "no https link"),
        ("https:///x", "no https link"),
        ("https://me@files.example/x", "user name or password"),
        ("https://:secret@files.example/x", "user name or password"),
        ("https://10.0.0.1/x", "not on the public internet"),
        ("https://[fe80::1]/x", "not on the public internet"),
        ("https://127.1/x", "'127.1' is not a proper address"),
        ("https://2130706433/x", "'2130706433' is not a proper address"),
        ("https://127.0.0.1./x", "'127.0.0.1.' is not a proper address"),
    ],
)
def test_any_other_link_may_not(link: str, words: str) -> None:
    """The message says why."""
    with pytest.raises(DownloadError, match=words):
        check_link(read_link(link), previous=None, allow_private=False)


def test_a_redirect_never_leads_from_https_to_http() -> None:
    """Not even to this machine."""
    with pytest.raises(DownloadError, match="it redirects from https to plain http"):
        check_link(URL("http://127.0.0.1/x"), previous=URL("https://files.example/x"), allow_private=True)


def test_a_redirect_from_elsewhere_does_not_lead_to_this_machine() -> None:
    """Unless private addresses are allowed; a redirect from this machine may."""
    here, there = URL("https://127.0.0.1/x"), URL("https://files.example/x")
    with pytest.raises(DownloadError, match="it redirects to this machine"):
        check_link(here, previous=there, allow_private=False)
    check_link(here, previous=there, allow_private=True)
    check_link(here, previous=here, allow_private=False)


@pytest.mark.parametrize("link", ["http://127.0.0.1:8801/x", "https://127.0.0.1/x", "https://[::1]/x", "https://LOCALHOST/x"])
def test_a_service_elsewhere_sends_nobody_to_servers_on_this_machine(link: str) -> None:
    """What they say to whoever asks from here is not for it to choose; `allow_private` allows that too."""
    with pytest.raises(DownloadError, match=r"it leads to this machine .*; if it is, the backend needs its base_url here, too"):
        check_link(read_link(link), previous=None, allow_private=False, allow_local=False)
    check_link(read_link(link), previous=None, allow_private=False, allow_local=True)
    check_link(read_link(link), previous=None, allow_private=True, allow_local=False)


@pytest.mark.parametrize(
    "link", ["https://[::1", "https://files.example:port/x", "https://files.example:99999/x", "https://[::1]@", "https://[::1]@/x"]
)
def test_a_link_that_makes_no_sense_cannot_be_read(link: str) -> None:
    """It is an error of ours, without the link."""
    with pytest.raises(DownloadError, match=r"^the link cannot be read$"):
        read_link(link)


@given(text=st.text())
def test_any_text_is_a_link_or_a_download_error(text: str) -> None:
    """Nothing else comes out, and nothing that could end a line of the request."""
    try:
        url = read_link(text)
        check_link(url, previous=None, allow_private=False)
    except DownloadError:
        return
    assert url.raw_path_qs.isprintable()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://files.example/x.png?signature=secret#part", "https://files.example/x.png"),
        ("https://me:secret@files.example:1/x", "https://files.example:1/x"),
        ("https://[::1", "a link that cannot be read"),
        ("https://me:secret@/x", "a link that cannot be read"),
        ("https://me:secret@//you:secret@files.example/", "a link that cannot be read"),
        ("https:////me:secret@files.example/", "a link that cannot be read"),
        ("x.png?a", "x.png"),
    ],
)
def test_what_may_be_secret_in_a_url_is_left_out(url: str, expected: str) -> None:
    """Query, fragment, user and password are not for messages and sidecars."""
    assert expected == without_query(url)


async def test_a_connection_whose_peer_is_refused_is_dropped_before_anything_is_sent() -> None:
    """Even past a resolver that checks nothing, no request reaches a private address, by https or not."""
    asked = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handle)
    server = TestServer(app)
    await server.start_server()
    connector = GuardedConnector(FixedResolver("127.0.0.1"), allow_private=False)
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(DownloadError, match=r"'files\.example' leads to the address 127\.0\.0\.1"):
            await session.get(f"http://files.example:{server.port}/")
        response = await session.get(f"http://localhost:{server.port}/")
        response.close()
    await server.close()
    assert 1 == len(asked)


@pytest.mark.parametrize("transport", [None, FakeTransport()])
def test_a_connection_without_a_peer_is_a_broken_one(transport: object) -> None:
    """What cannot be checked is not used."""
    with pytest.raises(aiohttp.ClientConnectionError):
        _peer(FakeConnection(transport))


async def test_the_resolver_checks_every_answer_and_closes_the_one_within() -> None:
    """A public address passes as it came."""
    inner = FixedResolver("8.8.8.8")
    resolver = GuardedResolver(inner, allow_private=False)
    assert ["8.8.8.8"] == [entry["host"] for entry in await resolver.resolve("files.example", 443)]
    await resolver.close()
    assert inner.closed


async def test_a_name_that_cannot_be_one_is_refused() -> None:
    """The system's resolver raises an error of its own for a label that is too long."""
    resolver = GuardedResolver(aiohttp.ThreadedResolver(), allow_private=False)
    with pytest.raises(DownloadError, match="is no proper host name"):
        await resolver.resolve("a" * 64 + ".example")


async def test_a_session_has_no_cookies_and_ignores_the_environment() -> None:
    """A proxy or a password from there would go round the checks."""
    async with open_session() as session:
        assert isinstance(session.cookie_jar, aiohttp.DummyCookieJar)
        assert (False, False) == (session.trust_env, session.auto_decompress)

"""Which hosts are this machine, and which the internet cannot reach."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge.addresses import is_loopback, is_private


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.1", "127.9.8.7", "::1"])
def test_this_machine_is_known_by_name_and_address(host: str) -> None:
    """And is private, too."""
    assert (True, True) == (is_loopback(host), is_private(host))


@pytest.mark.parametrize(
    "host", ["", "localhost.", "localhost.example.com", "127.0.0.1.example.com", "127.1", "2130706433", "10.0.0.1", "::2", "[::1]"]
)
def test_what_only_resembles_this_machine_is_not_it(host: str) -> None:
    """Plain http goes to loopback alone, so that an address that is read in two ways does not count."""
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.1",
        "172.16.5.4",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::a00:1",
    ],
)
def test_addresses_of_networks_of_ones_own_are_private(host: str) -> None:
    """Also where they are wrapped into IPv6."""
    assert is_private(host)


@pytest.mark.parametrize(
    "host",
    ["2130706433", "017700000001", "0x7f000001", "0x7f.1", "0x7f.0.0.0x1", "127.1", "0177.0.0.1", "10.1", "1.2.3.4.5", "a.0x"],
)
def test_an_address_in_an_old_spelling_is_private(host: str) -> None:
    """Some clients take these for addresses, of which one cannot be sure."""
    assert is_private(host)


@pytest.mark.parametrize(
    "host",
    [
        "intranet",
        "printer.local",
        "db.internal",
        "metadata.google.internal",
        "box.lan",
        "nas.home.arpa",
        "a.localhost",
        "LOCALHOST.",
    ],
)
def test_names_that_only_a_network_of_ones_own_knows_are_private(host: str) -> None:
    """Names without a dot, and those that the internet has no use for."""
    assert is_private(host)


@pytest.mark.parametrize(
    "host", ["example.com", "Example.COM.", "8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "1and1.com", "x.0xabcg"]
)
def test_what_the_internet_reaches_is_not_private(host: str) -> None:
    """By its name or address alone; nothing is looked up."""
    assert not is_private(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "127.0.0.1", "localhost", "printer.local", "2130706433"])
@pytest.mark.parametrize("dots", [".", ".."])
def test_dots_at_the_end_change_nothing(host: str, dots: str) -> None:
    """A name with its root dot is the same name."""
    assert is_private(host + dots)


@given(st.text(max_size=20) | st.ip_addresses().map(str) | st.ip_addresses(network="127.0.0.0/8").map(str))
def test_this_machine_is_private_whatever_it_is_called(host: str) -> None:
    """Any text that stands where a host should is answered, and what is this machine is never taken for the internet."""
    assert is_private(host) or not is_loopback(host)


@given(st.ip_addresses(network="127.0.0.0/8"))
def test_every_address_of_this_machine_is_known(address: IPv4Address) -> None:
    """The whole network 127.0.0.0/8 is."""
    assert (True, True) == (is_loopback(str(address)), is_private(str(address)))

"""Which addresses a user's call may reach."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalcraft.domain.addresses import Allowed, _faces, objection
from signalcraft.errors import BadSetting

PRIVATE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1",
    "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "192.0.0.1", "192.0.2.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::", "not an address", "",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_inside_is_refused(address: str) -> None:
    assert objection(address, Allowed())


@pytest.mark.parametrize("address", PUBLIC)
def test_outside_is_not(address: str) -> None:
    assert objection(address, Allowed()) == ""


@pytest.mark.parametrize(
    "address", ["::ffff:10.1.2.3", "64:ff9b::a01:203", "::10.1.2.3", "2002:a01:203::1", "2001:0:808:808:0:0:f5fe:fdfc"]
)
def test_an_ipv4_address_is_found_in_every_form_that_holds_one(address: str) -> None:
    """The standard library refuses most of these forms as a whole, but not in every version."""
    assert ipaddress.IPv4Address("10.1.2.3") in _faces(ipaddress.ip_address(address))


@given(st.ip_addresses())
def test_what_is_allowed_outside_is_global(address: object) -> None:
    if objection(str(address), Allowed()) == "":
        assert address.is_global  # type: ignore[attr-defined]
        assert not address.is_multicast  # type: ignore[attr-defined]


def test_the_operator_may_allow_networks() -> None:
    allowed = Allowed(["10.0.0.0/8", "192.168.1.5", "fd00::/8"])
    for address in ("10.1.2.3", "192.168.1.5", "fd12::1", "::ffff:10.1.2.3"):
        assert objection(address, allowed) == ""
    for address in ("192.168.1.6", "127.0.0.1", "fe80::1", "::ffff:127.0.0.1"):
        assert objection(address, allowed)


def test_the_operator_may_allow_names() -> None:
    allowed = Allowed(["Hooks.Internal", "*.corp.example"])
    for name in ("hooks.internal", "HOOKS.INTERNAL.", "a.corp.example", "b.a.corp.example"):
        assert allowed.name(name)
    for name in ("internal", "x.hooks.internal", "corp.example", "evilcorp.example", ""):
        assert not allowed.name(name)


@pytest.mark.parametrize("entry", ["", "10.0.0.0/99", "a b", "::zz", "http://x"])
def test_what_is_neither_stops_the_start(entry: str) -> None:
    with pytest.raises(BadSetting):
        Allowed([entry])

"""Which IP addresses a call on a user's behalf may reach: public ones, and what the operator allowed."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from signalcraft.errors import BadSetting

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

BLOCKED = "blocked: "
"""How the error of a call starts that was not made because of where it led. No retry helps; a person must act."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_COMPATIBLE = ipaddress.IPv6Network("::/96")  # RFC 4291, deprecated, still routed by some stacks

_PLATFORM = frozenset({ipaddress.IPv4Address("168.63.129.16")})
"""Public by its number, but what answers there is the cloud that the box stands in (Azure's WireServer)."""


class Allowed:
    """The operator's exceptions: networks ("10.0.0.0/8", "192.168.1.5") and host names ("hooks.internal"; "*.internal"
    takes in every name below).

    Raises BadSetting for an entry that is neither.
    """

    def __init__(self, entries: Sequence[str] = ()) -> None:
        networks: list[Network] = []
        names: set[str] = set()
        for entry in entries:
            text = entry.strip().lower().rstrip(".")
            try:
                networks.append(ipaddress.ip_network(text, strict=False))
                continue
            except ValueError:
                pass
            if not text or "/" in text or ":" in text or any(c.isspace() for c in text):
                raise BadSetting(f"neither a network such as 10.0.0.0/8 nor a host name: {entry!r}")
            names.add(text)
        self._networks = tuple(networks)
        self._names = frozenset(names)

    def name(self, host: str) -> bool:
        """Whether every address of this host name is allowed."""
        plain = host.lower().rstrip(".")
        if plain in self._names:
            return True
        labels = plain.split(".")
        return any("*." + ".".join(labels[n:]) in self._names for n in range(1, len(labels)))

    def covers(self, text: str) -> bool:
        """The same of an address as text."""
        try:
            return self.address(ipaddress.ip_address(text.partition("%")[0]))
        except ValueError:
            return False

    def address(self, address: Address) -> bool:
        """Whether this address lies in an allowed network."""
        return any(a.version == n.version and a in n for a in _faces(address) for n in self._networks)


def objection(text: str, allowed: Allowed) -> str:
    """Why a call must not go to this address ("a private address"), "" where it may. `text` is an IP address,
    an IPv6 one perhaps with its scope ("fe80::1%eth0")."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return "not an IP address"
    if allowed.address(address):
        return ""
    for face in _faces(address):
        for wrong, words in (
            (face.is_unspecified, "the unspecified address"),
            (face.is_loopback, "a loopback address"),
            (face.is_link_local, "a link-local address"),
            (face.is_multicast, "a multicast address"),
            (not face.is_global, "a private address"),
            (isinstance(face, ipaddress.IPv6Address) and face.is_site_local, "a private address"),
            (face.is_reserved, "a reserved address"),
            (face in _PLATFORM, "an address of the cloud's own services"),
        ):
            if wrong:
                return words
    return ""


def _faces(address: Address) -> list[Address]:
    """The addresses that really answer behind one: an IPv6 address can carry an IPv4 one inside.

    A form that embeds IPv4 is judged by what it embeds; a 6to4 or Teredo one is judged by both.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    last32 = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _NAT64:
        return [last32]
    if address in _COMPATIBLE and int(address) > 1:
        return [last32]
    faces: list[Address] = [address]
    if address.sixtofour is not None:
        faces.append(address.sixtofour)
    if address.teredo is not None:
        faces.extend(address.teredo)
    return faces

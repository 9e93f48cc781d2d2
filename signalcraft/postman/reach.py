"""Where a call on a user's behalf may go: a name becomes addresses once, and each of them is judged."""

from __future__ import annotations

import socket

from signalcraft.domain.addresses import BLOCKED, Allowed, objection
from signalcraft.postman.names import Resolve

ADDRESSES_TRIED = 4


class Unreachable(OSError):
    """There is no way to it, or none that may be taken; the text is for people."""


async def addresses_of(host: str, port: int, allowed: Allowed | None, look_up: Resolve) -> list[str]:
    """The addresses to connect to, best first. `allowed` None: wherever the name leads. Raises Unreachable.

    They are what must be connected: asked again, a name may give another address.
    """
    try:
        addresses = await look_up(host, port)
    except (OSError, UnicodeError):
        addresses = []
    if not addresses:
        raise Unreachable(f"{host} has no address")
    if allowed is not None and not allowed.name(host):
        # One bad address refuses the name: with several, which one is taken is chance.
        for address in addresses:
            why = objection(address, allowed) or ("" if allowed.covers(address) else _own(address))
            if why:
                raise Unreachable(f"{BLOCKED}{host} leads to {why}")
    return addresses[:ADDRESSES_TRIED]


def _own(address: str) -> str:
    """Why a public address is none: it is this box's own, where a firewall lets through what comes from inside."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address.partition("%")[0], 0))  # works for one's own addresses alone; sends nothing
    except OSError:
        return ""
    return "this box itself"

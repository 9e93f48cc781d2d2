"""Host names become addresses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""(host name or address in any spelling, port) → IP addresses, best first. Raises OSError where there are none."""


async def resolve(host: str, port: int) -> list[str]:
    """The system's own answer, hosts file included."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))

"""The guard at the socket: the name is resolved, every address is checked, and the very address checked is connected.

A check before the call would not do: between it and the connection a name can change its address, and there are more
spellings of 127.0.0.1 than any check of spellings knows.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore

from signalcraft.domain.addresses import BLOCKED, Allowed
from signalcraft.postman.names import Resolve
from signalcraft.postman.reach import Unreachable, addresses_of

LEAST_SHARE_S = 2.0


class _Stream(httpcore.AsyncNetworkStream):
    """httpcore's stream, closed also where the caller's patience ends in the middle of TLS's first words."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._inner.start_tls(ssl_context, server_hostname, timeout)
        except asyncio.CancelledError:
            # httpcore closes after faults, but a cancellation is none to it: the socket would stay open.
            await self._inner.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class Guard(httpcore.AsyncNetworkBackend):
    """Opens TCP connections for httpcore. `allowed` None: wherever the name leads. TLS and Host keep the name."""

    def __init__(self, allowed: Allowed | None, look_up: Resolve) -> None:
        self._allowed = allowed
        self._look_up = look_up
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address that answers. Raises httpcore.ConnectError with words for people."""
        try:
            addresses = await addresses_of(host, port, self._allowed, self._look_up)
        except Unreachable as problem:
            raise httpcore.ConnectError(str(problem)) from problem
        share = None if timeout is None else max(timeout / len(addresses), LEAST_SHARE_S)
        fault: httpcore.ConnectError | httpcore.ConnectTimeout = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                return _Stream(await self._inner.connect_tcp(address, port, share, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as this:
                fault = this
        raise fault

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """None is ever opened."""
        raise httpcore.ConnectError(f"{BLOCKED}a socket of this box")

    async def sleep(self, seconds: float) -> None:
        """httpcore's pause between its own tries, of which we ask for none."""
        await asyncio.sleep(seconds)

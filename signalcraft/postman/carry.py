"""One step at a time to where it belongs: an HTTP call to a pool of connections, a mail to its server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from signalcraft.domain.addresses import Allowed
from signalcraft.domain.delivery import HttpCall, Mail, Reply, Step
from signalcraft.postman.names import Resolve, resolve

if TYPE_CHECKING:
    from signalcraft.postman.calls import Caller
    from signalcraft.postman.probe import Seen


class Postman:
    """Carries one step at a time, many at once. Belongs to one event loop.

    `allow`: networks (CIDR) and host names inside our own network that calls on a user's behalf may reach; `ca_file`: a
    PEM file of further authorities to trust, for mail and HTTPS alike. Raises BadSetting where either cannot be used.

    What carries (httpx, aiosmtplib, the list of authorities) is loaded with the first step, in a thread: it would be a
    quarter of the time to start and of the memory of a box that sends nothing yet.
    """

    def __init__(self, allow: Sequence[str] = (), ca_file: str = "", *, look_up: Resolve = resolve) -> None:
        self._allowed = Allowed(allow)
        self._ca_file = ca_file
        self._look_up = look_up
        self._loading = asyncio.Lock()
        self._pools: tuple[Caller, Caller] | None = None
        if ca_file:
            _ = self.tls  # a file that cannot be used is a fault of the start

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """Whose certificates are believed. Reading the lists takes some 20 ms."""
        from signalcraft.postman.trust import trusted

        return trusted(self._ca_file)

    async def send(self, step: Step) -> Reply:
        """What came back. Never raises, but for the caller's own cancellation; a fault is a Reply with status 0."""
        if isinstance(step, HttpCall):
            guarded, trusting = self._pools or await self._opened()
            return await (trusting if step.private_ok else guarded).send(step)
        await asyncio.to_thread(self._load_mail)
        from signalcraft.postman.mail import hand_over

        return await hand_over(step, self.tls, self._allowed, self._look_up)

    async def look(self, url: str, *, private_ok: bool = False) -> Seen:
        """The line to an address, with its certificate. Nothing is said on it."""
        from signalcraft.postman.probe import look

        parts = urlsplit(url)
        secure = parts.scheme == "https"
        return await look(
            parts.hostname or "",
            parts.port or (443 if secure else 80),
            await asyncio.to_thread(lambda: self.tls) if secure else None,
            allowed=None if private_ok else self._allowed,
            look_up=self._look_up,
        )

    async def knock(self, mail: Mail) -> Reply:
        """The line to a mail's server, signed in to where the mail says so. Nothing is mailed."""
        await asyncio.to_thread(self._load_mail)
        from signalcraft.postman.mail import knock

        return await knock(mail, self.tls, self._allowed, self._look_up)

    async def _opened(self) -> tuple[Caller, Caller]:
        async with self._loading:
            if self._pools is None:
                self._pools = await asyncio.to_thread(self._open)
            return self._pools

    def _open(self) -> tuple[Caller, Caller]:
        from signalcraft.postman.calls import Caller

        # Two pools, since a kept connection is reused by host and port: what the operator's own address opened
        # must not be there for a user's call to the same place.
        return Caller(self.tls, self._allowed, self._look_up), Caller(self.tls, None, self._look_up)

    def _load_mail(self) -> None:
        import signalcraft.postman.mail

        _ = signalcraft.postman.mail, self.tls

    async def close(self) -> None:
        """Closes every kept connection."""
        for caller in self._pools or ():
            await caller.close()

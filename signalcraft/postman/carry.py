"""One step at a time to where it belongs: an HTTP call to a pool of connections, a mail to its server."""

from __future__ import annotations

from collections.abc import Sequence

from signalcraft.domain.addresses import Allowed
from signalcraft.domain.delivery import HttpCall, Reply, Step
from signalcraft.postman.calls import Caller
from signalcraft.postman.guard import Resolve, resolve
from signalcraft.postman.mail import hand_over
from signalcraft.postman.trust import trusted


class Postman:
    """Carries one step at a time, many at once. Belongs to one event loop.

    `allow`: networks (CIDR) and host names inside our own network that calls on a user's behalf may reach; `ca_file`: a
    PEM file of further authorities to trust, for mail and HTTPS alike. Raises BadSetting where either cannot be used.
    """

    def __init__(self, allow: Sequence[str] = (), ca_file: str = "", *, look_up: Resolve = resolve) -> None:
        self.tls = trusted(ca_file)
        self._guarded = Caller(self.tls, Allowed(allow), look_up)
        # Two pools, since a kept connection is reused by host and port: what the operator's own address opened
        # must not be there for a user's call to the same place.
        self._trusting = Caller(self.tls, None, look_up)

    async def send(self, step: Step) -> Reply:
        """What came back. Never raises, but for the caller's own cancellation; a fault is a Reply with status 0."""
        if isinstance(step, HttpCall):
            return await (self._trusting if step.private_ok else self._guarded).send(step)
        return await hand_over(step, self.tls)

    async def close(self) -> None:
        """Closes every kept connection."""
        await self._guarded.close()
        await self._trusting.close()

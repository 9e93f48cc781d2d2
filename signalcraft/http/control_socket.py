"""`<data-dir>/control.sock`: where the owner's door opens while the program serves (see `http.control`)."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from granian.constants import Interfaces
from granian.server.embed import Server

from signalcraft.http.owner import SOCKET, App, controlled


class ControlServer:
    """Serves an app on the control socket of a data directory whose lock this process holds."""

    def __init__(self, app: App, data_dir: Path) -> None:
        self.path = data_dir / SOCKET
        self._data_dir = data_dir
        self._server = Server(
            controlled(app), interface=Interfaces.ASGINL, uds=self.path, log_enabled=False, websockets=False
        )
        self._server.uds_permissions = 0o600  # not an argument of the embedded server
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listens when it returns. A socket that a killed process left is replaced. Raises OSError."""
        # Bound inside a directory of our own and moved: at no moment could anybody else open it. Through the descriptor
        # of that directory, because a socket's whole path may not be longer than 107 bytes.
        private = Path(tempfile.mkdtemp(prefix=".control-", dir=self._data_dir))
        fd = os.open(private, os.O_RDONLY | os.O_DIRECTORY)
        listening = asyncio.Event()
        self._server.bind_uds = Path(f"/proc/self/fd/{fd}/{SOCKET}")
        self._server.on_startup(listening.set)
        try:
            self._task = asyncio.create_task(self._server.serve(), name="control")
            started = asyncio.create_task(listening.wait())
            await asyncio.wait({self._task, started}, return_when=asyncio.FIRST_COMPLETED)
            started.cancel()
            if self._task.done():
                await self._task
                raise OSError(f"the control socket {self.path} could not be opened")
            (private / SOCKET).replace(self.path)
        finally:
            self._server.bind_uds = None
            os.close(fd)
            os.rmdir(private)

    async def stop(self) -> None:
        """Refuses further requests and removes the socket; nothing happens where it was not started."""
        if self._task is None:
            return
        self.path.unlink(missing_ok=True)
        self._server.stop()  # type: ignore[no-untyped-call]
        task, self._task = self._task, None
        await task

"""A real SFTP server (asyncssh) on a folder, with one person, a password and a key of its own."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import TracebackType

import asyncssh

from tests.world import free_port

USER, PASSWORD = "copies", 'it\'s a "$secret"'


class _Door(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)


class Sftp:
    """Use as a context manager. `host_key`: the line that ssh-keyscan would print."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = f"127.0.0.1 {self._key.export_public_key().decode().strip()}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sftp", daemon=True)

    def __enter__(self) -> Sftp:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(60)
        return self

    def __exit__(self, kind: type[BaseException] | None, it: BaseException | None, trace: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _listen(self) -> asyncssh.SSHAcceptor:
        def root(channel: asyncssh.SSHServerChannel) -> asyncssh.SFTPServer:
            return asyncssh.SFTPServer(channel, chroot=str(self.folder).encode())

        return await asyncssh.create_server(
            _Door, "127.0.0.1", self.port, server_host_keys=[self._key], sftp_factory=root
        )

    async def _end(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """As `replica.url` spells it."""
        return f"sftp://{USER}@127.0.0.1:{self.port}/hub"

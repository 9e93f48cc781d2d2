"""How a command reaches the house: the control socket of the running process, or the same app opened right here.

One code path for both: a command speaks HTTP to the API and cannot tell which of the two answered.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from msgspec import Struct

from signalcraft.cli.options import Where
from signalcraft.cli.terminal import note
from signalcraft.errors import Fault
from signalcraft.http.owner import ACTOR_HEADER, SOCKET, WORKSPACE_HEADER, controlled
from signalcraft.storage.lock import DataLock, Held

if TYPE_CHECKING:
    import httpx

    from signalcraft.config import Loaded

_BASE = "http://signalcraft"  # no name is looked up: the transport is the socket, or the app itself
_TIMEOUT_S = 60.0
_PATIENCE_S = 15.0
_PATH_MAX = 100  # a Unix socket's path may have 107 bytes (unix(7))


class Answer(Struct, frozen=True):
    """What the API said. `body` is the raw bytes."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON; None where there is none."""
        return msgspec.json.decode(self.body) if self.body else None


class Refusal(Fault):
    """The API refused: its problem+json as a fault."""

    def __init__(self, answer: Answer) -> None:
        try:
            problem = msgspec.json.decode(answer.body)
        except msgspec.DecodeError:
            problem = {}
        if not isinstance(problem, dict):
            problem = {}
        errors = tuple((str(e.get("path", "")), str(e.get("message", ""))) for e in problem.get("errors") or ())
        super().__init__(str(problem.get("detail") or problem.get("title") or f"HTTP {answer.status}"), errors=errors)
        self.status = answer.status
        self.code = str(problem.get("code") or "refused")


class _Door(Protocol):
    """Carries one request to the house."""

    def send(self, request: httpx.Request) -> httpx.Response: ...


class Client:
    """The API, as its owner. `live` tells whether a running process answers."""

    def __init__(self, door: _Door, *, live: bool, workspace: str = "default") -> None:
        self.live = live
        self._door = door
        self._headers = {WORKSPACE_HEADER: workspace, ACTOR_HEADER: _person()}

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The answer's JSON. Raises Refusal."""
        return self.request("GET", path, query=query).json()

    def every(self, path: str) -> list[Any]:
        """Every item of a list, page by page. Raises Refusal."""
        items: list[Any] = []
        cursor = ""
        while True:
            page = self.get(path, {"limit": "100", **({"cursor": cursor} if cursor else {})})
            items += page["items"]
            cursor = page.get("next") or ""
            if not cursor:
                return items

    def post(self, path: str, body: Any = None, query: Mapping[str, str] | None = None) -> Any:
        """The same for POST, with a JSON body. Raises Refusal."""
        content = msgspec.json.encode(body) if body is not None else b""
        return self.request("POST", path, content, {"content-type": "application/json"}, query).json()

    def patch(self, path: str, body: Any) -> Any:
        """The same for PATCH. Raises Refusal."""
        content = msgspec.json.encode(body)
        return self.request("PATCH", path, content, {"content-type": "application/json"}).json()

    def delete(self, path: str) -> Any:
        """The same for DELETE. Raises Refusal."""
        return self.request("DELETE", path).json()

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        *,
        faults: bool = True,
    ) -> Answer:
        """One request. Raises Refusal for a status from 400 on (not where `faults` is False: then it is returned)."""
        import httpx

        request = httpx.Request(
            method, _BASE + path, params=query or None, content=body, headers={**self._headers, **(headers or {})}
        )
        request.extensions["timeout"] = httpx.Timeout(_TIMEOUT_S, connect=5.0).as_dict()
        response = self._door.send(request)
        answer = Answer(response.status_code, response.content)
        if faults and answer.status >= 400:
            raise Refusal(answer)
        return answer


@contextmanager
def connect(where: Where, verb: str) -> Iterator[Client]:
    """The house of a data directory: the one that serves it now, else one opened for this command alone.

    Raises BadSetting, and Held where another process has the directory and does not answer.
    """
    loaded = where.loaded()
    with ExitStack() as stack:
        door: _Door
        lock = lock_or_socket(loaded.settings.data.path, verb)
        if lock is None:
            door = stack.enter_context(_Live(loaded.settings.data.path))
        else:
            door = stack.enter_context(_Direct(loaded, lock))
        yield Client(door, live=lock is None, workspace=where.workspace)


@contextmanager
def beside(data_dir: Path, workspace: str = "default") -> Iterator[Client]:
    """The process that serves a data directory now. Raises OSError (httpx.ConnectError) where none does."""
    with _Live(data_dir) as door:
        yield Client(door, live=True, workspace=workspace)


def lock_or_socket(data_dir: Path, verb: str) -> DataLock | None:
    """The lock, taken; None where another process holds it and its control socket answers."""
    deadline = time.monotonic() + _PATIENCE_S
    told = False
    while True:
        lock = DataLock(data_dir)
        try:
            lock.take(verb)
            return lock
        except Held as fault:
            if answers(data_dir):
                return None
            if time.monotonic() > deadline:
                raise Held(f"{fault.detail}, which does not answer on {data_dir / SOCKET}") from None
            if not told and time.monotonic() > deadline - _PATIENCE_S + 2:
                note(f"{fault.detail}; waiting for it")
                told = True
            time.sleep(0.05)


def answers(data_dir: Path) -> bool:
    """Whether somebody listens on the control socket."""
    import socket

    with ExitStack() as stack, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(_short(data_dir, stack))
        except OSError:
            return False
        return True


def _short(data_dir: Path, stack: ExitStack) -> str:
    """A path of the control socket that is short enough for the kernel, good until the stack ends. Raises OSError."""
    path = str(data_dir / SOCKET)
    if len(os.fsencode(path)) <= _PATH_MAX:
        return path
    fd = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    stack.callback(os.close, fd)
    return f"/proc/self/fd/{fd}/{SOCKET}"


class _Live:
    """The control socket of a running process."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._stack = ExitStack()
        self._client: httpx.Client

    def __enter__(self) -> _Live:
        import httpx

        # A socket of this machine: reading the list of authorities would take longer than most answers.
        transport = httpx.HTTPTransport(uds=_short(self._data_dir, self._stack), verify=False)
        self._client = self._stack.enter_context(httpx.Client(transport=transport, trust_env=False))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def send(self, request: httpx.Request) -> httpx.Response:
        import httpx

        try:
            return self._client.send(request)
        except httpx.TransportError as fault:
            why = str(fault) or type(fault).__name__
            raise Fault(f"the running process did not answer on {self._data_dir / SOCKET}: {why}") from None


class _Direct:
    """The house, opened by this process under the lock it has taken; nothing listens and nothing is sent."""

    def __init__(self, loaded: Loaded, lock: DataLock) -> None:
        self._loaded = loaded
        self._lock = lock
        self._runner = asyncio.Runner()
        self._client: httpx.AsyncClient

    def __enter__(self) -> _Direct:
        from signalcraft import logs
        from signalcraft.config.model import Log

        logs.setup(Log(level="warning"))
        try:
            self._runner.run(self._open())
        except BaseException:
            self._lock.release()
            self._runner.close()
            raise
        return self

    async def _open(self) -> None:
        import httpx

        from signalcraft.http.app import asked_app
        from signalcraft.main import open_house

        self._house, _ = open_house(self._loaded.settings, lock=self._lock)
        self._house.backups.materials.ran_with(self._loaded)
        transport = httpx.ASGITransport(app=controlled(asked_app(self._house)), raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, trust_env=False)

    def __exit__(self, *_: object) -> None:
        try:
            self._runner.run(self._close())
        finally:
            self._runner.close()

    async def _close(self) -> None:
        from signalcraft.main.build import close_house

        await self._client.aclose()
        await close_house(self._house, self._lock)

    def send(self, request: httpx.Request) -> httpx.Response:
        return self._runner.run(self._send(request))

    async def _send(self, request: httpx.Request) -> httpx.Response:
        import httpx

        sent = httpx.Request(
            request.method, request.url, headers=request.headers, content=request.content, extensions=request.extensions
        )
        return await self._client.send(sent)


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        return str(os.getuid())

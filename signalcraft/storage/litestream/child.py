"""Litestream as a child process: started, asked over its control socket, ended with a last sync; never two at a time.

It dies with us: the kernel kills it when this process ends in whatever way (prctl PR_SET_PDEATHSIG), and it holds a
lock through a descriptor that it inherits, so that a start finds and ends one that lives on all the same.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import json
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final, cast

from msgspec import Struct

from signalcraft.config.replica import Replica
from signalcraft.errors import NoReplica
from signalcraft.storage import children
from signalcraft.storage.litestream.command import environment, private_folder, sentence, settings_file
from signalcraft.storage.litestream.places import FOLDER, Place, database_of

log = logging.getLogger(__name__)

END_S: Final = 30.0
"""How long the last sync may take."""
_SOCKET: Final = "control"
_CHANGES: Final = "changes"
_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG, prctl(2)
_SAME_AGAIN_S: Final = 60.0
_QUIET: Final = frozenset({"compaction complete", "snapshot complete", "l0 retention enforced"})

_libc = ctypes.CDLL(None, use_errno=True)


class Synced(Struct, frozen=True):
    """What the child said after a sync that reached the replica. `txid`: of the last change that is there."""

    txid: int
    took_s: float


class Child:
    """One Litestream on one data directory. Used on the event loop, which must live as long as the child shall."""

    def __init__(self, data_dir: Path, replica: Replica) -> None:
        self._replica = replica
        self._database = data_dir / "signalcraft.db"
        self.folder = data_dir / FOLDER
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        self._said: dict[str, float] = {}
        self.last_words = ""
        """The last thing that it complained of, as a sentence."""

    @property
    def pid(self) -> int | None:
        """Its process number while it runs."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    @property
    def ended(self) -> int | None:
        """Its exit code, once it has ended by itself."""
        return None if self._process is None else self._process.poll()

    def start(self, place: Place) -> None:
        """Starts it. Raises BadSetting where the binary is missing, NoReplica where an earlier one cannot be ended."""
        binary = children.litestream()
        private_folder(self.folder)
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        here = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _alone(lock, self.folder)
            (self.folder / _SOCKET).unlink(missing_ok=True)
            file = self.folder / "litestream.yml"
            file.unlink(missing_ok=True)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
                opened.write(settings_file(self._replica, socket=True))
            # A socket's whole path may not be longer than 107 bytes; through a descriptor of its folder it never is.
            socket = f"/proc/self/fd/{here}/{_SOCKET}"
            sub = database_of(place.generation)
            self._process = subprocess.Popen(  # noqa: S603 - the binary that came with the package
                [str(binary), "replicate", "-config", str(file)],
                env=environment(self._replica, self._database, self.folder / _CHANGES, sub, socket),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(lock, here),
                start_new_session=True,  # Ctrl-C on a terminal is for us alone: we end it after the writer
                preexec_fn=die_with_parent(os.getpid()),  # noqa: PLW1509 - one call into the C library
            )
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{self._process.pid}\n".encode(), 0)
        finally:
            os.close(lock)
            os.close(here)
        self._said.clear()
        heard = cast(IO[bytes], self._process.stderr)
        self._listener = threading.Thread(target=self._listen, args=(heard,), name="replica-log", daemon=True)
        self._listener.start()
        log.info("the replica is kept", extra={"pid": self._process.pid, "generation": place.generation})

    async def sync(self, timeout_s: float) -> Synced:
        """Everything committed until now is in the replica when this returns. Raises NoReplica."""
        began_s = time.monotonic()
        body = {"path": str(self._database), "wait": True, "timeout": max(int(timeout_s), 1)}
        try:
            answer = await asyncio.wait_for(self._ask("POST", "/sync", body), timeout_s + 1)
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError) as problem:
            why = self.last_words or f"Litestream does not answer ({type(problem).__name__})"
            raise NoReplica(why) from None
        if "error" in answer:
            raise NoReplica(sentence(self._replica, str(answer["error"])))
        if answer.get("replicated_txid") != answer.get("txid"):
            raise NoReplica(self.last_words or "not everything has reached the replica yet")
        return Synced(int(answer["txid"]), time.monotonic() - began_s)

    async def _ask(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{fd}/{_SOCKET}")
        finally:
            os.close(fd)
        try:
            raw = json.dumps(body).encode()
            head = f"{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
            writer.write(head.encode() + raw)
            await writer.drain()
            answer = await reader.read()
        finally:
            writer.close()
        found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
        return found

    async def end(self, timeout_s: float = END_S) -> bool:
        """Asks it to sync a last time and end, and kills it where it does not. False: it had to be killed."""
        process, self._process = self._process, None
        if process is None:
            return True
        if process.poll() is None:
            process.terminate()
        in_time = await _waited(process, timeout_s)
        if not in_time:
            log.error("the replica's last sync did not end in time", extra={"seconds": timeout_s})
            process.kill()
            await _waited(process, 5)
        if self._listener is not None:
            await asyncio.to_thread(self._listener.join, 2)
        return in_time and process.returncode == 0

    def kill(self) -> None:
        """Ends it at once, as the kernel does when we are killed."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _listen(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                try:
                    self._hear(json.loads(line))
                except ValueError:
                    self.last_words = line.decode("utf-8", "replace").strip()[:300]

    def _hear(self, said: dict[str, Any]) -> None:
        level, text = str(said.get("level", "")), str(said.get("msg", ""))
        if level in ("ERROR", "WARN"):
            why = str(said.get("error", "") or said.get("err", ""))
            if level == "ERROR":
                self.last_words = sentence(self._replica, why or text)
            # What fails is tried again several times a second: once a minute is enough to read.
            if time.monotonic() - self._said.get(text, -_SAME_AGAIN_S) < _SAME_AGAIN_S:
                return
            self._said[text] = time.monotonic()
            log.warning("replica: %s", text, extra={"said": why[:500]})
        elif text not in _QUIET:
            log.debug("replica: %s", text)


def waiting(data_dir: Path) -> int:
    """The bytes of what changed and is kept beside the database: what the replica lacks, and some minutes more."""
    found = 0
    for folder, _, files in os.walk(data_dir / FOLDER / _CHANGES):
        for name in files:
            with suppress(OSError):  # it was sent meanwhile
                found += os.stat(os.path.join(folder, name)).st_size
    return found


def die_with_parent(parent: int) -> Callable[[], None]:
    def call() -> None:
        _libc.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return call


def _alone(lock: int, folder: Path) -> None:
    """Takes the lock that the child will inherit; one that an earlier child holds is taken from it by its end."""
    for attempt in range(100):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if attempt == 0:
                _end_left_over(lock, folder)
            time.sleep(0.05)
        else:
            return
    raise NoReplica("an earlier Litestream still runs on this data directory and could not be ended")


def _end_left_over(lock: int, folder: Path) -> None:
    text = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
    if not text.isdecimal():
        return
    pid = int(text)
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return
    if os.fsencode(folder) in command and b"litestream" in command:
        log.warning("an earlier Litestream lived on: it is ended", extra={"pid": pid})
        os.kill(pid, signal.SIGKILL)


async def _waited(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while process.poll() is None:
        if time.monotonic() > deadline_s:
            return False
        await asyncio.sleep(0.02)
    return True

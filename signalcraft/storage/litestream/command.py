"""Litestream's command line: its settings as a file, its secrets in its environment, its faults as sentences.

Every text goes into the file by way of the environment, which Litestream puts in (`${NAME}`): so no secret is on disk,
and no `$` of a path is taken for a variable.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from signalcraft.config.replica import Replica
from signalcraft.errors import NoReplica
from signalcraft.storage import children
from signalcraft.storage.litestream.scratch import Scratch

log = logging.getLogger(__name__)

PATIENCE_S: Final = 20.0
"""How long a look at a replica may take."""

_FILE: Final = """\
# Written by SignalCraft at each start of its replica: changes are lost. The values are in the process's environment.
socket: {enabled: %(socket)s, path: "${SC_SOCKET}", permissions: 0600}
logging: {type: json, level: info, stderr: true}
snapshot: {interval: %(snapshot)dh, retention: %(retention)dh}
shutdown-sync-timeout: 25s
dbs:
  - path: "${SC_DATABASE}"
    meta-path: "${SC_META}"
    monitor-interval: %(sync)dms
    truncate-page-n: %(truncate)d
    replica:
      sync-interval: %(sync)dms
"""
_WHERE: Final = {
    "file": ("type: file", 'path: "${SC_PATH}"'),
    "s3": ('url: "${SC_URL}"', 'access-key-id: "${SC_KEY_ID}"', 'secret-access-key: "${SC_SECRET}"'),
    "sftp": (
        'url: "${SC_URL}"',
        'password: "${SC_PASSWORD}"',
        'key-path: "${SC_KEY_PATH}"',
        'host-key: "${SC_HOST_KEY}"',
    ),
}
TRUNCATE_PAGES: Final = 12_288
"""48 MB: Litestream, which alone can empty the WAL while it reads it, does so at this size."""


def settings_file(replica: Replica, *, socket: bool) -> str:
    """The text of Litestream's settings file: nothing in it is secret."""
    if replica.kind not in _WHERE:
        raise NoReplica(f"{replica.url!r} is no address of a replica: file:///path, s3://bucket/prefix or sftp://…")
    sync_ms = max(round(replica.sync_s * 1000), 50)
    values = {
        "socket": "true" if socket else "false",
        "snapshot": replica.snapshot_hours,
        "retention": replica.retention_hours,
        "sync": sync_ms,
        "truncate": TRUNCATE_PAGES,
    }
    return _FILE % values + "".join(f"      {line}\n" for line in _WHERE[replica.kind])


def environment(replica: Replica, database: Path, meta: Path, sub: str, socket: str = "") -> dict[str, str]:
    """A child's environment. `sub`: what comes behind `replica.url`, without a slash in front."""
    values = {
        "SC_SOCKET": socket,
        "SC_DATABASE": str(database),
        "SC_META": str(meta),
        "SC_PATH": str(replica.folder / sub) if replica.kind == "file" else "",
        "SC_URL": below(replica.url, sub),
        "SC_KEY_ID": replica.access_key_id.reveal(),
        "SC_SECRET": replica.secret_access_key.reveal(),
        "SC_PASSWORD": replica.sftp_password.reveal(),
        "SC_KEY_PATH": replica.sftp_key_path,
        "SC_HOST_KEY": _host_key(replica.sftp_host_key),
    }
    quoted = {name: json.dumps(text)[1:-1] for name, text in values.items()}
    return {**children.environment(), **quoted}


def _host_key(line: str) -> str:
    """`ssh-keyscan` puts the host in front of the key; Litestream wants the key alone."""
    words = line.split()
    return " ".join(words[1:3] if len(words) > 2 and not words[0].startswith(("ssh-", "ecdsa-")) else words[:2])


def below(url: str, sub: str) -> str:
    """The address of something under a replica's."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{sub}"))


def shown(replica: Replica) -> str:
    """The address for people: what was asked of the server beside it is left out."""
    return urlunsplit(urlsplit(replica.url)._replace(query=""))


class Cli:
    """Litestream's command line on one part of a replica. Use it as a context manager."""

    def __init__(self, replica: Replica, sub: str, timeout_s: float | None = None) -> None:
        self._replica = replica
        self._sub = sub
        self._timeout_s = PATIENCE_S if timeout_s is None else timeout_s

    def __enter__(self) -> Cli:
        self._scratch = Scratch()
        self.folder = self._scratch.path
        (self.folder / "settings").write_text(settings_file(self._replica, socket=False), encoding="utf-8")
        self.database = self.folder / "database"
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.remove()

    def run(self, verb: str, *arguments: str) -> str:
        """What it prints. The database that it is asked about is `self.database`. Raises NoReplica, BadSetting."""
        command = [str(children.litestream()), verb, "-config", str(self.folder / "settings"), *arguments]
        if verb != "replicate":
            command.append(str(self.database))
        try:
            done = subprocess.run(  # noqa: S603 - the binary that came with the package
                command,
                env=environment(self._replica, self.database, self.folder / "meta", self._sub),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self._timeout_s,
                check=False,
                cwd=self.folder,
            )
        except subprocess.TimeoutExpired:
            raise NoReplica(
                f"the replica at {shown(self._replica)} did not answer in {self._timeout_s:.0f} s"
            ) from None
        if done.returncode:
            raise NoReplica(sentence(self._replica, done.stderr or done.stdout))
        return done.stdout


def listed(replica: Replica, sub: str) -> list[dict[str, Any]]:
    """The files of a database's copy, [] where there is none. Raises NoReplica where it cannot be asked."""
    with Cli(replica, sub) as cli:
        found: list[dict[str, Any]] = json.loads(cli.run("ltx", "-level", "all", "-json") or "[]") or []
    return found


_KNOWN: Final[Sequence[tuple[str, str]]] = (
    ("InvalidAccessKeyId", "the access key is not known there: look at replica.access_key_id"),
    ("SignatureDoesNotMatch", "the access key's secret is wrong: look at replica.secret_access_key"),
    ("AccessDenied", "access is denied: the key may not read and write there"),
    ("403", "access is denied: look at replica.access_key_id and replica.secret_access_key"),
    ("NoSuchBucket", "there is no such bucket"),
    ("get credentials", "no access key is set: replica.access_key_id and replica.secret_access_key"),
    ("unable to authenticate", "the server does not let us in: look at replica.sftp_password or replica.sftp_key_path"),
    ("host key mismatch", "the server's key is another one than replica.sftp_host_key: somebody may be on the way"),
    ("cannot parse sftp host key", "replica.sftp_host_key is no key: give the line that ssh-keyscan prints"),
    ("permission denied", "it may not be written: look at the permissions there"),
    ("no space left", "the disk there is full"),
    ("connection refused", "nobody answers there"),
    ("no such host", "there is no such host"),
    ("i/o timeout", "nobody answers there"),
    (
        "integrity check failed",
        "the copy is not sound, SQLite's integrity check refuses it: restore an earlier moment (--at) or a backup",
    ),
    ("no matching backup files", "there is no copy of a database"),
    ("timestamp does not exist", "it holds nothing of that moment"),
)


def sentence(replica: Replica, said: str) -> str:
    """What Litestream said of its failure, for people."""
    last = (said.strip().splitlines() or ["it said nothing"])[-1].removeprefix("Error: ")
    for sign, meaning in _KNOWN:
        if sign.lower() in said.lower():
            return f"the replica at {shown(replica)}: {meaning}"
    return f"the replica at {shown(replica)}: {last[:300]}"


def private_folder(folder: Path) -> None:
    """Makes a folder that is its owner's alone."""
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chmod(folder, 0o700)

"""systemd is asked for more time while the database is migrated, and told what is done."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from signalcraft.config import load
from signalcraft.main import build
from signalcraft.storage.db import Db
from tests.storage.schemas import draw


def test_systemd_is_asked_for_more_time_while_the_database_is_migrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(str(tmp_path / "notify"))
    heard.settimeout(5)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    file = draw.laid(9, tmp_path / "data")
    settings = load(overrides={"data.dir": str(file.parent)}, environ={}).settings
    db = Db(file)
    build._bring_up(settings, file.parent, lambda: 1_772_500_000_000, db, None)
    db.stop()
    said = []
    heard.setblocking(False)
    while True:
        try:
            said.append(heard.recv(4096).decode())
        except BlockingIOError:
            break
    heard.close()
    assert "EXTEND_TIMEOUT_USEC=90000000" in said
    assert any(line.startswith("STATUS=the database is at schema 9") for line in said)
    assert any(line.startswith("STATUS=the backup is before/") for line in said)

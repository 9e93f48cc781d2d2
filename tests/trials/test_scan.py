"""The scan for secrets finds what is hidden from a plain search."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import pickle
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import zstandard

from tests.trials.scan import Leak, Permit, Scan

CANARY = 'xoxb-canary-"quoted\\é&<+/=%41-0123456789'


def folded(text: str) -> dict[str, bytes]:
    """One text in many foldings."""
    raw = text.encode()
    as_json = json.dumps({"deep": [{"er": text}]}).encode()
    return {
        "plain": b"before " + raw + b" after",
        "JSON with \\u": as_json,
        "JSON in JSON": json.dumps({"body": as_json.decode()}).encode(),
        "zstd": zstandard.ZstdCompressor().compress(as_json * 20),
        "zstd inside other bytes": b"\x0d\x00\x07" + zstandard.ZstdCompressor().compress(raw * 9) + b"\x00\x01",
        "gzip in base64": base64.b64encode(gzip.compress(raw)),
        "base64": b"x=" + base64.b64encode(raw),
        "base64 of user:password": base64.b64encode(b"\0user\0" + raw),
        "base64, wrongly aligned": b"abc" + base64.b64encode(b"zz" + raw + b"zz"),
        "base64 for addresses": base64.urlsafe_b64encode(as_json),
        "hex": raw.hex().encode(),
        "hex in JSON": json.dumps([raw.hex().upper()]).encode(),
        "percent": b"/webhooks/" + "".join(f"%{byte:02x}" for byte in raw).encode(),
        "repr": repr({"password": text}).encode(),
        "repr of bytes": repr(raw).encode(),
        "pickle": pickle.dumps({"args": [text]}),
        "UTF-16": text.encode("utf-16-le"),
        "HTML": text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;").encode(),
        "cut at its end": raw[:30],
        "cut at its beginning": raw[-25:],
    }


@pytest.mark.parametrize("how", folded(""))
def test_the_scan_unfolds(how: str) -> None:
    scan = Scan({"canary": CANARY})
    scan.look("here", folded(CANARY)[how])
    assert scan.places("canary") == {"here"}
    scan = Scan({"canary": CANARY})
    scan.look("here", folded("xoxb-another-0123456789-which-is-none-of-ours-at-all")[how])
    assert scan.leaks == []


def test_the_scan_finds_what_stands_in_a_data_directory(tmp_path: Path) -> None:
    """In a packed column, in a row that was deleted, in the write-ahead log alone, in Huey's file, in a stray file."""
    places = ("packed", "gone", "logged", "queued", "stray")
    canaries = {place: hashlib.sha256(place.encode()).hexdigest() for place in places}
    with closing(sqlite3.connect(tmp_path / "signalcraft.db", isolation_level=None)) as main:
        main.execute("pragma secure_delete = off")
        main.execute("create table inbox (id integer primary key, body blob, note text)")
        packed = zstandard.ZstdCompressor().compress(json.dumps({"a": canaries["packed"]}).encode() * 500)
        main.execute("insert into inbox values (1, ?, null)", (packed,))
        main.execute("insert into inbox values (2, null, ?)", (canaries["gone"],))
        main.execute("delete from inbox where id = 2")
        main.execute("pragma journal_mode = wal").fetchall()
        main.execute("pragma wal_autocheckpoint = 0").fetchall()
        main.execute("insert into inbox values (3, null, ?)", (canaries["logged"],))
        with closing(sqlite3.connect(tmp_path / "huey.db")) as huey:
            huey.execute("create table task (data blob)")
            huey.execute("insert into task values (?)", (pickle.dumps(("each_minute", [canaries["queued"]])),))
            huey.commit()
        (tmp_path / "below").mkdir()
        (tmp_path / "below" / "stray").write_text(canaries["stray"])
        scan = Scan(canaries)
        scan.folder(tmp_path)
    assert "signalcraft.db inbox.body" in scan.places("packed")
    assert scan.places("gone") == {"file signalcraft.db"}
    assert scan.places("logged") == {"file signalcraft.db-wal", "signalcraft.db inbox.note"}
    assert scan.places("queued") == {"file huey.db", "huey.db task.data"}
    assert scan.places("stray") == {"file below/stray"}


def test_the_scan_finds_what_stands_in_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    lines = [{"message": "fine"}, {"exception": f"Traceback\n  KeyError: {CANARY!r}"}]
    log.write_text("\n".join(json.dumps(line) for line in lines) + f"\nno JSON: {json.dumps(CANARY)}\n")
    scan = Scan({"canary": CANARY})
    assert len(scan.log(log)) == 3
    assert scan.places("canary") == {"log"}


def test_a_permit_is_for_its_place_and_must_be_needed() -> None:
    permits = (Permit("canary", "here", "so it is"), Permit("canary", "elsewhere", "never"))
    scan = Scan({"canary": CANARY}, permits)
    scan.look("here", CANARY)
    scan.look("there", CANARY)
    assert scan.leaks == [Leak("canary", "there", "plain")]
    assert scan.unused == [permits[1]]

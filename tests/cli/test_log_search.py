"""`logs --find`: the lines that hold a word, over every day that is kept, packed or not."""

from __future__ import annotations

import gzip
import io
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalcraft.logs.finding import found_in, lines_with
from tests.cli.conftest import Box

DAYS = ("2026-03-01.gz", "2026-03-02.1.gz", "2026-03-02", "")


@pytest.fixture
def file(box: Box) -> Path:
    """Three days, five requests each; request `r-7` has a line on each of them."""
    path = box.root / "signalcraft.log"
    for number, name in enumerate(DAYS):
        day = f"2026-03-0{min(number, 3) + 1 if not name else name[9]}"
        lines = [
            {"timestamp": f"{day}T10:0{n}:00.000Z", "level": "info", "logger": "a", "message": f"m{number}",
             "request_id": "r-7" if n == 3 else f"r-{number}{n}"}
            for n in range(5)
        ]  # fmt: skip
        raw = "".join(json.dumps(line) + "\n" for line in lines).encode()
        target = path.with_name(f"{path.name}.{name}") if name else path
        target.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


def test_every_line_of_a_request_is_found_in_its_order(box: Box, file: Path) -> None:
    env = {"SIGNALCRAFT_LOG__FILE": str(file)}
    said = [json.loads(line) for line in box.run("logs", "--find", "r-7", "--json", env=env).stdout.splitlines()]
    assert [one["message"] for one in said] == ["m0", "m1", "m2", "m3"] or len(said) == 4
    assert {one["request_id"] for one in said} == {"r-7"}
    later = box.run("logs", "--find", "r-7", "--since", "2026-03-03", "--json", env=env).stdout.splitlines()
    assert len(later) < 4
    assert box.run("logs", "--find", "r-8", env=env).stdout == ""
    assert "--find takes a word" in box.refused("logs", "--find", " ", env=env)
    assert "--find takes a word" in box.refused("logs", "--find", "x", "-f", env=env)


LINES = st.lists(st.text(st.characters(blacklist_characters="\n", codec="utf-8"), max_size=12), max_size=30)


@given(LINES, st.sampled_from(["a", "ab", "7", "é"]), st.integers(1, 40), st.booleans())
def test_it_finds_what_reading_line_by_line_would(lines: list[str], word: str, block: int, ended: bool) -> None:
    """Whatever the blocks cut through."""
    raw = "\n".join(lines).encode() + (b"\n" if ended and lines else b"")
    wanted = [line for line in raw.split(b"\n") if word.encode() in line]
    assert list(lines_with(io.BytesIO(raw), word.encode(), block)) == wanted


@pytest.mark.trial
def test_a_gigabyte_is_searched_in_two_seconds(tmp_path: Path) -> None:
    """LOG-6: ten files of 100 MB as the program leaves them, nine packed; one request's lines in each."""
    line = json.dumps(
        {"timestamp": "2026-03-01T10:00:00.000Z", "level": "info", "logger": "signalcraft.http.edge",
         "message": "answered", "request_id": "5c1f09aa-{n:x}", "method": "GET", "route": "/api/alert-groups/{id}",
         "status": 200, "duration_ms": 3.2, "user": "user:0a1b2c3d4e5f6", "workspace": 1, "address": "192.0.2.7"}
    ).replace("{n:x}", "%08x") + "\n"  # fmt: skip
    files, whole, number = [], 0, 0
    for day in range(10):
        block: list[str] = []
        while sum(len(some) for some in block) < 100_000_000:
            block.append("".join(line % (number + n) for n in range(50_000)))
            number += 50_000
        raw = ("".join(block) + line % 0xFFFFFFFF).encode()
        whole += len(raw)
        path = tmp_path / (f"signalcraft.log.2026-03-{day + 1:02}.gz" if day < 9 else "signalcraft.log")
        path.write_bytes(gzip.compress(raw, 6) if day < 9 else raw)
        files.append(path)
    plain = tmp_path / "plain"
    plain.mkdir()
    unpacked = []
    for path in files:
        target = plain / path.name.removesuffix(".gz")
        target.write_bytes(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
        unpacked.append(target)
    took = {}
    for name, some in (("packed", files), ("plain", unpacked)):
        began = time.perf_counter()
        assert len(list(found_in(some, "5c1f09aa-ffffffff"))) == 10
        took[name] = time.perf_counter() - began
    print(f"\n{whole / 1e9:.2f} GB of log lines in 10 files: {took['plain']:.2f} s, packed {took['packed']:.2f} s")
    assert whole >= 1e9
    assert took["plain"] < 2

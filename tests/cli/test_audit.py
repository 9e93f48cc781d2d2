"""`signalcraft audit` beside a running process and alone, and the rows of what only commands can do."""

from __future__ import annotations

import csv
import io
import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Box

PASSWORD = "tractor-lunar-vivid\n"
SAM = "sam@example.com"
_EDIT = """
import apsw, sys
file = apsw.Connection(sys.argv[1])
file.set_busy_timeout(5000)
for statement in sys.argv[2:]:
    file.execute(statement).fetchall()
"""


def exported(box: Box) -> list[dict[str, Any]]:
    return [json.loads(line) for line in box.run("audit", "export").stdout.splitlines()]


def tampered(box: Box, *statements: str) -> None:
    """In a process of its own: another library on this file would drop our locks."""
    subprocess.run([sys.executable, "-c", _EDIT, str(box.data / "signalcraft.db"), *statements], check=True, timeout=30)


def test_what_only_commands_do_is_one_row_each(either: Box) -> None:
    either.run("user", "add", SAM, "--role", "owner", "--password-stdin", stdin=PASSWORD)
    either.run("user", "reset-password", SAM, "--password-stdin", stdin="quilted-Fjord-otter-8\n")
    file = either.root / "it.toml"
    file.write_text('[[integrations]]\nname = "prod"\nkind = "sentry"\n')
    either.run("apply", str(file))
    either.run("send", "sentry", "--integration", "prod")
    found = exported(either)
    assert [row["verb"] for row in found] == ["person_added", "password_reset", "config.applied", "asked"]
    assert found[-1]["what"]["data"]["route"].startswith("POST /control/integrations/")
    assert all(row["who"]["id"].startswith("local:") for row in found)


@pytest.mark.whole
def test_what_is_done_with_the_master_key_is_one_row_each_and_the_chain_outlives_it(either: Box) -> None:
    words = either.root / "words"
    words.write_text("quilted-Fjord-otter-8-quilted\n")
    words.chmod(0o600)
    sealed = ("--passphrase-file", str(words))
    either.run("keys", "export", "-o", str(either.root / "escrow.json"), *sealed)
    either.run("export", "--with-secrets", "-o", str(either.root / "all.sealed"), *sealed)
    either.run("keys", "rotate")
    found = exported(either)
    assert [row["verb"] for row in found] == ["master_key_exported", "secrets_exported", "master_key_rotated"]
    assert either.run("audit", "verify").stdout.startswith("The audit log of default holds: 3 rows.")


def test_verify_says_that_it_holds_and_where_it_ends(either: Box) -> None:
    either.run("user", "add", SAM, "--role", "owner", "--password-stdin", stdin=PASSWORD)
    said = either.run("audit", "verify").stdout
    assert said.startswith("The audit log of default holds: 1 rows.\nhead 1:")
    head = said.split()[-1]
    either.run("user", "add", "kim@example.com", "--password-stdin", stdin=PASSWORD)
    verdict = json.loads(either.run("audit", "verify", "--json", "--head", head).stdout)
    assert (verdict["holds"], verdict["rows"]) == (True, 2)
    assert "does NOT hold: row 1" in either.run("audit", "verify", "--head", f"1:{'00' * 32}", code=1).stdout
    assert "64 hexadecimal digits" in either.refused("audit", "verify", "--head", "nonsense")


@pytest.mark.whole
def test_verify_names_the_row_that_was_changed(either: Box) -> None:
    for name in ("sam", "kim", "lee"):
        either.run("user", "add", f"{name}@example.com", "--role", "owner", "--password-stdin", stdin=PASSWORD)
    change = "update audit set what = replace(what, 'kim', 'eve') where seq = 2"
    tampered(either, "drop trigger audit_unchanged", change)
    said = either.run("audit", "verify", code=1).stdout
    assert said == "The audit log of default does NOT hold: row 2: its what is not as it was written.\n"
    tampered(either, "drop trigger audit_kept", "delete from audit where seq > 1")
    assert "row 2: it is gone, and every row behind it up to 3" in either.run("audit", "verify", code=1).stdout


@pytest.mark.whole
def test_the_log_as_csv_goes_into_a_file_of_the_owners(either: Box) -> None:
    either.run("user", "add", "sam@example.com", "--role", "owner", "--password-stdin", stdin=PASSWORD)
    file = either.root / "audit.csv"
    done = either.run("audit", "export", "--format", "csv", "-o", str(file))
    assert done.stderr == f"1 rows written to {file}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [row["verb"] for row in csv.DictReader(io.StringIO(file.read_text()))] == ["person_added"]
    assert either.run("audit", "export", "--until", "2026-01-01T00:00:00Z").stdout == ""


def test_a_long_log_is_exported_in_parts(tmp_path: Path) -> None:
    """More rows than one part, in both forms, none twice and none left out."""
    from signalcraft.cli import audit

    class Answer:
        def __init__(self, body: bytes) -> None:
            self.body = body

    class Server:
        def request(self, method: str, path: str, *, query: dict[str, str]) -> Answer:
            after, form = int(query["after"]), query["format"]
            numbers = range(after + 1, min(after + int(query["most"]), 4500) + 1)
            if form == "csv":
                head = b'"seq","at"\r\n' if not after else b""
                return Answer(head + b"".join(b'"%d","a, ""b"""\r\n' % n for n in numbers))
            return Answer(b"".join(b'{"seq":%d}\n' % n for n in numbers))

    for form in ("csv", "jsonl"):
        out = io.BytesIO()
        query = {"format": form, "most": "2000"}
        assert audit._write(Server(), query, out) == 4500  # type: ignore[arg-type]
        lines = out.getvalue().decode().splitlines()
        numbers = (
            [int(row[0]) for row in csv.reader(lines[1:])] if form == "csv" else [json.loads(x)["seq"] for x in lines]
        )
        assert numbers == list(range(1, 4501))

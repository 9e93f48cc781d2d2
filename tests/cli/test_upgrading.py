"""`upgrade` and `rollback` of the program file: small files that run this program under another version and schema."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from signalcraft.errors import Conflict
from signalcraft.storage import before, installed, migrate
from signalcraft.storage.rehearsal import level_of
from tests.cli.conftest import Box
from tests.cli.prefix import BAD, GOOD, Prefix, ahead, release, served
from tests.cli.test_migrating import add_event


@pytest.mark.whole
def test_an_upgrade_checks_on_a_copy_switches_and_keeps_three(prefix: Prefix) -> None:
    assert prefix.current() == "versions/1.0.0"
    checked = prefix.upgrade(release(prefix.files, "1.1.0", GOOD), "--check")
    assert (checked["installed"], checked["pending"]) == (False, ["9001_next"])
    assert prefix.current() == "versions/1.0.0"
    done = prefix.upgrade(prefix.files / "signalcraft-1.1.0")
    assert (done["version"], done["was"], done["installed"]) == ("1.1.0", "1.0.0", True)
    assert prefix.current() == "versions/1.1.0"
    assert level_of(prefix.box.data / "signalcraft.db") == migrate.newest(), "the start migrates, not the switch"
    for version in ("1.2.0", "1.10.0", "1.11.0"):
        prefix.upgrade(release(prefix.files, version, GOOD))
    assert prefix.versions() == ["1.10.0", "1.11.0", "1.2.0"]
    shown = json.loads(prefix.box.run("upgrade", "--check", "--prefix", str(prefix.path), "--json").stdout)
    assert (shown["current"], len(shown["versions"])) == ("1.11.0", 3)
    assert (prefix.path / "current" / "signalcraft").stat().st_mode & 0o777 == 0o755


def test_what_cannot_be_installed_changes_nothing(prefix: Prefix) -> None:
    file = release(prefix.files, "2.0.0", BAD)
    assert "2.0.0 cannot migrate this database" in str(prefix.upgrade(file, code=1)["stderr"])
    assert "9001_next cannot be applied" in str(prefix.upgrade(file, "--check", code=1)["stderr"])
    older = release(prefix.files, "0.9.0")
    assert "is older than 1.0.0" in str(prefix.upgrade(older, code=1)["stderr"])
    assert "is the one in use" in str(prefix.upgrade(release(prefix.files, "1.0.0"), code=1)["stderr"])
    good = release(prefix.files, "2.1.0")
    with good.open("a") as file_:
        file_.write("# changed on its way\n")
    assert "is not what its sum says" in str(prefix.upgrade(good, code=1)["stderr"])
    good.with_name(f"{good.name}.sha256").unlink()
    assert "give --sha256 HEX" in str(prefix.upgrade(good, code=2)["stderr"])
    nonsense = prefix.files / "nonsense"
    nonsense.write_text("#!/bin/sh\necho hello\n")
    digest = hashlib.sha256(nonsense.read_bytes()).hexdigest()
    assert "failed" in str(prefix.upgrade(nonsense, "--sha256", digest, code=2)["stderr"])
    assert (prefix.current(), prefix.versions()) == ("versions/1.0.0", ["1.0.0"])
    assert not (prefix.path / "versions" / ".incoming" / "signalcraft").exists()


def signature(file: Path, key: SigningKey, key_id: bytes = b"8 bytes.") -> tuple[Path, str]:
    """As minisign writes it: the signature of the file's BLAKE2b, and its public key."""
    said = b"ED" + key_id + key.sign(hashlib.blake2b(file.read_bytes(), digest_size=64).digest()).signature
    comment = "timestamp:1772442000\tfile:signalcraft"
    whole = key.sign(said[10:] + comment.encode()).signature
    out = file.with_name(f"{file.name}.minisig")
    out.write_text(
        f"untrusted comment: signature\n{base64.b64encode(said).decode()}\n"
        f"trusted comment: {comment}\n{base64.b64encode(whole).decode()}\n"
    )
    return out, base64.b64encode(b"Ed" + key_id + bytes(key.verify_key)).decode()


@pytest.mark.whole
def test_a_signature_is_verified_where_one_is_given(prefix: Prefix) -> None:
    file = release(prefix.files, "1.1.0")
    signed, public = signature(file, SigningKey(bytes(range(32))))
    _, other = signature(release(prefix.files, "1.0.9"), SigningKey(bytes(range(1, 33))))
    refused = prefix.upgrade(file, "--signature", str(signed), "--public-key", other, code=1)
    assert "does not hold" in str(refused["stderr"])
    assert "needs the key" in str(prefix.upgrade(file, "--signature", str(signed), code=2)["stderr"])
    assert "none of minisign's" in str(
        prefix.upgrade(file, "--signature", str(signed), "--public-key", "AAAA", code=2)["stderr"]
    )
    text = signed.read_text()
    signed.write_text(text.replace("timestamp:1", "timestamp:2"))
    assert "does not hold" in str(
        prefix.upgrade(file, "--signature", str(signed), "--public-key", public, code=1)["stderr"]
    )
    signed.write_text(text)
    assert prefix.versions() == ["1.0.0"]
    prefix.upgrade(file, "--signature", str(signed), "--public-key", public)
    assert prefix.current() == "versions/1.1.0"


@pytest.fixture
def site(prefix: Prefix) -> Iterator[str]:
    """The releases over HTTP."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(prefix.files))  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_release_is_fetched_from_an_address(prefix: Prefix, site: str) -> None:
    file = release(prefix.files, "1.1.0")
    url = f"{site}/{file.name}"
    assert "over http://" in str(prefix.upgrade(url, code=2)["stderr"])
    prefix.upgrade(url, "--sha256", hashlib.sha256(file.read_bytes()).hexdigest())
    assert prefix.current() == "versions/1.1.0"
    assert "answered 404" in str(prefix.upgrade(f"{site}/none", "--sha256", "0" * 64, code=1)["stderr"])


@pytest.mark.whole
def test_a_rollback_takes_along_what_was_written_since(prefix: Prefix) -> None:
    box, file = prefix.box, ahead(prefix)
    assert json.loads(box.run("status", "--json", code=1).stdout)["running"] is False
    add_event(file)
    assert "--yes, nothing was changed" in str(prefix.rollback(code=2)["stderr"])
    assert prefix.current() == "versions/1.1.0"
    done = prefix.rollback("--yes")
    assert (done["version"], done["was"]) == ("1.0.0", "1.1.0")
    assert prefix.current() == "versions/1.0.0"
    assert level_of(file) == migrate.newest()
    served(prefix)
    (newer,) = [one for one in before.kept(box.data) if one.newer]
    assert (newer.file, newer.schema, newer.since["event"]) == (done["newer"], 9001, 1)
    again = prefix.upgrade(prefix.files / "signalcraft-1.1.0", "--check")
    assert again["pending"] == ["9001_next"]


def test_without_another_version_there_is_no_way_back(prefix: Prefix) -> None:
    assert "nothing to go back to" in str(prefix.rollback(code=1)["stderr"])
    assert "version 7.7.7 is not installed" in str(prefix.rollback("--to", "7.7.7", code=1)["stderr"])


def test_a_python_environment_is_told_what_to_do_instead(box: Box) -> None:
    said = box.refused("upgrade", "--check", code=1)
    assert "pip install --upgrade signalcraft" in said
    assert "--prefix DIR" in said
    assert "pip install" in box.refused("rollback", code=1)


def test_the_one_file_program_is_adopted_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/usr/local/bin/signalcraft becomes a link to the version in use; the file that was there is the first version."""
    entry = tmp_path / "bin" / "signalcraft"
    entry.parent.mkdir()
    entry.write_bytes(b"the first")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(entry))
    place = installed.find(None)
    assert place.prefix == tmp_path / "lib" / "signalcraft"
    place.adopt("1.0.0", 1)
    draft = place.incoming()
    draft.write_bytes(b"the second")
    place.add(draft, "1.1.0", "00", 2)
    place.switch("1.1.0")
    assert entry.read_bytes() == b"the second"
    assert (place.current(), place.earlier()) == ("1.1.0", "1.0.0")
    place.switch("1.0.0")
    assert entry.read_bytes() == b"the first"
    monkeypatch.setattr(sys, "executable", str(place.binary("1.0.0")))
    found = installed.find(None)
    assert (found.prefix, found.entry) == (place.prefix, None)
    tree = tmp_path / "opt" / "signalcraft"
    (tree / "_internal").mkdir(parents=True)
    (tree / "signalcraft").write_bytes(b"")
    monkeypatch.setattr(sys, "executable", str(tree / "signalcraft"))
    with pytest.raises(Conflict, match="package manager"):
        installed.find(None)


def test_versions_are_ordered_by_number() -> None:
    known = ["1.0.0rc1", "1.0.0", "1.0.1", "1.9.3", "1.10.0", "2.0.0"]
    assert sorted(set(known), key=installed.order) == known

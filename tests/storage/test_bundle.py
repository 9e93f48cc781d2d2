"""Backups in one file: what went in comes out; what was changed, cut, moved or is another's is told apart."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import PrivateKey

from signalcraft.errors import Conflict, Damaged, DiskFull, Fault, Foreign, Invalid, WrongKey
from signalcraft.storage import bundle, bundlekeys, room, sealedstream
from signalcraft.storage.bundle import Manifest, Member, Opener, open_bundle, read_header, unpack, verify, write_bundle
from signalcraft.storage.vault import check_of

NOW = 1_760_000_000_000
MASTER = bytes(range(32))
BOX = bundlekeys.of_master(MASTER)
RECIPIENT = PrivateKey(bytes(range(1, 33)))
CONTENTS = {
    "signalcraft.db": bytes(range(256)) * 20_000,  # 5 MB: several pieces
    "archive/event/2026-01.parquet": os.urandom(2_500_000),
    "config/signalcraft.toml": b'[http]\nlisten = "127.0.0.1:8080"\n',
    "config/empty": b"",
}


def opener(key: PrivateKey, kind: str, name: str) -> Opener:
    return Opener(kind, bytes(key.public_key), name)  # type: ignore[arg-type]


BOTH = (opener(BOX, "box", "1a2b"), opener(RECIPIENT, "recipient", "3c4d"))


def manifest_of(contents: dict[str, bytes]) -> Manifest:
    members = tuple(Member(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in contents.items())
    return Manifest(
        format=1, box="box-one", created_ms=NOW, program="1.2.3", build="abc", schema=10, master=check_of(MASTER),
        data_dir="/var/lib/signalcraft", config_file=None, rows={"event": 7}, members=members,
    )  # fmt: skip


@pytest.fixture
def made(tmp_path: Path) -> Path:
    target = tmp_path / "signalcraft-20251009-085320.scb"
    write_bundle(target, manifest_of(CONTENTS), CONTENTS, BOTH)
    return target


@pytest.mark.parametrize("key", [BOX, RECIPIENT])
def test_what_went_in_comes_out(made: Path, tmp_path: Path, key: PrivateKey) -> None:
    heard: list[tuple[int, int]] = []
    found = open_bundle(made, key)
    unpack(found, tmp_path / "out", lambda done, of: heard.append((done, of)))
    assert found.manifest == manifest_of(CONTENTS)
    got = {str(path.relative_to(tmp_path / "out")): path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in got.items()} == CONTENTS
    assert {path.stat().st_mode & 0o777 for path in got.values()} == {0o600}
    assert heard[-1] == (found.manifest.size, found.manifest.size)
    assert made.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", made.name]  # nothing half-done beside them
    assert made.stat().st_size < found.manifest.size  # compressed


def test_the_header_is_all_that_can_be_read_without_a_key(made: Path) -> None:
    header = read_header(made)
    assert (header.box, header.created_ms, header.program, header.schema) == ("box-one", NOW, "1.2.3", 10)
    assert [slot.kind for slot in header.slots] == ["box", "recipient"]
    raw = made.read_bytes()
    assert not [word for word in (b"127.0.0.1", b"parquet", b"/var/lib", MASTER, CONTENTS["signalcraft.db"][:64])
                if word in raw]  # fmt: skip


def test_a_bundle_alone_opens_nowhere(made: Path) -> None:
    for keys in ((), (bundlekeys.of_master(bytes(32)),), (PrivateKey.generate(),)):
        with pytest.raises(WrongKey, match="opens with the master key 1a2b or the backup key 3c4d"):
            open_bundle(made, *keys)


def test_a_renamed_bundle_is_the_same(made: Path, tmp_path: Path) -> None:
    other = made.rename(tmp_path / "holiday.jpg")
    assert verify(other, BOX) == manifest_of(CONTENTS)


def _flip(at: float) -> Callable[[bytes], bytes]:
    def changed(raw: bytes) -> bytes:
        place = int(len(raw) * at)
        return raw[:place] + bytes((raw[place] ^ 1,)) + raw[place + 1 :]

    return changed


def _pieces(raw: bytes) -> tuple[bytes, list[bytes]]:
    """The start of a bundle, and the sealed pieces of its stream."""
    size = sealedstream.PIECE + 17
    length = int.from_bytes(raw[len(bundle.MAGIC) : len(bundle.MAGIC) + 4], "big")
    start = len(bundle.MAGIC) + 4 + length + 24
    return raw[:start], [raw[at : at + size] for at in range(start, len(raw), size)]


def _swapped(raw: bytes) -> bytes:
    start, pieces = _pieces(raw)
    pieces[0], pieces[1] = pieces[1], pieces[0]
    return start + b"".join(pieces)


def _without(number: int) -> Callable[[bytes], bytes]:
    def changed(raw: bytes) -> bytes:
        start, pieces = _pieces(raw)
        del pieces[number]
        return start + b"".join(pieces)

    return changed


def _doubled(raw: bytes) -> bytes:
    start, pieces = _pieces(raw)
    return start + b"".join([pieces[0], *pieces])


HARMS: dict[str, Callable[[bytes], bytes]] = {
    "a bit in the middle": _flip(0.5),
    "a bit near the end": _flip(0.9999),
    "a bit in the header": _flip(0.00002),
    "the header's version of the program": lambda raw: raw.replace(b'"1.2.3"', b'"1.2.4"', 1),
    "the header's time": lambda raw: raw.replace(str(NOW).encode(), str(NOW + 1).encode(), 1),
    "cut in the middle": lambda raw: raw[: len(raw) // 2],
    "cut by one byte": lambda raw: raw[:-1],
    "cut at a piece's end": lambda raw: _pieces(raw)[0] + b"".join(_pieces(raw)[1][:-1]),
    "cut behind the header": lambda raw: raw[: len(_pieces(raw)[0]) - 24],
    "cut in the header": lambda raw: raw[:60],
    "more at the end": lambda raw: raw + b"\0",
    "two pieces swapped": _swapped,
    "the first piece gone": _without(0),
    "a middle piece gone": _without(1),
    "a piece twice": _doubled,
}


@pytest.mark.parametrize("harm", HARMS)
def test_what_was_changed_since_is_damaged(made: Path, tmp_path: Path, harm: str) -> None:
    raw = made.read_bytes()
    changed = HARMS[harm](raw)
    assert changed != raw
    made.write_bytes(changed)
    with pytest.raises(Damaged, match=f"{made.name} is damaged: "):
        verify(made, BOX)
    with pytest.raises(Damaged):
        unpack(open_bundle(made, RECIPIENT), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == [made.name]  # nothing of it was left


@given(at=st.floats(0, 0.9999999), bit=st.integers(0, 7))
def test_no_changed_bit_goes_unseen(tmp_path_factory: pytest.TempPathFactory, at: float, bit: int) -> None:
    target = tmp_path_factory.mktemp("bits") / "signalcraft-1.scb"
    contents = {"signalcraft.db": b"x" * 5000}
    write_bundle(target, manifest_of(contents), contents, BOTH)
    raw = bytearray(target.read_bytes())
    raw[int(len(raw) * at)] ^= 1 << bit
    target.write_bytes(raw)
    with pytest.raises((Damaged, Foreign, WrongKey)):
        verify(target, BOX)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"SQLite format 3\0" * 100, bundle.MAGIC[:-1]])
def test_another_file_is_foreign(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "signalcraft-20260101-000000.scb"
    file.write_bytes(content)
    with pytest.raises(Foreign, match="is no backup of SignalCraft"):
        open_bundle(file, BOX)


def test_a_later_format_says_so(made: Path) -> None:
    raw = made.read_bytes().replace(b'{"format":1,', b'{"format":2,', 1)
    made.write_bytes(raw)
    with pytest.raises(Foreign, match="of format 2, which a later SignalCraft wrote"):
        read_header(made)


def test_a_bundle_of_another_box_needs_that_boxs_key(tmp_path: Path) -> None:
    theirs = bundlekeys.of_master(bytes(32))
    target = tmp_path / "signalcraft-1.scb"
    write_bundle(target, manifest_of(CONTENTS), CONTENTS, (opener(theirs, "box", "ffff"),))
    with pytest.raises(WrongKey, match="opens with the master key ffff, not with this key"):
        verify(target, BOX)


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.scb", tmp_path):
        with pytest.raises(Fault, match="cannot be read"):
            open_bundle(path, BOX)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a//b", "..", "a\\b", "a\0b", ""])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    """A bundle as somebody would make it who knows the format and a key."""
    target, contents = tmp_path / "signalcraft-1.scb", {name: b"evil"}
    with target.open("wb") as file:
        bundle._write(file, manifest_of(contents), contents, BOTH, sealedstream.new_key(), lambda _a, _b: None)
    with pytest.raises(Damaged, match="a name that no backup has"):
        unpack(open_bundle(target, BOX), tmp_path / "out")


def test_a_source_that_changes_meanwhile_gives_no_bundle(tmp_path: Path) -> None:
    source = tmp_path / "config.toml"
    source.write_bytes(b"another")
    manifest = manifest_of({"config/signalcraft.toml": b"before!"})
    with pytest.raises(Damaged, match=r"config/signalcraft\.toml changed while it was backed up"):
        write_bundle(tmp_path / "signalcraft-1.scb", manifest, {"config/signalcraft.toml": source}, BOTH)
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]


def test_nothing_that_is_there_is_overwritten(made: Path, tmp_path: Path) -> None:
    with pytest.raises(Conflict):
        write_bundle(made, manifest_of(CONTENTS), CONTENTS, BOTH)
    (tmp_path / "out").mkdir()
    with pytest.raises(Conflict):
        unpack(open_bundle(made, BOX), tmp_path / "out")


def test_what_a_killed_writer_left_is_swept_and_what_is_written_now_is_not(tmp_path: Path) -> None:
    (tmp_path / "signalcraft-20260101-000000.scb.part").write_bytes(b"half")
    (tmp_path / "notes.part").write_bytes(b"somebody's own")
    with room.part_of(tmp_path / "signalcraft-20260102-000000.scb"):
        assert room.sweep(tmp_path, "signalcraft-*.scb") == ["signalcraft-20260101-000000.scb.part"]
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "notes.part", "signalcraft-20260102-000000.scb.part",
        ]  # fmt: skip


# -- keys -------------------------------------------------------------------------------------------------------------


def test_keys_are_read_from_paper_as_they_were_printed() -> None:
    key = bundlekeys.made()
    private, public = bundlekeys.show_private(key), bundlekeys.show_public(key.public_key)
    assert [bytes(one) for one in bundlekeys.read_key(f"# my key\n  {private.upper()} \n")] == [bytes(key)]
    assert bytes(bundlekeys.read_public(public)) == bytes(key.public_key)
    assert bytes(bundlekeys.read_key(MASTER.hex())[0]) == bytes(BOX)


@given(at=st.integers(0, 63), letter=st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_letter_that_was_read_wrongly_is_found(at: int, letter: str) -> None:
    text = bundlekeys.show_private(RECIPIENT)
    start = len(bundlekeys.PRIVATE)
    place = start + at % (len(text) - start)
    wrong = text[:place] + letter + text[place + 1 :]
    if wrong == text or text[place] == "-":
        return
    with pytest.raises(Invalid, match="a letter of it is wrong or missing"):
        bundlekeys.read_key(wrong)


def test_the_wrong_part_of_a_pair_is_named() -> None:
    with pytest.raises(Invalid, match="public part"):
        bundlekeys.read_key(bundlekeys.show_public(RECIPIENT.public_key))
    with pytest.raises(Invalid, match="private part"):
        bundlekeys.read_public(bundlekeys.show_private(RECIPIENT))
    for text in ("", "hello", "# nothing"):
        with pytest.raises(Invalid):
            bundlekeys.read_key(text)


def test_master_keys_in_a_bundle_are_the_recipients_alone() -> None:
    keys = {check_of(MASTER): MASTER}
    sealed = bundlekeys.seal_masters(check_of(MASTER), keys, [RECIPIENT.public_key])
    assert MASTER not in sealed
    found = bundlekeys.master_keys(sealed, RECIPIENT)
    assert (found.current, found.keys) == (check_of(MASTER), keys)
    with pytest.raises(WrongKey):
        bundlekeys.master_keys(sealed, BOX)
    wrong = msgspec.json.decode(sealed)
    wrong["boxes"] = {name: text[:-8] + "AAAAAAA=" for name, text in wrong["boxes"].items()}
    for text in (msgspec.json.encode(wrong), b"", b"[]", b"{}", b"null"):
        with pytest.raises(Damaged):
            bundlekeys.master_keys(text, RECIPIENT)


# -- disks and memory -------------------------------------------------------------------------------------------------

MEASURE = """
import hashlib, sys
from pathlib import Path
from tests.storage.test_bundle import BOTH, BOX, manifest_of
from signalcraft.storage.bundle import Member, open_bundle, unpack, verify, write_bundle
import msgspec
source, target = Path(sys.argv[1]), Path(sys.argv[2])
size = source.stat().st_size
member = Member("signalcraft.db", size, hashlib.file_digest(source.open("rb"), "sha256").hexdigest())
manifest = msgspec.structs.replace(manifest_of({}), members=(member,))
def peak():  # not ru_maxrss: that begins at the parent's
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
before = peak()
write_bundle(target, manifest, {"signalcraft.db": source}, BOTH)
verify(target, BOX)
unpack(open_bundle(target, BOX), target.with_name("out"))
print(peak() - before)
"""


def test_memory_does_not_grow_with_the_bundle(tmp_path: Path) -> None:
    source = tmp_path / "big"
    with source.open("wb") as file:
        for _ in range(48):
            file.write(os.urandom(1 << 20))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(source), str(tmp_path / "signalcraft-1.scb")],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert int(done.stdout) < 24 * 1024, "KiB more than before, for 48 MB that do not compress"


def test_too_little_room_is_said_before_anything_is_unpacked(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalcraft.storage.room.shutil.disk_usage", lambda _path: _Free())
    with pytest.raises(DiskFull, match="has 1 MB free, and 8 MB are needed to unpack it"):
        unpack(open_bundle(made, BOX), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == [made.name]


class _Free:
    free = 1 << 20

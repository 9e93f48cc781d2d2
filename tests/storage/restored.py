"""A box that was in use, and a backup of it, for tests of restoring."""

from __future__ import annotations

import hashlib
from pathlib import Path

from nacl.public import PrivateKey

from signalcraft.storage import bundle, bundlekeys, copies, masterkey
from signalcraft.storage.bundle import Manifest, Member, Opener
from signalcraft.storage.vault import check_of
from tests.world import World

ARCHIVED = b"PAR1 of a month\n"


def used(folder: Path, **settings: str) -> World:
    """A world (not entered) whose data directory is `folder`."""
    return World(folder, **settings)


def backed_up(
    data_dir: Path, target: Path, *, created_ms: int, recipient: PrivateKey | None = None, **changed: object
) -> Path:
    """A backup of a data directory as `signalcraft backup` makes it."""
    copy = target.with_suffix(".db")
    copies.copy_database(data_dir / "signalcraft.db", copy)
    sound = copies.verified(copy)
    master = masterkey.read_file(data_dir / "master.key")
    assert master is not None
    config = b'[http]\nlisten = "127.0.0.1:8420"\n'
    sources: dict[str, Path | bytes] = {
        "signalcraft.db": copy,
        "archive/1/event/2026-01.1.parquet": ARCHIVED,
        "config/signalcraft.toml": config,
    }
    slot = Opener("box", bytes(bundlekeys.of_master(master).public_key), check_of(master)[:12])
    openers = [slot]
    if recipient is not None:
        openers.append(Opener("recipient", bytes(recipient.public_key), bundlekeys.key_id(recipient.public_key)))
        sources["keys.sealed"] = bundlekeys.seal_masters(
            check_of(master), {check_of(master): master}, [recipient.public_key]
        )
    members = tuple(_member(name, source) for name, source in sources.items())
    manifest = Manifest(
        format=1, box="box of the tests", created_ms=created_ms, program="0.1.0", build="", schema=sound.schema,
        master=check_of(master), data_dir=str(data_dir), config_file=None, rows=sound.rows, members=members,
    )  # fmt: skip
    manifest = Manifest(**{**{f: getattr(manifest, f) for f in manifest.__struct_fields__}, **changed})
    bundle.write_bundle(target, manifest, sources, openers)
    copy.unlink()
    return target


def _member(name: str, source: Path | bytes) -> Member:
    data = source if isinstance(source, bytes) else source.read_bytes()
    return Member(name, len(data), hashlib.sha256(data).hexdigest())

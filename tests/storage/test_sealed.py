"""A new master key: every sealed column is found, both keys open meanwhile, and the earlier one opens nothing after."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalcraft.storage import migrate, rotation
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.rotation import PLAIN, SEALED
from signalcraft.storage.vault import BOX, CannotOpen, Vault, box_place, check_of, key_id_of
from tests.house.tree import ROOT, parsed, python_files

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
NOW = 1_760_000_000_000
SEALERS = {
    "signalcraft/storage/vault.py": 1,  # keep_root
    "signalcraft/storage/rotation.py": 1,
    "signalcraft/services/configure/edit.py": 1,
    "signalcraft/services/secondfactor.py": 1,
    "signalcraft/cli/keyring.py": 1,  # escrow files, which are sealed with a passphrase
    "signalcraft/cli/files.py": 1,
}


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Db]:
    db = Db(tmp_path / "signalcraft.db")
    migrate.up(db)
    Vault(OLD).check(db)
    db.start()
    yield db
    db.stop()


def test_every_column_of_bytes_is_declared_as_sealed_or_not(db: Db) -> None:
    """Whoever adds one says here what it is; else a rotation would lose what it holds."""
    with db.reading() as reader:
        assert rotation.undeclared(reader) == []
        columns = {
            f"{table}.{column}"
            for (table,) in reader.all("select name from sqlite_master where type = 'table'")
            for (column,) in reader.all("select name from pragma_table_info(?)", (table,))
        }
    assert {one.name for one in SEALED} <= columns
    assert not PLAIN & {one.name for one in SEALED}
    db.call(lambda tx: tx.run("create table stranger (id integer primary key, hidden blob) strict"))
    with db.reading() as reader:
        assert rotation.undeclared(reader) == ["stranger.hidden"]


def test_nobody_seals_but_those_whose_columns_are_declared() -> None:
    """A new call of `seal` stores what it made: declare that column in storage/rotation.py, then name the call here."""
    found: dict[str, int] = {}
    for name in python_files("signalcraft"):
        for node in ast.walk(parsed(name)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "seal":
                found[name] = found.get(name, 0) + 1
    assert found == SEALERS
    assert (ROOT / "signalcraft/storage/rotation.py").exists()


def fill(db: Db, vault: Vault, each: int) -> None:
    """So many rows of each sealed column, each with its own place as its secret."""

    def work(tx: Tx) -> None:
        for workspace in (1, 2):
            tx.run(
                "insert or ignore into workspace (id, name, created_ms) values (?, ?, 0)", (workspace, f"w{workspace}")
            )
        for i in range(each):
            ws, number = 1 + i % 2, 1000 + i

            def sealed(one: rotation.Sealed, ws: int = ws, number: int = number) -> bytes:
                place = one.place(number)
                return vault.seal(tx, ws if one.workspace else BOX, place, place.encode(), NOW)

            columns = {one.name: one for one in SEALED}
            tx.run(
                "insert into integration (id, workspace_id, name, kind, config, secrets, previous_secrets, token_hash,"
                " token_hint, created_ms, updated_ms) values (?, ?, ?, 'sentry', '{}', ?, ?, ?, '', 0, 0)",
                (
                    number, ws, f"i{i}", sealed(columns["integration.secrets"]),
                    sealed(columns["integration.previous_secrets"]), number.to_bytes(16, "big"),
                ),
            )  # fmt: skip
            tx.run(
                "insert into channel (id, workspace_id, name, kind, config, secrets, created_ms, updated_ms)"
                " values (?, ?, ?, 'slack', '{}', ?, 0, 0)",
                (number, ws, f"c{i}", sealed(columns["channel.secrets"])),
            )
            tx.run(
                "insert into person (id, email, name, totp, totp_new, created_ms) values (?, ?, '', ?, ?, 0)",
                (number, f"p{i}@example.com", sealed(columns["person.totp"]), sealed(columns["person.totp_new"])),
            )

    db.call(work)


def blobs(db: Db) -> list[tuple[str, int, bytes]]:
    """(place, workspace, sealed) of every sealed value."""
    with db.reading() as reader:
        return [
            (one.place(key), ws, blob)
            for one in SEALED
            for key, ws, blob in reader.all(
                f"select {one.key}, {one.workspace or BOX}, {one.column} from {one.table}"
                f" where {one.column} is not null"
            )
        ]


def opens(db: Db, vault: Vault) -> int:
    """How many of the sealed values open and are what they were."""
    good = 0
    for place, ws, blob in blobs(db):
        try:
            with db.reading() as reader:
                data = vault.open(reader, ws, place, blob)
        except CannotOpen:
            continue
        good += place == box_place("derive") or data == place.encode()
    return good


def steps(db: Db, vault: Vault, limit: int, most: int = 10**9) -> tuple[int, list[str]]:
    """Seals anew, at most so many steps; how many rows, and what was damaged."""
    resealed, damaged = 0, []
    for one in SEALED:
        after = None
        while most > 0:
            most -= 1
            at = after
            step = db.call(lambda tx, one=one, at=at: rotation.reseal(tx, vault, one, at, limit, NOW))  # type: ignore[misc]
            resealed += step.resealed
            damaged += step.damaged
            after = step.last
            if after is None:
                break
    return resealed, damaged


def test_ten_thousand_secrets_are_sealed_anew_and_the_earlier_key_opens_none(db: Db) -> None:
    """SEC-1: rotate re-encrypts 10 000 secrets with 0 failures, and the old key is unusable."""
    vault = Vault(OLD)
    fill(db, vault, 2000)
    before = blobs(db)
    assert len(before) == 10_000
    check = vault.learn(NEW)
    db.call(lambda tx: rotation.begin(tx, vault, check, NOW))
    assert opens(db, vault) == 10_001, "both keys are known, and what is derived from is sealed too"
    assert steps(db, vault, 50) == (10_000, [])
    assert steps(db, vault, 50) == (0, []), "twice is no work"
    db.call(lambda tx: rotation.finish(tx, check, NOW))
    vault.keep_only(check)
    assert opens(db, vault) == opens(db, Vault(NEW)) == 10_001
    assert opens(db, Vault(OLD)) == 0
    for place, ws, blob in before[::500]:
        for key in (OLD, NEW):
            with db.reading() as reader, pytest.raises(CannotOpen):
                Vault(key).open(reader, ws, place, blob)


def test_nothing_of_the_earlier_keys_stays_in_the_file(db: Db, tmp_path: Path) -> None:
    """Neither what they sealed nor what they were derived with, in free pages or the write-ahead log."""
    vault = Vault(OLD)
    fill(db, vault, 40)
    with db.reading() as reader:
        salts = [row[0] for row in reader.all("select salt from vault_key")]
    before = [blob for _, _, blob in blobs(db)] + salts
    check = vault.learn(NEW)
    db.call(lambda tx: rotation.begin(tx, vault, check, NOW))
    on_disk = b"".join(p.read_bytes() for p in tmp_path.glob("signalcraft.db*"))
    assert all(one in on_disk for one in before), "what is looked for can be found"
    steps(db, vault, 7)
    db.call(lambda tx: rotation.finish(tx, check, NOW))
    db.call(lambda tx: None)
    on_disk = b"".join(p.read_bytes() for p in tmp_path.glob("signalcraft.db*"))
    assert [one for one in before if one in on_disk] == []


@pytest.mark.parametrize("most", [0, 1, 3, 6, 11])
def test_an_interrupted_rotation_goes_on_with_both_keys(db: Db, most: int) -> None:
    """As after a kill: another run knows both keys, opens everything, and comes to the end."""
    vault = Vault(OLD)
    fill(db, vault, 12)
    check = vault.learn(NEW)
    db.call(lambda tx: rotation.begin(tx, vault, check, NOW))
    done, _ = steps(db, vault, 5, most)
    again = Vault(OLD, NEW)
    assert opens(db, again) == 61
    rest, damaged = steps(db, again, 5)
    assert (done + rest, damaged) == (60, [])
    db.call(lambda tx: rotation.finish(tx, check, NOW))
    assert opens(db, Vault(NEW)) == 61


def test_what_is_sealed_meanwhile_is_sealed_with_the_new_key(db: Db) -> None:
    """Also in the very transaction in which it begins, before anybody was told."""
    vault = Vault(OLD)
    fill(db, vault, 2)
    check = vault.learn(NEW)

    def work(tx: Tx) -> bytes:
        rotation.begin(tx, vault, check, NOW)
        return vault.seal(tx, 1, "x/1", b"late", NOW)

    blob = db.call(work)
    with db.reading() as reader:
        master = reader.value("select master from vault_key where id = ?", (key_id_of(blob),))
        assert master == check
        assert Vault(NEW).open(reader, 1, "x/1", blob) == b"late"


def test_a_damaged_secret_is_named_left_and_holds_nothing_up(db: Db) -> None:
    vault = Vault(OLD)
    fill(db, vault, 4)
    db.call(
        lambda tx: tx.run("update channel set secrets = cast(substr(secrets, 1, 40) || x'00' as blob) where id = 1002")
    )
    with db.reading() as reader:
        assert rotation.damaged(reader, vault) == ["channel/1002/secrets"]
    check = vault.learn(NEW)
    db.call(lambda tx: rotation.begin(tx, vault, check, NOW))
    assert steps(db, vault, 3) == (19, ["channel/1002/secrets"])
    db.call(lambda tx: rotation.finish(tx, check, NOW))
    assert opens(db, Vault(NEW)) == 20


def test_what_is_derived_stays_what_it_was(db: Db) -> None:
    """Links in messages, tokens against forged requests, recovery codes and lockouts outlive a master key."""
    vault = Vault(OLD)
    link = vault.derive("links")
    check = vault.learn(NEW)
    db.call(lambda tx: rotation.begin(tx, vault, check, NOW))
    steps(db, vault, 50)
    db.call(lambda tx: rotation.finish(tx, check, NOW))
    vault.keep_only(check)
    later = Vault(NEW)
    assert later.derive("links") != link
    with db.reading() as reader:
        later.load_root(reader)
    assert vault.derive("links") == later.derive("links") == link
    # And over the next change too.
    third = bytes(range(64, 96))
    again = later.learn(third)
    db.call(lambda tx: rotation.begin(tx, later, again, NOW))
    steps(db, later, 50)
    db.call(lambda tx: rotation.finish(tx, again, NOW))
    last = Vault(third)
    with db.reading() as reader:
        last.load_root(reader)
    assert last.derive("links") == link


def test_the_state_says_how_far_it_is(db: Db) -> None:
    vault = Vault(OLD)
    fill(db, vault, 4)
    with db.reading() as reader:
        at_rest = rotation.state(reader)
    assert (at_rest.holds, at_rest.coming, at_rest.sealed, at_rest.behind) == (check_of(OLD), None, 20, 0)
    check = vault.learn(NEW)
    db.call(lambda tx: rotation.begin(tx, vault, check, NOW))
    with db.reading() as reader:
        begun = rotation.state(reader)
    assert (begun.holds, begun.coming, begun.sealed, begun.behind) == (check_of(OLD), check, 21, 20)

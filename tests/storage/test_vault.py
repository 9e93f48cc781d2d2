"""The vault: what is sealed opens again in its own place with its own key, and nowhere else."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalcraft.config import Secret, Settings
from signalcraft.config.model import Security
from signalcraft.errors import BadSetting
from signalcraft.storage import migrate
from signalcraft.storage.db import Db
from signalcraft.storage.masterkey import load_master_key
from signalcraft.storage.vault import CannotOpen, Vault

KEY = bytes(range(32))
NOW = 1_760_000_000_000


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Db]:
    db = Db(tmp_path / "signalcraft.db")
    migrate.up(db)
    yield db
    db.stop()


def seal(db: Db, vault: Vault, data: bytes = b"canary", workspace_id: int = 1, aad: str = "channel/5/secrets") -> bytes:
    return db.call(lambda tx: vault.seal(tx, workspace_id, aad, data, NOW))


def unseal(db: Db, vault: Vault, blob: bytes, workspace_id: int = 1, aad: str = "channel/5/secrets") -> bytes:
    with db.reading() as reader:
        return vault.open(reader, workspace_id, aad, blob)


def test_what_is_sealed_opens_again_also_in_another_run(db: Db) -> None:
    blob = seal(db, Vault(KEY))
    assert b"canary" not in blob
    assert unseal(db, Vault(KEY), blob) == b"canary"
    assert seal(db, Vault(KEY)) != blob  # a nonce of its own each time


@settings(max_examples=30, deadline=None)
@given(data=st.binary(max_size=300), aad=st.text(max_size=30), workspace_id=st.integers(1, 2**62))
def test_everything_survives(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, aad: str, workspace_id: int
) -> None:
    db = Db(tmp_path_factory.mktemp("vault") / "signalcraft.db")
    migrate.up(db)
    vault = Vault(KEY)
    assert unseal(db, vault, seal(db, vault, data, workspace_id, aad), workspace_id, aad) == data
    db.stop()


def test_every_byte_is_guarded(db: Db) -> None:
    vault = Vault(KEY)
    blob = seal(db, vault)
    for i in range(len(blob)):
        changed = bytearray(blob)
        changed[i] ^= 1
        with pytest.raises(CannotOpen):
            unseal(db, vault, bytes(changed))
    for short in (b"", blob[:9], blob[:-1]):
        with pytest.raises(CannotOpen):
            unseal(db, vault, short)


def test_a_secret_cannot_be_moved(db: Db) -> None:
    vault = Vault(KEY)
    blob = seal(db, vault)
    with pytest.raises(CannotOpen, match="channel/6/secrets"):
        unseal(db, vault, blob, aad="channel/6/secrets")
    seal(db, vault, workspace_id=2)
    with pytest.raises(CannotOpen):
        unseal(db, vault, blob, workspace_id=2)
    with pytest.raises(CannotOpen):
        unseal(db, Vault(KEY), blob, workspace_id=2)


def test_another_master_key_opens_nothing(db: Db) -> None:
    blob = seal(db, Vault(KEY))
    with pytest.raises(CannotOpen, match="another master key"):
        unseal(db, Vault(KEY[::-1]), blob)


def test_each_workspace_has_its_own_key(db: Db) -> None:
    vault = Vault(KEY)
    first, again, other = seal(db, vault), seal(db, vault), seal(db, vault, workspace_id=2)
    assert first[1:9] == again[1:9]
    assert first[1:9] != other[1:9]
    with db.reading() as reader:
        rows = reader.all("select workspace_id, length(salt) from vault_key order by workspace_id")
    assert rows == [(1, 16), (2, 16)]
    # The salt is what a workspace's key is derived with: without it the master key alone opens nothing.
    db.call(lambda tx: tx.run("update vault_key set salt = zeroblob(16) where workspace_id = 2"))
    assert unseal(db, Vault(KEY), first) == b"canary"
    with pytest.raises(CannotOpen):
        unseal(db, Vault(KEY), other, workspace_id=2)


def test_what_an_earlier_key_sealed_still_opens(db: Db) -> None:
    vault = Vault(KEY)
    blob = seal(db, vault)
    db.call(lambda tx: tx.run("update vault_key set retired_ms = ?", (NOW,)))
    fresh = seal(db, vault)
    assert fresh[1:9] != blob[1:9]
    assert unseal(db, vault, blob) == unseal(db, vault, fresh) == b"canary"


def test_each_purpose_has_its_own_key() -> None:
    vault = Vault(KEY)
    assert vault.derive("links") == Vault(KEY).derive("links")
    assert len({vault.derive("links"), vault.derive("other"), Vault(KEY[::-1]).derive("links")}) == 3
    assert KEY.hex() not in repr(vault)


def test_a_wrong_master_key_stops_the_start_and_touches_nothing(db: Db) -> None:
    Vault(KEY).check(db)
    with db.reading() as reader:
        before = reader.all("select * from fact")
    with pytest.raises(BadSetting) as caught:
        Vault(KEY[::-1]).check(db)
    assert caught.value.path == "security.master_key"
    assert "\n" not in caught.value.detail
    with db.reading() as reader:
        assert reader.all("select * from fact") == before
    Vault(KEY).check(db)


# -- the master key ---------------------------------------------------------------------------------------------------


def test_a_new_database_gets_a_key_that_only_its_owner_reads(db: Db, tmp_path: Path) -> None:
    key = load_master_key(Settings(), tmp_path, db)
    file = tmp_path / "master.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert base64.b64decode(file.read_text()) == key
    assert len(key) == 32
    assert load_master_key(Settings(), tmp_path, db) == key
    assert [p.name for p in tmp_path.iterdir() if "key" in p.name] == ["master.key"]


def test_a_used_database_without_its_key_does_not_start(db: Db, tmp_path: Path) -> None:
    Vault(load_master_key(Settings(), tmp_path, db)).check(db)
    (tmp_path / "master.key").unlink()
    with pytest.raises(BadSetting, match="is missing"):
        load_master_key(Settings(), tmp_path, db)
    assert not (tmp_path / "master.key").exists()


def test_sealed_rows_alone_are_enough_to_refuse(db: Db, tmp_path: Path) -> None:
    seal(db, Vault(KEY))
    with pytest.raises(BadSetting, match="is missing"):
        load_master_key(Settings(), tmp_path, db)


@pytest.mark.parametrize("text", [base64.b64encode(KEY).decode(), KEY.hex(), f" {KEY.hex()}\n"])
def test_the_settings_come_first(db: Db, tmp_path: Path, text: str) -> None:
    assert load_master_key(Settings(security=Security(master_key=Secret(text))), tmp_path, db) == KEY
    assert not (tmp_path / "master.key").exists()


@pytest.mark.parametrize("text", ["short", "x" * 44, base64.b64encode(KEY[:31]).decode(), "zz" * 32])
def test_what_is_no_key_is_refused_without_being_shown(db: Db, tmp_path: Path, text: str) -> None:
    with pytest.raises(BadSetting) as caught:
        load_master_key(Settings(security=Security(master_key=Secret(text))), tmp_path, db)
    assert text not in caught.value.detail
    assert "openssl rand" in caught.value.detail


def test_a_key_file_open_to_others_is_refused(db: Db, tmp_path: Path) -> None:
    load_master_key(Settings(), tmp_path, db)
    (tmp_path / "master.key").chmod(0o640)
    with pytest.raises(BadSetting, match="chmod 600"):
        load_master_key(Settings(), tmp_path, db)


def test_a_key_file_that_is_no_key_is_refused(db: Db, tmp_path: Path) -> None:
    (tmp_path / "master.key").write_bytes(b"\xff\xfe")
    (tmp_path / "master.key").chmod(0o600)
    with pytest.raises(BadSetting, match="cannot be read"):
        load_master_key(Settings(), tmp_path, db)

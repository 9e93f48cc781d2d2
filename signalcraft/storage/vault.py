"""The vault: secrets at rest, sealed with a key of their workspace, derived from a master key outside the database.

A sealed secret is `version (1 byte) | key id (8) | nonce (24) | XChaCha20-Poly1305 ciphertext`. What it belongs to
(`integration/<id>/secrets`) is authenticated with it, so that it cannot be moved to another row.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from signalcraft.config import Settings
from signalcraft.errors import BadSetting, Fault
from signalcraft.storage.db import Db, Tx

KEY_FILE: Final = "master.key"
KEY_BYTES: Final = 32
_VERSION: Final = 1
_KEY_ID: Final = slice(1, 9)
_NONCE: Final = slice(9, 33)
_CHECK: Final = "vault_check"
_HOW: Final = "32 random bytes in base64, as `openssl rand -base64 32` prints"


class CannotOpen(Fault):
    """A sealed secret that the vault cannot open: changed, moved, or sealed with another master key."""

    code = "secret_unreadable"
    status = 500


class Vault:
    """Seals and opens. Safe to share between threads."""

    def __init__(self, master_key: bytes) -> None:
        self._master = master_key
        self._keys: dict[int, tuple[int, bytes]] = {}

    def __repr__(self) -> str:
        return "Vault(•••)"

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose alone (signing links); the same for the same master key."""
        return hashlib.blake2b(purpose.encode(), key=self._master, digest_size=32, person=b"signalcraft-use").digest()

    def seal(self, tx: Tx, workspace_id: int, aad: str, data: bytes, now_ms: int) -> bytes:
        """The data, sealed for one place. Makes the workspace's key at its first use."""
        row = tx.one(
            "select id, salt from vault_key where workspace_id = ? and retired_ms is null order by id desc limit 1",
            (workspace_id,),
        )
        if row is None:
            row = (tx.new_id(now_ms), secrets.token_bytes(16))
            tx.run(
                "insert into vault_key (id, workspace_id, salt, created_ms) values (?, ?, ?, ?)",
                (row[0], workspace_id, row[1], now_ms),
            )
        key_id: int = row[0]
        salt: bytes = row[1]
        nonce = secrets.token_bytes(24)
        head = bytes((_VERSION,)) + key_id.to_bytes(8, "big")
        sealed: bytes = crypto_aead_xchacha20poly1305_ietf_encrypt(
            data, _bound(head, workspace_id, aad), nonce, self._derived(key_id, workspace_id, salt)
        )
        return head + nonce + sealed

    def open(self, reader: Tx, workspace_id: int, aad: str, blob: bytes) -> bytes:
        """What was sealed for this place. Raises CannotOpen."""
        if len(blob) < _NONCE.stop or blob[0] != _VERSION:
            raise CannotOpen(f"the secret of {aad} is not in a form that this program seals")
        key_id = int.from_bytes(blob[_KEY_ID], "big")
        key = self._key(reader, key_id, workspace_id)
        if key is None:
            raise CannotOpen(f"the secret of {aad} was sealed with a key that this database does not have")
        try:
            data: bytes = crypto_aead_xchacha20poly1305_ietf_decrypt(
                blob[_NONCE.stop :], _bound(blob[:9], workspace_id, aad), blob[_NONCE], key
            )
        except CryptoError:
            raise CannotOpen(
                f"the secret of {aad} cannot be opened: it was changed, moved, or sealed with another master key"
            ) from None
        return data

    def check(self, db: Db) -> None:
        """Whether this master key is the database's own; a new database learns it here. Before the writer starts.

        Raises BadSetting for another one, having touched nothing.
        """
        ours = self.derive("check")[:16].hex()
        with db.direct() as tx:
            theirs = tx.value("select value from fact where name = ?", (_CHECK,))
            if theirs is None:
                tx.run("insert into fact (name, value) values (?, ?)", (_CHECK, ours))
            elif not hmac.compare_digest(ours, theirs):
                raise BadSetting(
                    "this master key is not the one that this database was sealed with: give it its own key "
                    f"(security.master_key, or {KEY_FILE} in the data directory)",
                    path="security.master_key",
                )

    def _key(self, reader: Tx, key_id: int, workspace_id: int) -> bytes | None:
        known = self._keys.get(key_id)
        if known is None:
            salt = reader.value("select salt from vault_key where id = ? and workspace_id = ?", (key_id, workspace_id))
            return None if salt is None else self._derived(key_id, workspace_id, salt)
        return known[1] if known[0] == workspace_id else None

    def _derived(self, key_id: int, workspace_id: int, salt: bytes) -> bytes:
        known = self._keys.get(key_id)
        if known is None:
            known = (
                workspace_id,
                hashlib.blake2b(key=self._master, digest_size=32, salt=salt, person=b"signalcraft-key").digest(),
            )
            self._keys[key_id] = known
        return known[1]


def _bound(head: bytes, workspace_id: int, aad: str) -> bytes:
    return b"signalcraft\0" + head + workspace_id.to_bytes(8, "big") + aad.encode()


# -- the master key ---------------------------------------------------------------------------------------------------


def load_master_key(settings: Settings, data_dir: Path, db: Db) -> bytes:
    """The master key: from the settings, else from `master.key` in the data directory, which a new database gets.

    Raises BadSetting where it is missing, cannot be read, is open to others, or is not a key.
    """
    given = settings.security.master_key.reveal()
    if given:
        return _decoded(given, "security.master_key")
    file = data_dir / KEY_FILE
    try:
        mode = file.stat().st_mode
        text = file.read_text("ascii")
    except FileNotFoundError:
        return _made(file, db)
    except (OSError, UnicodeDecodeError) as problem:
        raise BadSetting(f"the master key {file} cannot be read: {problem}", path="security.master_key") from None
    if stat.S_IMODE(mode) & 0o077:
        raise BadSetting(
            f"the master key {file} is open to others: chmod 600 {file}",
            path="security.master_key",
        )
    return _decoded(text, str(file))


def _decoded(text: str, where: str) -> bytes:
    text = text.strip()
    try:
        key = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise BadSetting(f"{where} holds no master key: that is {_HOW}", path="security.master_key")
    return key


def _made(file: Path, db: Db) -> bytes:
    with db.direct() as tx:
        used = tx.value(
            "select (select count(*) from vault_key) + (select count(*) from fact where name = ?)", (_CHECK,)
        )
    if used:
        raise BadSetting(
            f"the master key is missing: this database holds secrets sealed with it, and {file} is not there; "
            "put it back, or set security.master_key",
            path="security.master_key",
        )
    key = secrets.token_bytes(KEY_BYTES)
    # Written whole under another name first: a crash must not leave half a key behind.
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, base64.b64encode(key) + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)
    draft.rename(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return key

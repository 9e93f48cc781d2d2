"""The vault: secrets at rest, sealed with a key of their workspace, derived from a master key outside the database.

A sealed secret is `version (1 byte) | key id (8) | nonce (24) | XChaCha20-Poly1305 ciphertext`. What it belongs to
(`integration/<id>/secrets`) is authenticated with it, so that it cannot be moved to another row.

The key id names a row of vault_key, and that row the master key it hangs on: while a master key is being replaced
(storage/rotation.py) the vault knows both, opens what either sealed, and seals with the new one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from signalcraft.errors import BadSetting, Fault
from signalcraft.storage.db import Db, Tx

KEY_FILE: Final = "master.key"
KEY_BYTES: Final = 32
BOX: Final = 0
"""The workspace of what belongs to no workspace: people's second factors, the box's own secrets."""
CHECK: Final = "vault_check"
"""The fact that tells which master key the database hangs on."""
NEXT: Final = "vault_next"
"""The fact that tells which one it is moving to; there only while it moves."""
ROOT: Final = "derive"
"""The box secret that everything derived for a purpose comes from."""
_VERSION: Final = 1
_KEY_ID: Final = slice(1, 9)
_NONCE: Final = slice(9, 33)
_TAG: Final = 16


class CannotOpen(Fault):
    """A sealed secret that the vault cannot open: changed, moved, or sealed with another master key."""

    code = "secret_unreadable"
    status = 500


def check_of(master_key: bytes) -> str:
    """What tells one master key from another, without saying anything of it: 32 hexadecimal digits."""
    said = hashlib.blake2b(b"check", key=master_key, digest_size=32, person=b"signalcraft-use")
    return said.digest()[:16].hex()


def shown(check: str) -> str:
    """A master key's id, for people: the first digits of its check value."""
    return check[:12]


def key_id_of(blob: bytes) -> int:
    """The row of vault_key that a sealed secret names; 0 for what is none."""
    return int.from_bytes(blob[_KEY_ID], "big") if len(blob) >= _NONCE.stop and blob[0] == _VERSION else 0


def box_place(name: str) -> str:
    """What the vault binds a secret of the box to."""
    return f"box/{name}"


class Vault:
    """Seals and opens. Safe to share between threads. `others`: master keys that a rotation leaves or goes to."""

    def __init__(self, master_key: bytes, *others: bytes) -> None:
        self.current = check_of(master_key)
        self._masters = {check_of(key): key for key in (master_key, *others)}
        self._keys: dict[int, tuple[int, str, bytes]] = {}
        self._root = _root_of(master_key)

    def __repr__(self) -> str:
        return "Vault(•••)"

    # -- master keys --------------------------------------------------------------------------------------------------

    @property
    def known(self) -> frozenset[str]:
        """The check values of the master keys it holds."""
        return frozenset(self._masters)

    def learn(self, master_key: bytes) -> str:
        """Holds a further master key from now on; its check value."""
        check = check_of(master_key)
        self._masters = {**self._masters, check: master_key}
        return check

    def keep_only(self, check: str) -> None:
        """The master key from now on; all others are forgotten, and whatever was derived from them."""
        self.current = check
        self._masters = {check: self._masters[check]}
        self._keys = {number: known for number, known in self._keys.items() if known[1] == check}

    def master_keys(self) -> dict[str, bytes]:
        """Every master key it holds by its check value, for escrow."""
        return dict(self._masters)

    # -- deriving -----------------------------------------------------------------------------------------------------

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose alone (signing links); the same for this database, whatever its master key is."""
        return hashlib.blake2b(purpose.encode(), key=self._root, digest_size=32, person=b"signalcraft-use").digest()

    def keep_root(self, tx: Tx, now_ms: int) -> None:
        """Seals in the database what is derived from, where it is not there yet: no new master key may change it."""
        if tx.value("select 1 from box_secret where name = ?", (ROOT,)) is None:
            sealed = self.seal(tx, BOX, box_place(ROOT), self._root, now_ms)
            tx.run("insert into box_secret (name, sealed) values (?, ?)", (ROOT, sealed))

    def load_root(self, reader: Tx) -> None:
        """Derives from what the database keeps for that. Raises CannotOpen, and goes on with the master key's own."""
        sealed = reader.value("select sealed from box_secret where name = ?", (ROOT,))
        if sealed is not None:
            self._root = self.open(reader, BOX, box_place(ROOT), sealed)

    # -- sealing ------------------------------------------------------------------------------------------------------

    def seal(self, tx: Tx, workspace_id: int, aad: str, data: bytes, now_ms: int) -> bytes:
        """The data, sealed for one place. Makes the workspace's key at its first use."""
        row = tx.one(
            "select id from vault_key where workspace_id = ? and retired_ms is null order by id desc limit 1",
            (workspace_id,),
        )
        key_id: int = self._made(tx, workspace_id, now_ms) if row is None else row[0]
        key = self._key(tx, key_id, workspace_id)
        if key is None:
            raise CannotOpen(f"there is no master key to seal {aad} with")
        nonce = secrets.token_bytes(24)
        head = bytes((_VERSION,)) + key_id.to_bytes(8, "big")
        sealed: bytes = crypto_aead_xchacha20poly1305_ietf_encrypt(data, _bound(head, workspace_id, aad), nonce, key)
        return head + nonce + sealed

    def open(self, reader: Tx, workspace_id: int, aad: str, blob: bytes) -> bytes:
        """What was sealed for this place. Raises CannotOpen."""
        if len(blob) < _NONCE.stop + _TAG or blob[0] != _VERSION:
            raise CannotOpen(f"the secret of {aad} is not in a form that this program seals")
        key = self._key(reader, key_id_of(blob), workspace_id)
        if key is None:
            raise CannotOpen(f"the secret of {aad} was sealed with another master key, or is another workspace's")
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
        with db.direct() as tx:
            theirs = tx.value("select value from fact where name = ?", (CHECK,))
            if theirs is None:
                tx.run("insert into fact (name, value) values (?, ?)", (CHECK, self.current))
            elif not hmac.compare_digest(self.current, theirs):
                raise wrong_key()

    def _made(self, tx: Tx, workspace_id: int, now_ms: int) -> int:
        # The database says which master key counts: this object learns of a rotation only after its commit.
        facts: dict[str, str] = dict(tx.all("select name, value from fact where name in (?, ?)", (CHECK, NEXT)))
        master = facts.get(NEXT) or facts.get(CHECK) or self.current
        key_id = tx.new_id(now_ms)
        tx.run(
            "insert into vault_key (id, workspace_id, salt, created_ms, master) values (?, ?, ?, ?, ?)",
            (key_id, workspace_id, secrets.token_bytes(16), now_ms, master),
        )
        return key_id

    def _key(self, reader: Tx, key_id: int, workspace_id: int) -> bytes | None:
        known = self._keys.get(key_id)
        if known is None:
            row = reader.one(
                "select salt, master from vault_key where id = ? and workspace_id = ?", (key_id, workspace_id)
            )
            check: str = self.current if row is None else row[1] or self.current
            master = self._masters.get(check)
            if row is None or master is None:
                return None
            derived = hashlib.blake2b(key=master, digest_size=32, salt=row[0], person=b"signalcraft-key").digest()
            known = self._keys[key_id] = (workspace_id, check, derived)
        return known[2] if known[0] == workspace_id else None


def wrong_key() -> BadSetting:
    """The one sentence for a master key that is another database's."""
    return BadSetting(
        "this master key is not the one that this database was sealed with: give it its own key "
        f"(security.master_key, or {KEY_FILE} in the data directory)",
        path="security.master_key",
    )


def _root_of(master_key: bytes) -> bytes:
    return hashlib.blake2b(key=master_key, digest_size=32, person=b"signalcraft-root").digest()


def _bound(head: bytes, workspace_id: int, aad: str) -> bytes:
    return b"signalcraft\0" + head + workspace_id.to_bytes(8, "big") + aad.encode()

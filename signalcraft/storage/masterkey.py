"""Where the master key comes from: the settings, or a file in the data directory that nobody else may read.

While a master key in a file is being replaced there are two files: `master.key` and `master.key.next`. Which of them
the database hangs on stands in the database (`vault_check`), so a crash at any moment leaves a start that works.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from signalcraft.config import Settings
from signalcraft.errors import BadSetting, Conflict, Invalid
from signalcraft.storage import rotation
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.vault import CHECK, KEY_BYTES, KEY_FILE, NEXT, CannotOpen, Vault, check_of, shown, wrong_key

NEXT_FILE: Final = "master.key.next"
SETTING: Final = "security.master_key"
EARLIER: Final = "security.master_key_previous"
_HOW: Final = "32 random bytes in base64, as `openssl rand -base64 32` prints"


def open_vault(settings: Settings, data_dir: Path, db: Db) -> Vault:
    """The vault with the master key of this database, and with both where one is being replaced.

    Reads only, but for a new database, which gets its key. Raises BadSetting where a key is missing, is not the
    database's, cannot be read, is open to others, or is no key: having touched nothing.
    """
    keys = _keys_given(settings) or _keys_in_files(data_dir) or [_made(data_dir / KEY_FILE, db)]
    with db.direct() as tx:
        return _vault_of(settings, keys, tx)


def look(settings: Settings, data_dir: Path, reader: Tx) -> Vault:
    """The same for somebody who looks from outside: nothing is made or locked. Raises BadSetting."""
    keys = _keys_given(settings) or _keys_in_files(data_dir)
    if not keys:
        raise BadSetting(f"the master key is missing: {data_dir / KEY_FILE} is not there", path=SETTING)
    return _vault_of(settings, keys, reader)


def _vault_of(settings: Settings, keys: list[bytes], tx: Tx) -> Vault:
    facts: dict[str, str] = dict(tx.all("select name, value from fact where name in (?, ?)", (CHECK, NEXT)))
    known = {check_of(key): key for key in keys}
    holds, coming = facts.get(CHECK), facts.get(NEXT)
    if holds is None:
        return Vault(keys[0])
    if holds not in known:
        if coming in known:
            raise BadSetting(
                "this master key is the new one of a rotation that has not ended: the earlier one is needed too "
                f"({EARLIER}, or {KEY_FILE} in the data directory)",
                path=SETTING,
            )
        raise wrong_key()
    if coming is not None and coming not in known:
        raise BadSetting(
            "the master key is being replaced, and the new one is missing: put it back "
            f"({SETTING} with the earlier one in {EARLIER}, or {NEXT_FILE} in the data directory)",
            path=SETTING,
        )
    moves = coming is not None or (_keys_given(settings) and check_of(keys[0]) != holds)
    return Vault(known[holds], *(key for check, key in known.items() if moves and check != holds))


def settle(vault: Vault, settings: Settings, data_dir: Path, db: Db, now_ms: int) -> str:
    """What an earlier run left, at a start, once the schema is today's: files are put in order, a new key of the
    settings begins its rotation. Before the writer starts. A sentence where something is wrong, else "".
    """
    trouble = ""
    given = settings.security.master_key.reveal()
    with db.direct() as tx:
        rotation.adopt(tx, vault.current, now_ms)
        try:
            vault.load_root(tx)
        except CannotOpen as fault:
            trouble = f"{fault.detail}: links in messages that were sent, and recovery codes, do not work any more"
        if rotation.coming(tx) is None and given:
            wanted = check_of(_decoded(given, SETTING))
            if wanted != vault.current:
                rotation.begin(tx, vault, wanted, now_ms)
        elif rotation.coming(tx) is None:
            tidy_files(data_dir, vault.current)
    if settings.security.master_key_previous.reveal() and vault.known == {vault.current}:
        trouble = trouble or f"{EARLIER} is of no use any more: take it out of the settings"
    return trouble


def keep_private(data_dir: Path) -> None:
    """Nobody else may read a data directory, whoever made it, under whatever umask."""
    for path in (data_dir, *data_dir.rglob("*")):
        with suppress(OSError):  # gone meanwhile, or another user's: what we make ourselves is private
            mode = stat.S_IMODE(path.lstat().st_mode)
            if mode & 0o077 and not path.is_symlink():
                path.chmod(mode & 0o700)


def load_master_key(settings: Settings, data_dir: Path, db: Db) -> bytes:
    """The first of the master keys; a new database gets one in a file. Raises BadSetting as `open_vault` does."""
    keys = _keys_given(settings) or _keys_in_files(data_dir)
    return keys[0] if keys else _made(data_dir / KEY_FILE, db)


def _keys_given(settings: Settings) -> list[bytes]:
    given, earlier = settings.security.master_key.reveal(), settings.security.master_key_previous.reveal()
    if not given:
        if earlier:
            raise BadSetting(f"{EARLIER} is for a new key in {SETTING}, which is not set", path=EARLIER)
        return []
    return [_decoded(given, SETTING)] + ([_decoded(earlier, EARLIER)] if earlier else [])


def _keys_in_files(data_dir: Path) -> list[bytes]:
    found = [read_file(data_dir / name) for name in (KEY_FILE, NEXT_FILE)]
    return [key for key in found if key is not None]


def read_file(file: Path) -> bytes | None:
    """The master key of a file; None where there is no file. Raises BadSetting."""
    try:
        mode = file.stat().st_mode
        text = file.read_text("ascii")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as problem:
        raise BadSetting(f"the master key {file} cannot be read: {problem}", path=SETTING) from None
    if stat.S_IMODE(mode) & 0o077:
        raise BadSetting(f"the master key {file} is open to others: chmod 600 {file}", path=SETTING)
    return _decoded(text, str(file))


def _decoded(text: str, where: str) -> bytes:
    text = text.strip()
    try:
        key = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise BadSetting(f"{where} holds no master key: that is {_HOW}", path=SETTING)
    return key


def _made(file: Path, db: Db) -> bytes:
    with db.direct() as tx:
        used = tx.value(
            "select (select count(*) from vault_key) + (select count(*) from fact where name = ?)", (CHECK,)
        )
    if used:
        raise BadSetting(
            f"the master key is missing: this database holds secrets sealed with it, and {file} is not there; "
            "put it back, or set security.master_key",
            path=SETTING,
        )
    key = secrets.token_bytes(KEY_BYTES)
    write_file(file, key)
    return key


def write_file(file: Path, key: bytes) -> None:
    """Writes a master key for its owner alone, durable when this returns. What was there is replaced."""
    write_private(file, base64.b64encode(key) + b"\n")


def write_private(file: Path, content: bytes) -> None:
    """Writes a file (mode 0600) whole under another name first: a crash leaves the earlier one or the new one."""
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    draft.rename(file)
    _sync_folder(file.parent)


def tidy_files(data_dir: Path, check: str) -> None:
    """Once nothing is being replaced: the key of this check value is `master.key`, and no other is there."""
    file, coming = data_dir / KEY_FILE, data_dir / NEXT_FILE
    key = read_file(coming)
    if key is None:
        return
    if check_of(key) == check:
        coming.rename(file)
    else:
        coming.unlink()
    _sync_folder(data_dir)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def put_back(data_dir: Path, keys: dict[str, bytes], latest: str) -> str:
    """Puts those of the keys into the data directory that its database hangs on; the check value of the first.

    `latest`: which of them where there is no database. The caller holds the lock of the directory. Raises Invalid where
    none of them fits, Conflict where another key is there.
    """
    holds, coming = latest, None
    database = data_dir / "signalcraft.db"
    if database.exists():
        db = Db(database)
        try:
            with db.reading() as reader:
                facts = rotation.facts(reader)
        finally:
            db.stop()
        holds, coming = facts.holds or latest, facts.coming
    for check, name in ((holds, KEY_FILE), (coming, NEXT_FILE)):
        if check is not None and check not in keys:
            raise Invalid(f"none of these keys is the one that this database hangs on ({shown(check)})")
        there = read_file(data_dir / name) if check is not None else None
        if there is not None and check_of(there) != check:
            raise Conflict(f"{data_dir / name} holds another key, {shown(check_of(there))}: move it away first")
    write_file(data_dir / KEY_FILE, keys[holds])
    if coming is not None:
        write_file(data_dir / NEXT_FILE, keys[coming])
    return holds

"""The keys that a person has at hand: of backups, and the master keys that secrets hang on."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

import msgspec
from msgspec import Struct
from nacl.public import PrivateKey

from signalcraft.errors import Invalid
from signalcraft.storage import bundlekeys, escrow
from signalcraft.storage.vault import KEY_BYTES, check_of

_READ_MAX = 1 << 20


class Given(Struct, frozen=True):
    """`openers` open backups; `masters` are master keys by their check values."""

    openers: tuple[PrivateKey, ...] = ()
    masters: dict[str, bytes] = {}

    def __add__(self, other: Given) -> Given:
        return Given((*self.openers, *other.openers), {**self.masters, **other.masters})

    def __repr__(self) -> str:
        return f"Given({len(self.openers)} keys)"


def of_masters(*masters: bytes) -> Given:
    """Master keys open the backups that were made with them."""
    return Given(tuple(map(bundlekeys.of_master, masters)), {check_of(one): one for one in masters})


def read_keys(file: Path, passphrase: str | None = None) -> Given:
    """The keys of a file: a backup key as it was printed, a master key, or an escrow file of `keys export`.

    Raises Invalid, with `path` "passphrase" for an escrow file where no passphrase is given.
    """
    try:
        with file.open("rb") as opened:
            raw = opened.read(_READ_MAX)
        text = raw.decode("utf-8")
    except OSError as fault:
        raise Invalid(f"{file} cannot be read: {fault.strerror}", path="key_file") from None
    except UnicodeDecodeError:
        raise Invalid(f"{file} holds no key: it is not text", path="key_file") from None
    if text.lstrip().startswith("{"):
        return _escrowed(file, passphrase)
    try:
        return from_text(text)
    except Invalid as fault:
        raise Invalid(f"{file} holds no key: {fault.detail}", path="key_file") from None


def from_text(text: str) -> Given:
    """The same of a text with a key in each line. Raises Invalid."""
    masters = [key for line in text.splitlines() if (key := _master(line.strip())) is not None]
    return Given(tuple(bundlekeys.read_key(text))) + of_masters(*masters)


def _master(line: str) -> bytes | None:
    if line.startswith(("#", "signalcraft-")) or not line:
        return None
    try:
        key = bytes.fromhex(line) if len(line) == 2 * KEY_BYTES else base64.b64decode(line, validate=True)
    except (ValueError, binascii.Error):
        return None
    return key if len(key) == KEY_BYTES else None


def _escrowed(file: Path, passphrase: str | None) -> Given:
    if passphrase is None:
        raise Invalid(f"{file} is an escrow file: it needs its passphrase", path="passphrase")
    data = msgspec.json.decode(escrow.unseal("signalcraft master keys", escrow.read(file), passphrase))
    return of_masters(*(base64.b64decode(key) for key in data["keys"].values()))

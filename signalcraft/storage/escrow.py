"""Files that only a passphrase opens: master keys kept elsewhere, a configuration with its secrets.

JSON that says how it is sealed: argon2id (RFC 9106) makes a key of the passphrase, XSalsa20-Poly1305 seals with it
(libsodium's secretbox). Changed by one bit, it does not open.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox
from nacl.utils import random

from signalcraft.errors import Invalid

What = Literal["signalcraft master keys", "signalcraft configuration"]
PASSPHRASE_MIN: Final = 12
_OPS_MAX, _MEMORY_MAX = 20, 1 << 30
_FILE_MAX: Final = 8 * 1024 * 1024


class _Sealed(Struct, frozen=True, kw_only=True):
    what: str
    version: int
    kdf: str
    ops: int
    memory: int
    salt: str
    box: str


class WrongPassphrase(Invalid):
    """The passphrase is another one, or the file was changed."""


def check_passphrase(passphrase: str) -> None:
    """Raises Invalid for one that is too short to guard anything."""
    if len(passphrase) < PASSPHRASE_MIN:
        raise Invalid(f"a passphrase has at least {PASSPHRASE_MIN} characters", path="passphrase")


def seal(what: What, data: bytes, passphrase: str) -> bytes:
    """The text of such a file. Takes 256 MiB and most of a second, as every guess would."""
    salt = random(argon2id.SALTBYTES)
    ops, memory = argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE
    key = argon2id.kdf(SecretBox.KEY_SIZE, passphrase.encode(), salt, ops, memory)
    box = bytes(SecretBox(key).encrypt(data))
    sealed = _Sealed(
        what=what,
        version=1,
        kdf="argon2id",
        ops=ops,
        memory=memory,
        salt=base64.b64encode(salt).decode(),
        box=base64.b64encode(box).decode(),
    )
    return msgspec.json.format(msgspec.json.encode(sealed)) + b"\n"


def is_sealed(text: bytes, what: What) -> bool:
    """Whether this is such a file."""
    return _read(text, what) is not None


def unseal(what: What, text: bytes, passphrase: str) -> bytes:
    """What is in it. Raises Invalid for another kind of file, WrongPassphrase."""
    sealed = _read(text, what)
    if sealed is None:
        raise Invalid(f"this is no file of {what.removeprefix('signalcraft ')} that this program seals")
    try:
        salt, box = base64.b64decode(sealed.salt, validate=True), base64.b64decode(sealed.box, validate=True)
        key = argon2id.kdf(SecretBox.KEY_SIZE, passphrase.encode(), salt, sealed.ops, sealed.memory)
        return bytes(SecretBox(key).decrypt(box))
    except (CryptoError, ValueError, TypeError):
        raise WrongPassphrase("this passphrase does not open it, or the file was changed") from None


def read(file: Path) -> bytes:
    """The bytes of a file, as far as such a file is long. Raises Invalid."""
    try:
        with file.open("rb") as opened:
            return opened.read(_FILE_MAX)
    except OSError as fault:
        raise Invalid(f"{file} cannot be read: {fault.strerror}") from None


def _read(text: bytes, what: What) -> _Sealed | None:
    try:
        sealed = msgspec.json.decode(text, type=_Sealed)
    except (msgspec.DecodeError, RecursionError):
        return None
    fits = sealed.version == 1 and sealed.kdf == "argon2id"
    sane = 1 <= sealed.ops <= _OPS_MAX and 8192 <= sealed.memory <= _MEMORY_MAX
    return sealed if sealed.what == what and fits and sane else None

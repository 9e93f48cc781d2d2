"""The keys that backups are sealed to: a recipient's pair, kept apart from the box, and one made from a master key.

What is printed of a key has a check in it: a letter that was read wrongly from paper is found. The bytes are
Curve25519 keys; libsodium's sealed boxes (doc.libsodium.org/public-key_cryptography/sealed_boxes) carry what is sealed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Final

import msgspec
from msgspec import Struct
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from signalcraft.errors import Damaged, Invalid, WrongKey
from signalcraft.storage.vault import KEY_BYTES, check_of

PRIVATE: Final = "signalcraft-backup-key-"
PUBLIC: Final = "signalcraft-recipient-"
_CHECK: Final = 3  # 32 + 3 bytes are 56 letters of base32, without a rest
_GROUP: Final = 7


class Escrowed(Struct, frozen=True):
    """The master keys of a box by their check values. `current`: the one its database hangs on."""

    current: str
    keys: dict[str, bytes]


def made() -> PrivateKey:
    """A new pair."""
    return PrivateKey.generate()


def of_master(master_key: bytes) -> PrivateKey:
    """The pair that whoever holds this master key can make again. Its public part is told to nobody."""
    return PrivateKey(hashlib.blake2b(b"backup", key=master_key, digest_size=32, person=b"signalcraft-bup").digest())


def key_id(public: PublicKey) -> str:
    """What tells one key from another: 12 hexadecimal digits."""
    return hashlib.blake2b(bytes(public), digest_size=6, person=b"signalcraft-bid").hexdigest()


# -- as text ----------------------------------------------------------------------------------------------------------


def show_private(key: PrivateKey) -> str:
    """As it is printed, once."""
    return _shown(PRIVATE, bytes(key))


def show_public(public: PublicKey) -> str:
    """As it stands in the settings."""
    return _shown(PUBLIC, bytes(public))


def read_public(text: str) -> PublicKey:
    """A recipient. Raises Invalid."""
    if text.strip().lower().startswith(PRIVATE):
        raise Invalid(f"this is the private part of a key: the recipient is the part that begins with {PUBLIC}")
    return PublicKey(_read(PUBLIC, text))


def read_key(text: str) -> list[PrivateKey]:
    """What opens backups: a recipient's private part as it was printed, or a master key in base64 or hexadecimal.

    A text with lines: each line is one; those that begin with `#` are left out. Raises Invalid.
    """
    lines = [line.strip() for line in text.splitlines()]
    found = [_one(line) for line in lines if line and not line.startswith("#")]
    if not found:
        raise Invalid("there is no key in it")
    return found


def _one(text: str) -> PrivateKey:
    if text.lower().startswith(PUBLIC):
        raise Invalid(f"this is the public part of a key: what opens a backup begins with {PRIVATE}")
    if text.lower().startswith(PRIVATE):
        return PrivateKey(_read(PRIVATE, text))
    try:
        master = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        master = b""
    if len(master) != KEY_BYTES:
        raise Invalid(f"this is neither a backup key ({PRIVATE}…) nor a master key (32 bytes in base64)")
    return of_master(master)


def _shown(prefix: str, key: bytes) -> str:
    letters = base64.b32encode(key + _check(prefix, key)).decode().lower()
    return prefix + "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))


def _read(prefix: str, text: str) -> bytes:
    plain = text.strip().lower()
    if not plain.startswith(prefix):
        raise Invalid(f"a key that begins with {prefix} is expected")
    letters = re.sub(r"[\s-]", "", plain.removeprefix(prefix)).upper()
    try:
        data = base64.b32decode(letters)
    except binascii.Error:
        data = b""
    key, check = data[:-_CHECK], data[-_CHECK:]
    if len(key) != KEY_BYTES or check != _check(prefix, key):
        raise Invalid("this key is not whole: a letter of it is wrong or missing")
    return key


def _check(prefix: str, key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=_CHECK, person=prefix.encode()[:16]).digest()


# -- the master keys inside a backup ----------------------------------------------------------------------------------


def seal_masters(current: str, keys: dict[str, bytes], recipients: list[PublicKey]) -> bytes:
    """The member `keys.sealed`: the master keys, for each of the recipients alone."""
    data = msgspec.json.encode(
        {"current": current, "keys": {check: base64.b64encode(key).decode() for check, key in keys.items()}}
    )
    boxes = {key_id(one): base64.b64encode(SealedBox(one).encrypt(data)).decode() for one in recipients}
    return msgspec.json.encode({"what": "signalcraft master keys, sealed", "version": 1, "boxes": boxes}) + b"\n"


def master_keys(sealed: bytes, key: PrivateKey) -> Escrowed:
    """What is in it, for a recipient's private part. Raises WrongKey, Damaged."""
    try:
        boxes: dict[str, str] = msgspec.json.decode(sealed)["boxes"]
        if key_id(key.public_key) not in boxes:
            raise WrongKey(f"the master keys in this backup were sealed to {', '.join(boxes) or 'nobody'}")
        opened = msgspec.json.decode(SealedBox(key).decrypt(base64.b64decode(boxes[key_id(key.public_key)])))
        keys = {check: base64.b64decode(text) for check, text in opened["keys"].items()}
    except (msgspec.DecodeError, CryptoError, KeyError, TypeError, AttributeError, ValueError, RecursionError):
        raise Damaged("the master keys in this backup cannot be opened: they were changed") from None
    if any(check_of(one) != check for check, one in keys.items()):
        raise Damaged("a master key in this backup is not the one that it is called after")
    return Escrowed(opened["current"], keys)

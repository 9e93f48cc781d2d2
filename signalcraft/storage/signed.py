"""Signatures of a release: minisign's files (https://jedisct1.github.io/minisign/#signature-format), checked with
Ed25519. Both its forms are read, the signature of the file's BLAKE2b-512 (`ED`, the default) and of the file (`Ed`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path
from typing import Final

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from signalcraft.errors import Conflict, Invalid

_KEY_BYTES: Final = 42  # algorithm 2, key id 8, key 32
_SIGNATURE_BYTES: Final = 74  # algorithm 2, key id 8, signature 64
_FILE_MAX: Final = 1 << 16
_TRUSTED: Final = "trusted comment: "


def public_key(given: str) -> bytes:
    """A minisign public key: its base64 text, or the path of its file. Raises Invalid."""
    text = given
    if len(given) < 200 and Path(given).is_file():
        text = Path(given).read_text("utf-8", "replace")
    lines = [line for line in text.splitlines() if line and not line.startswith("untrusted comment:")]
    raw = _decoded(lines[-1] if lines else "", "the public key")
    if len(raw) != _KEY_BYTES or raw[:2] != b"Ed":
        raise Invalid("the public key is none of minisign's (it begins with RW and has 56 characters)")
    return raw


def verify(file: Path, signature: Path, key: bytes) -> str:
    """The trusted comment of a signature that holds for a file. Raises Invalid (unreadable), Conflict (it does not)."""
    try:
        with signature.open("rb") as opened:
            lines = opened.read(_FILE_MAX).decode("utf-8", "replace").splitlines()
    except OSError as problem:
        raise Invalid(f"{signature} cannot be read: {problem.strerror}") from None
    if len(lines) < 4 or not lines[2].startswith(_TRUSTED):
        raise Invalid(f"{signature} is no signature of minisign's")
    said, whole = _decoded(lines[1], str(signature)), _decoded(lines[3], str(signature))
    if len(said) != _SIGNATURE_BYTES or said[:2] not in (b"Ed", b"ED"):
        raise Invalid(f"{signature} is no signature of minisign's")
    if said[2:10] != key[2:10]:
        raise Conflict(f"{signature} was made with another key than the one that is trusted; nothing was changed")
    comment = lines[2].removeprefix(_TRUSTED)
    message = _digest(file) if said[:2] == b"ED" else file.read_bytes()
    checker = VerifyKey(key[10:])
    try:
        checker.verify(message, said[10:])
        checker.verify(said[10:] + comment.encode(), whole)
    except BadSignatureError:
        raise Conflict(f"the signature {signature} does not hold for {file.name}; nothing was changed") from None
    return comment


def _digest(file: Path) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.blake2b(digest_size=64)).digest()


def _decoded(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (ValueError, binascii.Error):
        raise Invalid(f"{what} is not in base64") from None

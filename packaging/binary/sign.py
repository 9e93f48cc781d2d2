"""Signatures of a release in minisign's format (https://jedisct1.github.io/minisign/#signature-format).

    python packaging/binary/sign.py --new KEYFILE     a new pair: KEYFILE (secret, 0600) and KEYFILE.pub
    RELEASE_KEY_FILE=KEYFILE make release             signs; a key with a password asks $RELEASE_KEY_PASSWORD

Keys that `minisign -G` made work too, with or without a password. `signalcraft upgrade --signature` and minisign itself
check what is signed here.
"""

from __future__ import annotations

import base64
import hashlib
import os
import struct
import sys
from pathlib import Path

from nacl.pwhash import scrypt
from nacl.signing import SigningKey

_KEY = struct.Struct("<2s2s2s32sQQ104s")
_INSIDE = struct.Struct("<8s64s32s")


class Key:
    """A secret key that signs."""

    def __init__(self, number: bytes, seed: bytes) -> None:
        self.number = number
        self._key = SigningKey(seed)

    @property
    def public(self) -> str:
        """The public key as minisign spells it."""
        return base64.b64encode(b"Ed" + self.number + self._key.verify_key.encode()).decode()

    def public_file(self) -> str:
        """The text of its file."""
        said = self.number[::-1].hex().upper()
        return f"untrusted comment: minisign public key {said}\n{self.public}\n"

    def secret_file(self) -> str:
        """The text of its file, without a password: who can read the file can sign."""
        whole = self._key.encode() + self._key.verify_key.encode()
        check = hashlib.blake2b(b"Ed" + self.number + whole, digest_size=32).digest()
        raw = _KEY.pack(b"Ed", b"\0\0", b"B2", bytes(32), 0, 0, _INSIDE.pack(self.number, whole, check))
        return f"untrusted comment: minisign unencrypted secret key\n{base64.b64encode(raw).decode()}\n"

    def signature(self, file: Path, comment: str) -> str:
        """The text of FILE.minisig: of the file's BLAKE2b-512, as minisign does by default."""
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, lambda: hashlib.blake2b(digest_size=64)).digest()
        signed = self._key.sign(digest).signature
        both = self._key.sign(signed + comment.encode()).signature
        lines = (
            f"untrusted comment: signature of {file.name}",
            base64.b64encode(b"ED" + self.number + signed).decode(),
            f"trusted comment: {comment}",
            base64.b64encode(both).decode(),
        )
        return "\n".join(lines) + "\n"


def read(file: Path, password: str = "") -> Key:
    """A secret key's file. Raises ValueError where it is none, or the password does not open it."""
    lines = [line for line in file.read_text("utf-8").splitlines() if line and not line.startswith("untrusted comment")]
    try:
        raw = base64.b64decode(lines[0], validate=True)
        algorithm, derived, _, salt, ops, memory, inside = _KEY.unpack(raw)
    except (IndexError, ValueError, struct.error):
        raise ValueError(f"{file} is no secret key of minisign's") from None
    if derived == b"Sc":
        stream = scrypt.kdf(len(inside), password.encode(), salt, opslimit=ops, memlimit=memory)
        inside = bytes(one ^ other for one, other in zip(inside, stream, strict=True))
    number, whole, check = _INSIDE.unpack(inside)
    if hashlib.blake2b(algorithm + number + whole, digest_size=32).digest() != check:
        raise ValueError(f"{file} does not open with this password (RELEASE_KEY_PASSWORD)")
    return Key(number, whole[:32])


def new() -> Key:
    """A key that nobody has."""
    return Key(os.urandom(8), SigningKey.generate().encode())


def main(args: list[str]) -> int:
    """Makes a pair of keys."""
    if len(args) != 2 or args[0] != "--new":
        print(__doc__, file=sys.stderr)
        return 2
    target, key = Path(args[1]), new()
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(key.secret_file())
    target.with_name(f"{target.name}.pub").write_text(key.public_file(), "utf-8")
    print(f"{target} signs, keep it away from here; {target}.pub is for everybody:\n{key.public}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

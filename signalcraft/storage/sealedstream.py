"""A long stream, compressed and sealed piece by piece, whose order and end are sealed too.

Pieces of 1 MiB go through libsodium's secretstream (doc.libsodium.org/secret-key_cryptography/secretstream): a piece
that was changed, left out, doubled or moved does not open, and the last one says that it is the last. Whatever `bound`
is (the header of the file) is sealed with the first piece. Memory: a few pieces, however long the stream.
"""

from __future__ import annotations

from typing import BinaryIO, Final, Protocol

import zstandard
from nacl import bindings as sodium
from nacl.exceptions import CryptoError

from signalcraft.errors import Damaged

PIECE: Final = 1 << 20
KEY_BYTES: Final = sodium.crypto_secretstream_xchacha20poly1305_KEYBYTES
_HEAD: Final = sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES
_MORE: Final = sodium.crypto_secretstream_xchacha20poly1305_ABYTES
_LAST: Final = sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL
_NEXT: Final = sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_LEVEL: Final = 3
_WINDOW_MAX: Final = 1 << 27


class _Sink(Protocol):
    def write(self, data: bytes, /) -> int: ...


def new_key() -> bytes:
    """A key for one stream."""
    key: bytes = sodium.crypto_secretstream_xchacha20poly1305_keygen()
    return key


class SealedWriter:
    """Takes the plain stream by `write`; `close` ends it. What it writes to is left open."""

    def __init__(self, file: BinaryIO, key: bytes, bound: bytes) -> None:
        self._pieces = _Pieces(file, key, bound)
        self._packed = zstandard.ZstdCompressor(level=_LEVEL).stream_writer(self._pieces, closefd=False)  # type: ignore[arg-type]

    def write(self, data: bytes) -> None:
        """More of the stream. Raises OSError."""
        self._packed.write(data)

    def close(self) -> None:
        """The end. Raises OSError. A stream that was not closed opens nowhere."""
        self._packed.close()  # type: ignore[no-untyped-call]
        self._pieces.end()


class SealedReader:
    """Gives the plain stream by `read`; `end` proves that nothing follows."""

    def __init__(self, file: BinaryIO, key: bytes, bound: bytes) -> None:
        self._pieces = _Opened(file, key, bound)
        unpacker = zstandard.ZstdDecompressor(max_window_size=_WINDOW_MAX)
        self._packed = unpacker.stream_reader(self._pieces)  # type: ignore[arg-type]

    def read(self, size: int) -> bytes:
        """The next bytes, fewer only at the end. Raises Damaged, OSError."""
        try:
            found = self._packed.read(size)
            while 0 < len(found) < size:
                more = self._packed.read(size - len(found))
                if not more:
                    break
                found += more
        except zstandard.ZstdError:
            raise Damaged("what is in it cannot be unpacked") from None
        return found

    def exactly(self, size: int) -> bytes:
        """The next bytes, all of them. Raises Damaged, OSError."""
        found = self.read(size)
        if len(found) != size:
            raise Damaged("it ends too early")
        return found

    def end(self) -> None:
        """Raises Damaged where the stream goes on, or where its last piece is missing."""
        if self.read(1):
            raise Damaged("there is more in it than it says")
        self._pieces.end()


class _Pieces:
    def __init__(self, file: _Sink, key: bytes, bound: bytes) -> None:
        self._file = file
        self._bound: bytes | None = bound
        self._held = bytearray()
        self._state = sodium.crypto_secretstream_xchacha20poly1305_state()
        file.write(sodium.crypto_secretstream_xchacha20poly1305_init_push(self._state, key))

    def write(self, data: bytes) -> int:
        self._held += data
        while len(self._held) > PIECE:  # the last piece is never empty-handed: one is kept back for it
            self._put(bytes(self._held[:PIECE]), _NEXT)
            del self._held[:PIECE]
        return len(data)

    def flush(self) -> None:
        return

    def end(self) -> None:
        self._put(bytes(self._held), _LAST)

    def _put(self, piece: bytes, tag: int) -> None:
        sealed = sodium.crypto_secretstream_xchacha20poly1305_push(self._state, piece, self._bound, tag)
        self._bound = None
        self._file.write(sealed)


class _Opened:
    def __init__(self, file: BinaryIO, key: bytes, bound: bytes) -> None:
        self._file = file
        self._bound: bytes | None = bound
        self._held = memoryview(b"")
        self._ended = False
        self._state = sodium.crypto_secretstream_xchacha20poly1305_state()
        head = file.read(_HEAD)
        if len(head) != _HEAD:
            raise Damaged("it ends too early")
        sodium.crypto_secretstream_xchacha20poly1305_init_pull(self._state, head, key)

    def read(self, size: int = -1) -> bytes:
        if not self._held:
            self._held = memoryview(self._piece())
        found = bytes(self._held[:size] if size >= 0 else self._held)
        self._held = self._held[len(found) :]
        return found

    def end(self) -> None:
        if self._held:
            raise Damaged("there is more in it than it says")
        while not self._ended:
            if self._piece():
                raise Damaged("there is more in it than it says")

    def _piece(self) -> bytes:
        if self._ended:
            return b""
        sealed = self._file.read(PIECE + _MORE)
        if len(sealed) < _MORE:
            raise Damaged("it ends too early")
        try:
            piece, tag = sodium.crypto_secretstream_xchacha20poly1305_pull(self._state, sealed, self._bound)
        except (CryptoError, RuntimeError):
            raise Damaged("a piece of it was changed, cut short, is missing or stands in the wrong place") from None
        self._bound = None
        if tag == _LAST:
            self._ended = True
            if self._file.read(1):
                raise Damaged("there is more in the file after its end")
        elif len(sealed) != PIECE + _MORE:
            raise Damaged("it ends too early")
        return bytes(piece)

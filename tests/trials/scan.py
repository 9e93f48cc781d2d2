"""A search for secrets that takes everything apart: what a box keeps, writes, answers and sends.

`Scan.look` unfolds what it is given (zstd, gzip, JSON, base64, hex, percent, HTML, quoted-printable, escapes), layer by
layer, and looks for each secret in every layer: whole, and its first and last twenty characters, so that a cut one is
found too. What may stand somewhere is said in `Permit`s, and a permit that nothing needed is a fault of the test.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import quopri
import re
import shutil
import sqlite3
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import re2
import zstandard

DEPTH = 5
PART = 20
"""So many characters of a secret are as bad as the whole of it."""
_LAYER_MAX = 16 << 20
_FRAME_MAX = 1 << 20
_ZSTD = b"\x28\xb5\x2f\xfd"
_BYTES = re2.Options()
_BYTES.encoding = re2.Options.Encoding.LATIN1
_BYTES.max_mem = 256 << 20
_BASE64 = re2.compile(rb"[A-Za-z0-9+/_-]{16,}", _BYTES)
_HEX = re2.compile(rb"[0-9a-fA-F]{16,}", _BYTES)
_PLAIN = bytes(range(32, 127)) + b"\t\r\n"
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[\\'\"/bfnrt])")
_MEANT = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


class Leak(NamedTuple):
    """Where a secret stood, and the layers that hid it there."""

    secret: str
    where: str
    how: str


class Permit(NamedTuple):
    """A place where a secret may stand: `where` is a pattern for the whole name of the place."""

    secret: str
    where: str
    reason: str


class Scan:
    """Looks for secrets (name → text). `leaks` are what was found where no permit says so."""

    def __init__(self, secrets: Mapping[str, str], permits: Iterable[Permit] = ()) -> None:
        self.secrets = dict(secrets)
        self.permits = tuple(permits)
        self.used: set[Permit] = set()
        self.found: dict[tuple[str, str], str] = {}
        self.looked: Counter[str] = Counter()
        self._known: dict[tuple[bytes, int], dict[str, str]] = {}
        self._needles = [(name, needle) for name, text in secrets.items() for needle in needles(text)]
        # One pass for all of them; which it was is asked where something was found.
        self._any = re2.compile(b"|".join(re2.escape(needle) for _, needle in self._needles), _BYTES)

    @property
    def leaks(self) -> list[Leak]:
        """What stands where it may not, in order."""
        found = (Leak(secret, where, how) for (secret, where), how in sorted(self.found.items()))
        return [leak for leak in found if not self._permitted(leak)]

    @property
    def unused(self) -> list[Permit]:
        """Permits that nothing needed: the secret never got there, so nothing was shown."""
        self.leaks  # noqa: B018  # asks every permit
        return [permit for permit in self.permits if permit not in self.used]

    def places(self, secret: str) -> set[str]:
        """Every place in which a secret was found, permitted or not."""
        return {where for name, where in self.found if name == secret}

    def _permitted(self, leak: Leak) -> bool:
        fitting = [p for p in self.permits if p.secret == leak.secret and re.fullmatch(p.where, leak.where)]
        self.used.update(fitting)
        return bool(fitting)

    # -- what is looked at --------------------------------------------------------------------------------------------

    def look(self, where: str, data: Any, depth: int = DEPTH) -> None:
        """One thing of any type: bytes and text are unfolded, numbers skipped, everything else as its JSON or repr."""
        if data is None or isinstance(data, bool | int | float):
            return
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogatepass")
        elif not isinstance(data, bytes):
            data = json.dumps(data, default=repr).encode()
        self.looked[where] += len(data)
        if (data, depth) not in self._known:  # the same row stands in every copy of a database
            self._known[data, depth] = {}
            for name, how in self._search(data, depth):
                self._known[data, depth].setdefault(name, how)
        for name, how in self._known[data, depth].items():
            self.found.setdefault((name, where), how)

    def _search(self, data: bytes, depth: int) -> Iterator[tuple[str, str]]:
        for how, layer in layers(data, depth):
            if self._any.search(layer) is not None:
                yield from ((name, how) for name, needle in self._needles if needle in layer)

    def database(self, file: Path) -> None:
        """Every column of every table, as a reader sees them who takes the write-ahead log in."""
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / file.name
            for suffix in ("", "-wal"):  # a copy: another process may have the file open
                beside = file.with_name(file.name + suffix)
                if beside.exists():
                    shutil.copyfile(beside, copy.with_name(copy.name + suffix))
            connection = sqlite3.connect(copy)
            try:
                tables = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
                for table in tables:
                    cursor = connection.execute(f'select * from "{table}"')
                    names = [column[0] for column in cursor.description]
                    self.looked[f"{file.name} {table}"] += 0
                    for row in cursor:
                        for name, value in zip(names, row, strict=True):
                            self.look(f"{file.name} {table}.{name}", value)
            finally:
                connection.close()

    def folder(self, folder: Path) -> None:
        """Every file below a data directory: its raw bytes, and its tables where it is a database."""
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            raw = file.read_bytes()
            database = re.search(r"\.db(-wal|-shm)?$", file.name) is not None
            # Pages are taken apart as tables below; raw, they are searched for what no table shows any more.
            self.look(f"file {file.relative_to(folder)}", raw, 1 if database else DEPTH)
            if raw.startswith(b"SQLite format 3\0"):
                self.database(file)

    def log(self, file: Path) -> list[Any]:
        """Every line of a log, raw and decoded; the lines. A line that is no JSON is kept as text."""
        lines: list[Any] = []
        for raw in file.read_bytes().splitlines():
            self.look("log", raw)
            try:
                lines.append(json.loads(raw))
            except ValueError:
                lines.append(raw.decode("utf-8", "replace"))
        return lines

    def summary(self) -> str:
        """What was looked at, a line for each sort of place."""
        sorts: Counter[str] = Counter()
        for where, size in self.looked.items():
            sorts[where.split(" ")[0] if where.startswith(("GET", "file", "log")) else where] += size
        return "\n".join(f"{size:>10} bytes  {where}" for where, size in sorted(sorts.items()))


def needles(text: str) -> list[bytes]:
    """What gives a secret away: itself, either end of it, both within base64, and the bytes that it spells."""
    parts = {text} if len(text) < PART + 4 else {text, text[:PART], text[-PART:]}
    found = [part.encode() for part in parts]
    found += [in_base64 for part in parts for in_base64 in _inside_base64(part.encode())]
    key = text.removeprefix("whsec_")
    if re.fullmatch(r"[A-Za-z0-9+/]{32,}={0,2}", key) and len(key) % 4 == 0:
        found.append(base64.b64decode(key))
    elif re.fullmatch(r"[0-9a-f]{32,}", key):
        found.append(bytes.fromhex(key))
    return found


def _inside_base64(part: bytes) -> Iterator[bytes]:
    """How bytes look within base64 at each of the three places they can begin, without the edges that others share."""
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + part)
        first = (0, 2, 3)[shift]
        last = len(coded) if (len(part) + shift) % 3 == 0 else len(coded.rstrip(b"=")) - 1
        core = coded[first:last]
        if len(core) >= 10:
            yield core
            yield core.translate(bytes.maketrans(b"+/", b"-_"))


# -- unfolding --------------------------------------------------------------------------------------------------------


def layers(data: bytes, most: int = DEPTH) -> Iterator[tuple[str, bytes]]:
    """(how, bytes) of the data and of everything folded into it, `most` layers deep."""
    waiting = [("plain", data, 0)]
    seen: set[bytes] = set()
    while waiting:
        how, layer, depth = waiting.pop()
        if not layer or layer in seen:
            continue
        seen.add(layer)
        yield how, layer
        if depth < most:
            waiting += [(f"{how} > {step}", inner[:_LAYER_MAX], depth + 1) for step, inner in _unfolded(layer)]


def _unfolded(layer: bytes) -> Iterator[tuple[str, bytes]]:
    yield from _unpacked(layer)
    yield from _unquoted(layer)
    if b"\0" in layer:
        yield "without NULs", layer.replace(b"\0", b"")  # UTF-16, or a text that something cut in pieces
    for run in _BASE64.findall(layer):
        standard = run.translate(_TO_STANDARD)
        for shift in range(4):
            piece = standard[shift:]
            inner = base64.b64decode(piece[: len(piece) // 4 * 4] + _rest(piece))
            if _is_worth_it(inner):
                yield "base64", inner
    for run in _HEX.findall(layer):
        for shift in range(2):
            piece = run[shift:]
            inner = binascii.unhexlify(piece[: len(piece) // 2 * 2])
            if _is_worth_it(inner):
                yield "hex", inner


def _rest(piece: bytes) -> bytes:
    left = piece[len(piece) // 4 * 4 :]
    return left + b"=" * (4 - len(left)) if len(left) > 1 else b""


def _is_worth_it(inner: bytes) -> bool:
    """Whether decoded bytes may mean something: mostly text, or packed again. Random bytes are no further layer."""
    if inner.startswith((_ZSTD, b"\x1f\x8b")):
        return True
    strange = inner[:200].translate(None, _PLAIN)
    return len(inner) > 5 and len(strange) < 0.2 * len(inner[:200])


def _unpacked(layer: bytes) -> Iterator[tuple[str, bytes]]:
    at = layer.find(_ZSTD)
    while at >= 0:
        try:
            yield "zstd", zstandard.ZstdDecompressor().decompressobj().decompress(layer[at : at + _FRAME_MAX])
        except zstandard.ZstdError:
            pass  # the four bytes stood there by chance, or the rest of the frame stands elsewhere
        at = layer.find(_ZSTD, at + 1)
    if layer.startswith((b"\x1f\x8b", b"\x78\x01", b"\x78\x9c", b"\x78\xda")):
        try:
            yield "zlib", zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(layer, _LAYER_MAX)
        except zlib.error:
            return


def _unquoted(layer: bytes) -> Iterator[tuple[str, bytes]]:
    if layer.lstrip()[:1] in (b"{", b"[", b'"'):
        try:
            yield "JSON", b"\n".join(_texts(json.loads(layer)))
        except (ValueError, RecursionError):
            pass
    if b"\\" in layer:
        yield "escapes", _ESCAPE.sub(_escaped, layer)
        yield "\\u", re.sub(rb"\\+u([0-9a-fA-F]{4})", _character, layer)
    if b"%" in layer:
        yield "percent", unquote_to_bytes(layer.replace(b"+", b" "))
        yield "percent", unquote_to_bytes(layer)
    if b"&" in layer:
        yield "HTML", html.unescape(layer.decode("latin-1")).encode("utf-8", "surrogatepass")
    if b"=3D" in layer or b"=\n" in layer or b"=\r\n" in layer:
        yield "quoted-printable", quopri.decodestring(layer)


def _escaped(match: re.Match[bytes]) -> bytes:
    said = match[1]
    return bytes.fromhex(said[1:].decode()) if said[:1] == b"x" else _MEANT.get(said, said)


def _character(match: re.Match[bytes]) -> bytes:
    return chr(int(match[1], 16)).encode("utf-8", "surrogatepass")


def _texts(value: Any) -> Iterator[bytes]:
    if isinstance(value, str):
        yield value.encode("utf-8", "surrogatepass")
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key.encode("utf-8", "surrogatepass")
            yield from _texts(item)

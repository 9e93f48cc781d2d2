"""A backup in one file, `signalcraft-<date>-<time>.scb`: docs/reference/backup-format.md.

First what anybody may read (the header: which box, when, which keys open it), then one sealed stream: the manifest, and
the members one after the other. The key of the stream is in the header, sealed to each key that may open it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Literal

import msgspec
from msgspec import Struct
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from signalcraft.errors import Conflict, Damaged, Fault, Foreign, WrongKey
from signalcraft.storage import sealedstream
from signalcraft.storage.bundlekeys import key_id
from signalcraft.storage.copies import PART, sync_folder
from signalcraft.storage.room import need_room, part_of, told
from signalcraft.storage.sealedstream import SealedReader, SealedWriter

MAGIC: Final = b"signalcraft bundle\n"
FORMAT: Final = 1
SUFFIX: Final = ".scb"
DATABASE: Final = "signalcraft.db"
KEYS: Final = "keys.sealed"
_BLOCK: Final = 1 << 20
_HEADER_MAX: Final = 1 << 16
_MANIFEST_MAX: Final = 1 << 26
_NAME: Final = re.compile(r"[A-Za-z0-9._@=+-]+(/[A-Za-z0-9._@=+-]+)*")

_UNREADABLE: Final = (msgspec.DecodeError, ValueError, RecursionError)  # whatever bytes may do to a reader of JSON

Progress = Callable[[int, int], None]


class Slot(Struct, frozen=True):
    """The stream's key, sealed to one key. `kind`: box (made from the master key) or recipient; `name`: for people."""

    kind: Literal["box", "recipient"]
    key: str
    name: str
    sealed: str


class Header(Struct, frozen=True, kw_only=True):
    """What can be read of a bundle without a key. Only what opens with a key is proven."""

    format: int
    box: str
    created_ms: int
    program: str
    schema: int
    slots: tuple[Slot, ...]

    def opened_by(self) -> str:
        """Which keys open it, in words."""
        return " or ".join(f"{_KINDS[slot.kind]} {slot.name}" for slot in self.slots) or "no key"


class Member(Struct, frozen=True):
    """One file in a bundle. `sha256`: in hex."""

    name: str
    size: int
    sha256: str


class Manifest(Struct, frozen=True, kw_only=True):
    """What is in a bundle. `master`: the check value of the master key that the database hangs on.

    `rows`: tables to how many rows they have; `left_out`: sentences about what is not in it.
    """

    format: int
    box: str
    created_ms: int
    program: str
    build: str
    schema: int
    master: str
    data_dir: str
    config_file: str | None
    rows: dict[str, int]
    members: tuple[Member, ...]
    left_out: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all members, unpacked."""
        return sum(member.size for member in self.members)

    def has(self, name: str) -> bool:
        """Whether a member is in it."""
        return any(member.name == name for member in self.members)


class Bundle(Struct, frozen=True):
    """A bundle that a key opened: what is in it is as it was written, as far as it has been read."""

    path: Path
    header: Header
    manifest: Manifest
    key: bytes

    def __repr__(self) -> str:
        return f"Bundle({self.path})"


_KINDS: Final = {"box": "the master key", "recipient": "the backup key"}


# -- writing ----------------------------------------------------------------------------------------------------------


class Opener(Struct, frozen=True):
    """A key that a bundle is to be sealed to: its public part."""

    kind: Literal["box", "recipient"]
    public: bytes
    name: str

    def slot(self, key: bytes) -> Slot:
        """The stream's key for this one alone."""
        public = PublicKey(self.public)
        sealed = base64.b64encode(SealedBox(public).encrypt(key)).decode()
        return Slot(self.kind, key_id(public), self.name, sealed)


def write_bundle(
    target: Path,
    manifest: Manifest,
    sources: Mapping[str, Path | bytes],
    openers: Sequence[Opener],
    *,
    progress: Progress | None = None,
    verifying: Progress | None = None,
) -> int:
    """Writes a bundle, reads it back from the disk whole, and only then gives it its name; its size in bytes.

    `sources`: where each member of the manifest is. Raises Conflict where `target` is there, Damaged where a source is
    not what the manifest says or the disk gives back something else, DiskFull, Fault: having left nothing.
    """
    if target.exists():
        raise Conflict(f"{target} is there already")
    key = sealedstream.new_key()
    try:
        with part_of(target) as (part, file):
            _write(file, manifest, sources, openers, key, progress or _silent)
            file.flush()
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # what is read back comes from the disk
            _read_whole(Bundle(part, read_header(part), manifest, key), verifying or _silent)
            size = os.fstat(file.fileno()).st_size
            part.rename(target)
        sync_folder(target.parent)
    except OSError as problem:
        raise told(problem, target.parent, f"{target.name} was not written") from None
    return size


def _write(
    file: BinaryIO,
    manifest: Manifest,
    sources: Mapping[str, Path | bytes],
    openers: Sequence[Opener],
    key: bytes,
    progress: Progress,
) -> None:
    header = msgspec.json.encode(
        Header(
            format=FORMAT,
            box=manifest.box,
            created_ms=manifest.created_ms,
            program=manifest.program,
            schema=manifest.schema,
            slots=tuple(opener.slot(key) for opener in openers),
        )
    )
    start = MAGIC + len(header).to_bytes(4, "big") + header
    file.write(start)
    stream = SealedWriter(file, key, hashlib.sha256(start).digest())
    said = msgspec.json.encode(manifest)
    stream.write(len(said).to_bytes(4, "big") + said)
    done = 0
    for member in manifest.members:
        digest, size = hashlib.sha256(), 0
        for block in _blocks(sources[member.name]):
            stream.write(block)
            digest.update(block)
            size += len(block)
            done += len(block)
            progress(done, manifest.size)
        if (size, digest.hexdigest()) != (member.size, member.sha256):
            raise Damaged(f"{member.name} changed while it was backed up")
    stream.close()


def _blocks(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as opened:
        while block := opened.read(_BLOCK):
            yield block


# -- reading ----------------------------------------------------------------------------------------------------------


def read_header(path: Path) -> Header:
    """What a bundle says of itself without a key. Raises Foreign, Damaged, Fault where it cannot be read."""
    with _opened(path) as file:
        return _header(file, path)[0]


def open_bundle(path: Path, *keys: PrivateKey) -> Bundle:
    """A bundle with its manifest: its first piece was read, and is as it was written.

    Raises WrongKey where none of the keys opens it, Foreign for another kind of file, Damaged, Fault.
    """
    with _opened(path) as file:
        header, bound = _header(file, path)
        key = _key(header, keys, path)
        with _blamed(path):
            manifest = _manifest(SealedReader(file, key, bound))
        if (manifest.box, manifest.created_ms, manifest.schema) != (header.box, header.created_ms, header.schema):
            raise Damaged(f"{path} is damaged: its header is not its own")
    return Bundle(path, header, manifest, key)


def verify(path: Path, *keys: PrivateKey, progress: Progress | None = None) -> Manifest:
    """Reads a bundle whole: nothing is missing, changed or moved. Raises as `open_bundle` does."""
    bundle = open_bundle(path, *keys)
    _read_whole(bundle, progress or _silent)
    return bundle.manifest


def unpack(bundle: Bundle, folder: Path, progress: Progress | None = None) -> None:
    """Every member below a new folder (0700, files 0600), each as it was written. None of it is there before all is.

    Raises Conflict where the folder is there, DiskFull before and while it is written, Damaged, Fault.
    """
    if folder.exists():
        raise Conflict(f"{folder} is there already")
    part = folder.with_name(folder.name + PART)
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(mode=0o700, parents=True)
        need_room(part, bundle.manifest.size, "unpack it")
        for member, blocks in _members(bundle, progress or _silent):
            target = part / member.name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(handle, "wb") as file:
                file.writelines(blocks)
                file.flush()
                os.fsync(handle)
            sync_folder(target.parent)
        part.rename(folder)
        sync_folder(folder.parent)
    except OSError as problem:
        raise told(problem, folder.parent, f"{bundle.path.name} was not unpacked") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _read_whole(bundle: Bundle, progress: Progress) -> None:
    for _, blocks in _members(bundle, progress):
        for _ in blocks:
            pass


def _members(bundle: Bundle, progress: Progress) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Each member with its bytes, which are to be read to the end: only then they are known to be whole."""
    done = 0
    with _opened(bundle.path) as file:
        _, bound = _header(file, bundle.path)
        with _blamed(bundle.path):
            stream = SealedReader(file, bundle.key, bound)
            if _manifest(stream) != bundle.manifest:
                raise Damaged("it is another one than it was")
            for member in bundle.manifest.members:

                def blocks(member: Member = member) -> Iterator[bytes]:
                    nonlocal done
                    with _blamed(bundle.path):
                        for block in _checked(stream, member):
                            done += len(block)
                            yield block
                            progress(done, bundle.manifest.size)

                yield member, blocks()
            stream.end()


def _checked(stream: SealedReader, member: Member) -> Iterator[bytes]:
    digest, left = hashlib.sha256(), member.size
    while left:
        block = stream.exactly(min(left, _BLOCK))
        left -= len(block)
        digest.update(block)
        yield block
    if digest.hexdigest() != member.sha256:
        raise Damaged(f"{member.name} is not what was backed up")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as problem:
        raise Fault(f"{path} cannot be read: {problem.strerror}") from None


@contextmanager
def _blamed(path: Path) -> Iterator[None]:
    try:
        yield
    except Damaged as fault:
        raise Damaged(f"{path} is damaged: {fault.detail}") from None


def _header(file: BinaryIO, path: Path) -> tuple[Header, bytes]:
    start = file.read(len(MAGIC) + 4)
    if not start.startswith(MAGIC) or len(start) < len(MAGIC) + 4:
        raise Foreign(f"{path} is no backup of SignalCraft")
    length = int.from_bytes(start[-4:], "big")
    text = file.read(length) if length <= _HEADER_MAX else b""
    try:
        version = msgspec.json.decode(text, type=_Version).format
        if version > FORMAT:
            raise Foreign(f"{path} is of format {version}, which a later SignalCraft wrote: use that one")
        header = msgspec.json.decode(text, type=Header)
    except _UNREADABLE:
        raise Damaged(f"{path} is damaged: its header cannot be read") from None
    return header, hashlib.sha256(start + text).digest()


class _Version(Struct, frozen=True):
    format: int


def _key(header: Header, keys: Sequence[PrivateKey], path: Path) -> bytes:
    by_id = {key_id(key.public_key): key for key in keys}
    for slot in header.slots:
        if slot.key not in by_id:
            continue
        try:
            key = SealedBox(by_id[slot.key]).decrypt(base64.b64decode(slot.sealed))
        except (CryptoError, ValueError, TypeError):
            raise Damaged(f"{path} is damaged: its header was changed") from None
        if len(key) == sealedstream.KEY_BYTES:
            return key
    raise WrongKey(f"{path} opens with {header.opened_by()}, " + ("not with this key" if keys else "and none is given"))


def _manifest(stream: SealedReader) -> Manifest:
    length = int.from_bytes(stream.exactly(4), "big")
    if length > _MANIFEST_MAX:
        raise Damaged("its manifest cannot be read")
    try:
        manifest = msgspec.json.decode(stream.exactly(length), type=Manifest)
    except _UNREADABLE:
        raise Damaged("its manifest cannot be read") from None
    for member in manifest.members:
        if not _NAME.fullmatch(member.name) or {"..", "."} & set(member.name.split("/")):
            raise Damaged("a member of it has a name that no backup has")
    return manifest


def _silent(_done: int, _of: int) -> None:
    return

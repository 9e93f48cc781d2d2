"""The one-file program: the loader, and behind it the one-dir tree as a tar, packed with zstd.

The same tree gives the same bytes: names in order, no times, no owners, and zstd in a fixed number of threads.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import struct
import subprocess
import tarfile
from pathlib import Path

import zstandard

MAGIC = b"SIGNALCRAFT-FILE"
INDEX = ".files"
HERE = Path(__file__).resolve().parent
_TRAILER = struct.Struct("<16sQQ64s")  # as struct trailer of loader.c
_WINDOW_LOG = 25  # 32 MB of memory while it unpacks
_LEVEL = 12  # at 19 it was not done after minutes of processor time


def glibc(tree: Path) -> str:
    """The newest version of the C library that anything in the tree asks for: "2.36"."""
    found = {0}
    for file in tree.rglob("*"):
        if file.is_file() and not file.is_symlink():
            data = file.read_bytes()
            if data.startswith(b"\x7fELF"):
                found |= {int(minor) for minor in re.findall(rb"GLIBC_2\.(\d{1,3})(?=[\0.])", data)}
    return f"2.{max(found)}"


def packed(tree: Path) -> bytes:
    """The tree as a tar of plain entries (ustar), zstd with a checksum around it. Raises ValueError for a long name."""
    raw = io.BytesIO()
    index = []
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(tree.rglob("*"), key=lambda one: one.relative_to(tree).parts):
            name = str(path.relative_to(tree))
            entry = tarfile.TarInfo(name)
            if path.is_symlink():
                entry.type, entry.linkname = tarfile.SYMTYPE, os.readlink(path)
                if ".." in Path(entry.linkname).parts:
                    raise ValueError(f"{name} leads out of its folder: the loader would refuse it")
                tar.addfile(entry)
                index.append(f"0 {name}")
            elif path.is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            else:
                data = path.read_bytes()
                entry.size, entry.mode = len(data), 0o755 if os.access(path, os.X_OK) else 0o644
                tar.addfile(entry, io.BytesIO(data))
                index.append(f"{len(data)} {name}")
        lines = ("\n".join([*index, "end"]) + "\n").encode()
        last = tarfile.TarInfo(INDEX)
        last.size = len(lines)
        tar.addfile(last, io.BytesIO(lines))
    settings = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, window_log=_WINDOW_LOG, write_checksum=True, threads=2
    )
    return zstandard.ZstdCompressor(compression_params=settings).compress(raw.getvalue())


def loader(target: Path, need_glibc: str) -> None:
    """Compiles the loader: static, so that it starts anywhere and says what is missing. Raises CalledProcessError."""
    command = [
        os.environ.get("CC", "cc"), "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wno-format-truncation", "-Werror",
        "-static", "-s", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2", f'-DNEED_GLIBC="{need_glibc}"',
        "-Wl,--build-id=none", f"-ffile-prefix-map={HERE}=.", "-o", str(target), str(HERE / "loader.c"), "-lzstd",
    ]  # fmt: skip
    subprocess.run(command, check=True)


def write(tree: Path, target: Path, version: str, work: Path) -> None:
    """The one file. It takes its place at once: what runs from there goes on with the earlier one."""
    head = work / "loader"
    loader(head, glibc(tree))
    data = packed(tree)
    name = f"{version}-{hashlib.sha256(data).hexdigest()[:16]}".encode()
    start = head.read_bytes()
    draft = target.with_name(f".{target.name}.new")
    draft.write_bytes(start + data + _TRAILER.pack(MAGIC, len(start), len(data), name))
    draft.chmod(0o755)
    draft.rename(target)

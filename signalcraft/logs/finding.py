"""Finds the lines of log files that hold a word: whole blocks are looked through, and a line is cut out on a find."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Final, cast

_BLOCK: Final = 4 << 20


def lines_with(file: BinaryIO, word: bytes, block: int = _BLOCK) -> Iterator[bytes]:
    """The lines of a file that hold the word, without their line breaks, in the file's order."""
    rest = b""
    while piece := file.read(block):
        piece = rest + piece if rest else piece
        end = piece.rfind(b"\n") + 1
        rest = piece[end:]
        at = piece.find(word, 0, end)
        while at >= 0:
            stop = piece.index(b"\n", at)
            yield piece[piece.rfind(b"\n", 0, at) + 1 : stop]
            at = piece.find(word, stop, end)
    if word in rest:
        yield rest


def found_in(files: Sequence[Path], word: str) -> Iterator[bytes]:
    """The same of many files, packed ones too (`.gz`), in their order; as many at once as there are processors."""
    if not word or "\n" in word:
        return
    with ThreadPoolExecutor(min(len(files) or 1, os.cpu_count() or 1)) as pool:
        for lines in pool.map(lambda path: _of_file(path, word.encode()), files):
            yield from lines


def _of_file(path: Path, word: bytes) -> list[bytes]:
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as packed:
            return list(lines_with(cast(BinaryIO, packed), word))
    with path.open("rb", buffering=0) as plain:
        return list(lines_with(cast(BinaryIO, plain), word))

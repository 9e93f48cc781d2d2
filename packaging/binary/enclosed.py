"""Licences and their texts for what brings none along: licences/index.toml names them, part by part."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import parts

if TYPE_CHECKING:
    from inventory import Part

FOLDER = Path(__file__).with_name("licences")


def enclose(found: Iterable[Part], folder: Path = FOLDER) -> None:
    """Gives each part without a text those of its row, and the row's licence where the part says none.

    Raises OSError for a file that a row names and that is not there.
    """
    index = tomllib.loads((folder / "index.toml").read_text("utf-8"))
    for one in found:
        row = _row(index.get(one.kind, {}), one.name)
        if row is None or one.texts:
            continue
        licence, *files = row
        one.licence = one.licence or licence
        for file in files:
            own = file == "LICENSE"
            path = parts.ROOT / file if own else folder / file
            one.texts["LICENSE-APACHE" if own else path.name] = path.read_text("utf-8")


def _row(rows: dict[str, list[str]], name: str) -> list[str] | None:
    """The row of a part: by its name, or by the longest path that a module of Go is below."""
    while name not in rows and "/" in name:
        name = name.rpartition("/")[0]
    return rows.get(name)

"""What is inside the program: the versions of what it stands on, every part of the binary, and their licences."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

import signalcraft
from signalcraft.errors import BadSetting, NotFound
from signalcraft.storage import children, versions

LICENCES: Final = Path(signalcraft.__file__).parent / "licences"


class Part(Struct, frozen=True, kw_only=True):
    """One thing inside the binary. `within`: what holds it, "" where the program itself does. `licence`: SPDX, or "".

    `texts`: the files of its licence.
    """

    kind: str
    name: str
    version: str
    licence: str = ""
    within: str = ""
    texts: list[str] = []


def every() -> dict[str, str]:
    """Name and version of what the program stands on, each asked of the thing itself; Litestream runs for it."""
    return {
        "python": platform.python_version(),
        "sqlite": versions.sqlite(),
        "duckdb": importlib.metadata.version("duckdb"),
        "litestream": _litestream(),
        "granian": importlib.metadata.version("granian"),
        "litestar": importlib.metadata.version("litestar"),
        "libc": " ".join(platform.libc_ver()) or "unknown",
        "kernel": platform.release(),
    }


def parts(folder: Path = LICENCES) -> list[Part]:
    """Everything inside the binary. Raises NotFound where this runs from its sources."""
    listed = folder / "parts.json"
    if not listed.is_file():
        raise NotFound("this program runs from its sources: what it stands on is in runtime.lock.txt")
    return list(msgspec.json.decode(listed.read_bytes(), type=list[Part]))


def text(name: str, folder: Path = LICENCES) -> str:
    """The licence of a part, or of this program ("signalcraft"), word for word; or "notice": all that others made.
    Raises NotFound.
    """
    known = parts(folder)
    if name in ("signalcraft", "notice"):
        return (folder / {"signalcraft": "LICENSE", "notice": "NOTICE"}[name]).read_text("utf-8")
    found = [part for part in known if part.name.lower() == name.lower()]
    if not found:
        raise NotFound(f"no part is called {name[:80]}: signalcraft licences lists them")
    names = dict.fromkeys(text for part in found for text in part.texts)
    if not names:
        raise NotFound(f"{found[0].name} came without the text of its licence ({found[0].licence or 'not named'})")
    return "\n\n".join((folder / one).read_text("utf-8").rstrip() for one in names)


def _litestream() -> str:
    try:
        command = [str(children.litestream()), "version"]
        done = subprocess.run(  # noqa: S603  # the binary that came with the package
            command, env=children.environment(), capture_output=True, text=True, timeout=20, check=False
        )
    except (BadSetting, OSError, subprocess.TimeoutExpired):
        return "missing"
    return done.stdout.strip().removeprefix("v") or "unknown"

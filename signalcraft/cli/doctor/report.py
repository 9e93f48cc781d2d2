"""The text for a bug report: everything that somebody needs who helps, and no secret."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import TYPE_CHECKING

import signalcraft
from signalcraft.storage import versions

if TYPE_CHECKING:
    from signalcraft.cli.doctor.finding import Finding
    from signalcraft.config import Loaded


def text(loaded: Loaded | None, found: Sequence[Finding]) -> str:
    """Markdown. Secrets are •••; names of channels and addresses are in it: read it before it is posted."""
    build = versions.build()
    lines = [
        "## SignalCraft",
        "",
        f"- version {signalcraft.__version__}{f' ({build})' if build else ''}",
        f"- Python {platform.python_version()}, SQLite {versions.sqlite()}",
        f"- {platform.system()} {platform.release()} {platform.machine()}, {_system()}",
        "",
        "## Checks",
        "",
        "| check | status | detail |",
        "|---|---|---|",
        *(f"| {one.name} | {one.status} | {_cell(one.detail)} |" for one in found),
    ]
    if loaded is not None:
        changed = [row for row in loaded.table() if row[2] != "default"]
        lines += ["", "## Settings that differ from their defaults", "", "| setting | value | from |", "|---|---|---|"]
        lines += [f"| {path} | {_cell(value)} | {_cell(origin)} |" for path, value, origin in changed]
    return "\n".join(lines)


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def _cell(value: str) -> str:
    return " ".join(value.split()).replace("|", "\\|")

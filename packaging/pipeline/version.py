"""Whether a tag says what the program says, with an entry in the changelog: `version.py v1.2.3 [--notes]`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def of_program(root: Path = ROOT) -> str:
    """The version in signalcraft/__init__.py."""
    found = re.search(r'^__version__ = "([^"]+)"$', (root / "signalcraft/__init__.py").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError("signalcraft/__init__.py names no version")
    return found[1]


def notes(version: str, root: Path = ROOT) -> str:
    """What the changelog says of a version; "" where it has no entry."""
    text = (root / "docs/changelog.md").read_text("utf-8")
    found = re.search(rf"^## {re.escape(version)}(?: [^\n]*)?\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def wrong(tag: str, root: Path = ROOT) -> str:
    """Why a tag is no release; "" where it is one."""
    version = of_program(root)
    if tag != f"v{version}":
        return f"the tag is {tag or 'none'}, the program's version is {version}: the tag must be v{version}"
    if not notes(version, root):
        return f"docs/changelog.md has no entry: ## {version}"
    return ""


def main(words: list[str]) -> int:
    """The exit code."""
    why = wrong(words[0] if words else "")
    if why:
        print(why, file=sys.stderr)
        return 1
    if "--notes" in words:
        print(notes(of_program()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The tests that belong to files: `affected.py signalcraft/domain/routing.py …` prints their paths.

A test belongs to a module by its name: tests/**/test_<module>*.py, and to a package by the package's.
"""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def belonging(files: list[str], root: Path = ROOT) -> list[str]:
    """Sorted, each once; none where none is called so."""
    every = [path.relative_to(root).as_posix() for path in sorted((root / "tests").rglob("test_*.py"))]
    found = set()
    for file in files:
        path = PurePosixPath(file)
        if path.parts[0] == "tests":
            found |= {file} & set(every)
            continue
        names = {path.stem, path.parent.name} - {"__init__", "__main__", "signalcraft", path.parts[1]}
        found |= {test for test in every for name in names if _belongs(PurePosixPath(test).stem, name)}
    return sorted(found)


def _belongs(test: str, name: str) -> bool:
    rest = test.removeprefix("test_")
    return rest == name or rest.startswith(f"{name}_")


if __name__ == "__main__":
    print("\n".join(belonging(sys.argv[1:])))

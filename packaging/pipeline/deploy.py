"""Brings a release to a machine: `deploy.py PLACE PACKAGE`; told at start and end, taken back where it does not work.

From the environment: $DEPLOY_HOST (user@host, may sudo without a password), $DEPLOY_URL (its https:// address),
$DEPLOY_KEY_FILE (an API key for the smoke test), $DEPLOY_NOTIFY_URL (see notify.py), $DEPLOY_SSH_KEY_FILE and
$DEPLOY_KNOWN_HOSTS_FILE (else ssh as it is set up).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent))
from notify import tell

PROGRAM: Final = Path(sys.executable).with_name("signalcraft")
_NEEDED: Final = ("DEPLOY_HOST", "DEPLOY_URL", "DEPLOY_KEY_FILE")
_PATIENCE_S: Final = 900


class Step(Exception):
    """A step did not go well; its words are for people."""


def run(words: Sequence[str], what: str, *, well: Sequence[int] = (0,)) -> None:
    """Runs it, its output as it comes. Raises Step."""
    print(f"-- {what}", flush=True)
    try:
        code = subprocess.run(list(words), timeout=_PATIENCE_S, check=False).returncode
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise Step(f"{what}: {type(problem).__name__}") from None
    if code not in well:
        raise Step(f"{what}: exit {code}")


def ssh_options() -> list[str]:
    """Nobody is there to answer a question; a machine with another key than the known one is refused."""
    found = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
    if key := os.environ.get("DEPLOY_SSH_KEY_FILE"):
        found += ["-i", key]
    if known := os.environ.get("DEPLOY_KNOWN_HOSTS_FILE"):
        found += ["-o", f"UserKnownHostsFile={known}"]
    return found


def smoke(url: str) -> None:
    """Raises Step."""
    run([str(PROGRAM), "smoke", url, "--key-file", os.environ["DEPLOY_KEY_FILE"]], "smoke test")


def deploy(place: str, package: Path, version: str) -> int:
    """The exit code: 0 where the new version runs, 1 where it does not."""
    host, url = os.environ["DEPLOY_HOST"], os.environ["DEPLOY_URL"]
    far = f"/tmp/{package.name}"  # noqa: S108  # on the other machine, and it is checked against its sum there
    tell("started", place, version)
    installed = False
    try:
        smoke(url)  # what runs there now works: else nobody could tell what broke it
        run(["scp", "-q", *ssh_options(), str(package), f"{host}:{far}"], "copy the package")
        # The package itself makes the backup, tries the migration on a copy, and goes back where it does not start.
        installed = True
        run(["ssh", *ssh_options(), host, f"sudo apt-get install -y --allow-downgrades {far}"], "install")
        run(["ssh", *ssh_options(), host, "sudo signalcraft doctor"], "doctor", well=(0, 1))
        smoke(url)
    except Step as problem:
        tell("failed", place, version, str(problem))
        return _taken_back(place, version, host, url, str(problem)) if installed else 1
    tell("succeeded", place, version)
    return 0


def _taken_back(place: str, version: str, host: str, url: str, why: str) -> int:
    try:
        run(["ssh", *ssh_options(), host, "sudo signalcraft rollback --yes"], "go back")
        smoke(url)
    except Step as problem:
        tell("failed", place, version, f"and it could not be taken back: {problem}. See docs/runbooks/upgrade.md")
        return 1
    tell("rolled-back", place, version, f"{why}; the version before runs again and passed the smoke test")
    return 1


def main(words: list[str]) -> int:
    """The exit code; 2 where it was asked wrongly."""
    missing = [name for name in _NEEDED if not os.environ.get(name)]
    if len(words) != 2 or missing:
        print(f"deploy.py PLACE PACKAGE; not set: {', '.join(missing) or 'nothing'}", file=sys.stderr)
        return 2
    package = Path(words[1])
    if not package.is_file():
        print(f"{package} is not there: make packages", file=sys.stderr)
        return 2
    from signalcraft import __version__

    return deploy(words[0], package, __version__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

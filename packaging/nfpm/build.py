"""`python packaging/nfpm/build.py TREE OUT [VERSION]`: the .deb and the .rpm of a tree that runs. Prints their paths.

TREE holds the executable `signalcraft`; VERSION is what it says that it is, where it is not given. The time in the
packages is $SOURCE_DATE_EPOCH, else the commit's, so that the same commit makes the same bytes
(https://reproducible-builds.org/specs/source-date-epoch/).
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECIPE = "packaging/nfpm/nfpm.yaml"
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}
RELEASE = re.compile(r"(\d+(?:\.\d+)*)(?:[.-]?(a|b|rc|dev)\.?(\d+))?(?:\+([0-9a-z.]+))?")


def packaged(version: str) -> str:
    """A version as package managers order it: 1.2.0rc1 is `1.2.0~rc1`, which comes before 1.2.0."""
    found = RELEASE.fullmatch(version)
    if found is None:
        raise SystemExit(f"{version} is no version")
    number, stage, count, local = found.groups()
    return number + (f"~{stage}{count}" if stage else "") + (f"+{local}" if local else "")


def build(tree: Path, out: Path, version: str) -> list[Path]:
    """Both packages of a tree. Raises SystemExit where nfpm does not make them."""
    for path in tree.rglob("*"):
        if not path.is_symlink():  # whoever built it, when, and under whatever umask
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            os.utime(path, (made_s(), made_s()))
    out.mkdir(parents=True, exist_ok=True)
    machine = platform.machine()
    env = {
        **os.environ,
        "PACKAGE_TREE": str(tree),
        "PACKAGE_ARCH": ARCH.get(machine, machine),
        "PACKAGE_VERSION": packaged(version),
        "SOURCE_DATE_EPOCH": str(made_s()),
    }
    nfpm = shutil.which("nfpm", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if nfpm is None:
        raise SystemExit("nfpm is missing: make build")
    made = []
    for kind in ("deb", "rpm"):
        command = [nfpm, "package", "--config", RECIPE, "--packager", kind, "--target", f"{out}/"]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"nfpm made no .{kind}: {done.stdout}{done.stderr}")
        made.append(Path(done.stdout.rpartition("created package: ")[2].strip()))
    return made


def made_s() -> int:
    """When it was made: $SOURCE_DATE_EPOCH, else the time of the commit; outside a checkout 0."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given:
        return int(given)
    git = shutil.which("git")
    said = (
        subprocess.run([git, "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
        if git
        else ""
    )
    return int(said) if said.strip() else 0


def main(tree: str, out: str, version: str = "") -> None:
    """See above."""
    folder = Path(tree).absolute()
    if not version:
        said = subprocess.run([folder / "signalcraft", "version", "--json"], capture_output=True, check=True).stdout
        version = json.loads(said)["version"]
    for path in build(folder, Path(out).absolute(), version):
        sys.stdout.write(f"{os.path.relpath(path)}  {path.stat().st_size / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""`make release`: everything that people download, in .build/release: the one file, the packages, the installer, the
bill of materials, SHA256SUMS, a .sha256 beside each (`signalcraft upgrade` reads it), signatures where there is a key.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
from pathlib import Path

import parts
import sign

DIST = parts.ROOT / ".build/dist"
TARGET = parts.ROOT / ".build/release"
PACKAGES = ("*.deb", "*.rpm")
INSTALLER = parts.ROOT / "packaging/install.sh"


def gathered(dist: Path, target: Path, trusted: str) -> tuple[list[Path], dict[str, str]]:
    """The files of the release, by the names that people see; and what the build wrote down.

    `trusted`: the public key that the installer goes by, "" for the one that its user names.
    """
    package = dist / "signalcraft-dir/_internal/signalcraft"
    built: dict[str, str] = json.loads((package / "built.json").read_text("utf-8"))
    bill = package / "sbom.cdx.json"
    version = json.loads(bill.read_text("utf-8"))["metadata"]["component"]["version"]
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    system = f"{platform.system().lower()}-{platform.machine()}"
    wanted = [(dist / "signalcraft", f"signalcraft-{version}-{system}"), (bill, f"signalcraft-{version}.cdx.json")]
    wanted += [(file, file.name) for pattern in PACKAGES for file in sorted(dist.glob(pattern))]
    for file, name in wanted:
        shutil.copy2(file, target / name)
    installer = INSTALLER.read_text("utf-8")
    (target / INSTALLER.name).write_text(installer.replace("PUBLIC_KEY=''", f"PUBLIC_KEY='{trusted}'", 1), "utf-8")
    (target / INSTALLER.name).chmod(0o755)
    return sorted(target.iterdir()), built | {"version": version}


def summed(files: list[Path], target: Path) -> Path:
    """SHA256SUMS, as `sha256sum --check` reads it, and one for each file alone."""
    lines = []
    for file in files:
        with file.open("rb") as opened:
            lines.append(f"{hashlib.file_digest(opened, 'sha256').hexdigest()}  {file.name}\n")
        file.with_name(f"{file.name}.sha256").write_text(lines[-1], "utf-8")
    sums = target / "SHA256SUMS"
    sums.write_text("".join(lines), "utf-8")
    return sums


def signed(files: list[Path], built: dict[str, str], key: sign.Key) -> None:
    """FILE.minisig beside each. The trusted comment says which version and commit it is."""
    for file in files:
        comment = f"signalcraft {built['version']} {built['commit']} {built['date']} file:{file.name}"
        file.with_name(f"{file.name}.minisig").write_text(key.signature(file, comment), "utf-8")


def main() -> int:
    """Exit 1 where RELEASE_SIGN=required and there is no key, or where the commit is not what was built."""
    given = os.environ.get("RELEASE_KEY_FILE", "")
    key = sign.read(Path(given), os.environ.get("RELEASE_KEY_PASSWORD", "")) if given else None
    files, built = gathered(DIST, TARGET, key.public if key else "")
    sums = summed(files, TARGET)
    required = os.environ.get("RELEASE_SIGN", "") == "required"
    for file in files:
        print(f"{file.stat().st_size / 1e6:8.1f} MB  {file.name}")
    lacking = [kind for kind in ("*.deb", "*.rpm") if not list(TARGET.glob(kind))]
    if lacking:
        print(f"!! NOT IN IT: no {' and no '.join(lacking)} is in {DIST.relative_to(parts.ROOT)} (make packages)")
    if key is not None:
        signed([*files, sums], built, key)
        (TARGET / "release.pub").write_text(key.public_file(), "utf-8")
        print(f"signed with {key.public}")
    else:
        print("!! NOT SIGNED: RELEASE_KEY_FILE names no key (python packaging/binary/sign.py --new FILE makes one)")
    if "+changes" in built["commit"]:
        print(f"!! NOT OF A COMMIT: {built['commit']}: what was built is not what the commit holds")
    return int(required and (not given or "+changes" in built["commit"] or bool(lacking)))


if __name__ == "__main__":
    sys.exit(main())

"""`make binary`: the one-dir tree and the one file, under .build/dist.

    python packaging/binary/build.py            .build/dist/signalcraft-dir/ and .build/dist/signalcraft
    SIGNALCRAFT_BUILD_VERSION=9.9.9 python …    the same under another version, in .build/dist-9.9.9/

It works on a copy of the checkout, in an environment that holds what runtime.lock.txt says and PyInstaller, and nothing
else. What goes in is parts.py; how the same sources give the same bytes: docs/reference/binary.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import inventory
import notice
import onefile
import parts
import sbom

ROOT = parts.ROOT
WORK = ROOT / ".build/binary"
TOOLS = ("altgraph", "packaging", "pyinstaller", "pyinstaller-hooks-contrib", "setuptools")
INPUTS = ("signalcraft", "docs", "packaging/binary", "runtime.lock.txt", "dev.lock.txt", "web")
ASK = """
import json, platform, sys, sysconfig
import apsw, duckdb
print(json.dumps({"python": platform.python_version(), "stdlib": sysconfig.get_path("stdlib"),
                  "sqlite": apsw.sqlite_lib_version(), "duckdb": duckdb.__version__,
                  "libc": " ".join(platform.libc_ver())}))
"""


def environment() -> Path:
    """The environment that the tree is made of, laid anew where the lock changed."""
    venv = WORK / "venv"
    lock = (ROOT / "runtime.lock.txt").read_text("utf-8")
    extra = "".join(_block((ROOT / "dev.lock.txt").read_text("utf-8"), name) for name in TOOLS)
    stamp = venv / ".made-of"
    if stamp.is_file() and stamp.read_text("utf-8") == lock + extra:
        return venv
    python = subprocess.run([ROOT / ".ci/python", "newest"], capture_output=True, text=True, check=True).stdout.strip()
    shutil.rmtree(venv, ignore_errors=True)
    wanted = WORK / "environment.txt"
    have = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    wanted.write_text(lock + "".join(_block(extra, name) for name in TOOLS if name not in have), "utf-8")
    uv = [str(ROOT / ".venv/bin/uv")]
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    subprocess.run([*uv, "venv", "--quiet", "--python", python, str(venv)], check=True, env=env)
    sync = ["pip", "sync", "--quiet", "--python", str(venv / "bin/python"), "--require-hashes", str(wanted)]
    subprocess.run([*uv, *sync], check=True, env=env)
    stamp.write_text(lock + extra, "utf-8")
    return venv


def _block(lock: str, name: str) -> str:
    found = re.search(rf"^{name}==.*?(?=^[^\s#]|\Z)", lock, re.MULTILINE | re.DOTALL)
    return found[0] if found else ""


def commit() -> tuple[str, int]:
    """The commit and its time, seconds since 1970; "+changes" where the inputs are not what it holds."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    epoch = os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct") or "0"
    said = git("rev-parse", "--short=12", "HEAD")
    changed = said and git("status", "--porcelain", "--", *INPUTS)
    return (said + "+changes" if changed else said), int(epoch)


def copied(version: str) -> Path:
    """The sources as they are now, in a folder of their own, with the version that is built."""
    source = WORK / "source"
    shutil.rmtree(source, ignore_errors=True)
    for name in ("signalcraft", "docs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    told = source / "signalcraft/__init__.py"
    told.write_text(re.sub(r'__version__ = ".*"', f'__version__ = "{version}"', told.read_text("utf-8")), "utf-8")
    return source


def frozen(venv: Path, source: Path, epoch: int) -> tuple[Path, list[list[str]]]:
    """What PyInstaller makes of it, and where it took each library from."""
    origins = WORK / "origins.json"
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SIGNALCRAFT_"))},
        "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": str(epoch), "LC_ALL": "C.UTF-8",
        "PYINSTALLER_CONFIG_DIR": str(WORK / "cache"), "BINARY_SOURCE": str(source), "BINARY_ORIGINS": str(origins),
    }  # fmt: skip
    command = [
        str(venv / "bin/python"), "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN",
        "--distpath", str(WORK / "dist"), "--workpath", str(WORK / "work"), str(onefile.HERE / "signalcraft.spec"),
    ]  # fmt: skip
    subprocess.run(command, check=True, env=env, cwd=WORK)
    return WORK / "dist/signalcraft-dir", json.loads(origins.read_text("utf-8"))


def told(venv: Path) -> dict[str, str]:
    """The versions of what is inside, by their own words."""
    done = subprocess.run([venv / "bin/python", "-c", ASK], capture_output=True, text=True, check=True)
    known: dict[str, str] = json.loads(done.stdout)
    litestream = subprocess.run([venv / "bin/litestream", "version"], capture_output=True, text=True, check=True)
    known["litestream"] = litestream.stdout.strip().removeprefix("v")
    return known


def finished(tree: Path, epoch: int) -> None:
    """Times and modes that do not tell when and by whom it was built."""
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
            os.utime(path, (epoch, epoch))


def main() -> None:
    """Builds, and takes the place of what was there only when all of it is done."""
    began = time.monotonic()
    WORK.mkdir(parents=True, exist_ok=True)
    wanted = os.environ.get("SIGNALCRAFT_BUILD_VERSION", "")
    number = wanted or re.findall(r'__version__ = "(.*)"', (ROOT / "signalcraft/__init__.py").read_text("utf-8"))[0]
    onefile.loader(WORK / "loader", "2.0")  # a compiler or zstd's library that is missing is told before the long part
    venv = environment()
    said, epoch = commit()
    tree, origins = frozen(venv, copied(number), epoch)
    known = told(venv)
    package = tree / "_internal/signalcraft"
    found = inventory.everything(venv, tree, origins, ROOT / "runtime.lock.txt", ROOT / "web", known)
    rows = inventory.write(found, package / "licences")
    (package / "licences/NOTICE").write_text(notice.document(rows, number), "utf-8")
    (package / "licences/LICENSE").write_text((ROOT / "LICENSE").read_text("utf-8"), "utf-8")
    sbom.write(found, number, said, epoch, package / "sbom.cdx.json")
    date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
    built = {"commit": said, "date": date, **{name: known[name] for name in known if name != "stdlib"}}
    built["needs"] = f"glibc {onefile.glibc(tree)}"
    (package / "built.json").write_text(json.dumps(built, indent=1) + "\n", "utf-8")
    finished(tree, epoch)
    dist = ROOT / (f".build/dist-{wanted}" if wanted else ".build/dist")
    dist.mkdir(parents=True, exist_ok=True)
    onefile.write(tree, dist / "signalcraft", number, WORK)
    old = dist / ".old"
    shutil.rmtree(old, ignore_errors=True)
    if (dist / "signalcraft-dir").exists():
        (dist / "signalcraft-dir").rename(old)
    tree.rename(dist / "signalcraft-dir")
    shutil.rmtree(old, ignore_errors=True)
    size = sum(one.lstat().st_size for one in (dist / "signalcraft-dir").rglob("*"))
    print(f"signalcraft {number} ({said or 'no commit'}): {dist.relative_to(ROOT)}/signalcraft"
          f" {(dist / 'signalcraft').stat().st_size / 1e6:.1f} MB, signalcraft-dir {size / 1e6:.1f} MB,"
          f" {time.monotonic() - began:.0f} s")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())

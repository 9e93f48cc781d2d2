"""The shape of the house: what lies where, how large it may get, and that what is generated is fresh."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from signalcraft.channels import CHANNELS
from signalcraft.config import reference, sample
from signalcraft.config.fields import fields
from signalcraft.sources import SOURCES
from tests.house import pages
from tests.house.tree import ROOT, files, parsed, python_files, text_files

TOP = {"pyproject.toml", "README.md", "LICENSE", "Makefile", "runtime.lock.txt", "dev.lock.txt"}
TOP_FOLDERS = {"signalcraft", "web", "config", "packaging", "systemd", "tests", "docs"}
LINES_MAX = 400
FUNCTION_LINES_MAX = 60
NAMELESS = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "stuff", "core", "lib"}


def test_the_top_level_is_as_fixed() -> None:
    """A new file or folder at the top is a decision, not an accident."""
    strangers = {name.split("/")[0] for name in files()} - TOP - TOP_FOLDERS
    assert {name for name in strangers if not name.startswith(".")} == set()


def test_no_file_grows_past_its_budget() -> None:
    """A file that reaches it becomes a folder of the same name."""
    sizes = {name: len((ROOT / name).read_text("utf-8").splitlines()) for name in files() if _is_code(name)}
    assert {name: size for name, size in sizes.items() if size > LINES_MAX} == {}


def _is_code(name: str) -> bool:
    drawn = name.endswith((".d.ts", "storage/schema.sql"))  # by a program, for nobody to work on
    return name.endswith((".py", ".ts", ".svelte", ".js", ".css", ".sql")) and not drawn


def test_no_function_grows_past_its_budget() -> None:
    """Docstring, signature and decorators left out: what has to be understood at once."""
    long = {}
    for name in python_files():
        for node in ast.walk(parsed(name)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                size = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
                if size > FUNCTION_LINES_MAX:
                    long[f"{name}:{node.name}"] = size
    assert long == {}


def test_no_module_is_called_after_nothing() -> None:
    """A name that says what is inside."""
    parts = {name: set(name.removesuffix(".py").split("/")) & NAMELESS for name in python_files()}
    assert {name: bad for name, bad in parts.items() if bad} == {}


def test_every_module_says_what_it_is() -> None:
    """In its first line; an empty __init__ of a folder of tests may stay empty."""
    silent = [
        name
        for name in python_files("signalcraft", "tests")
        if parsed(name).body and not ast.get_docstring(parsed(name))
    ]
    assert silent == []


SQL = re.compile(
    r"(?is)\b(select\s.+\sfrom\s|insert\s+(or\s+\w+\s+)?into\s|delete\s+from\s|update\s+\w+\s+set\s|pragma\s+\w+)"
)


def test_only_storage_speaks_sql() -> None:
    """Elsewhere no text looks like a statement; the made-up alerts of the demo may complain about one."""
    spoken = [
        f"{name}:{node.lineno}"
        for name in python_files("signalcraft")
        if not name.startswith(("signalcraft/storage/", "signalcraft/demo/"))
        for node in ast.walk(parsed(name))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and SQL.search(node.value)
        and not _is_docstring(name, node)
    ]
    assert spoken == []


def _is_docstring(name: str, node: ast.Constant) -> bool:
    return any(isinstance(s, ast.Expr) and s.value is node for s in ast.walk(parsed(name)))


def test_only_config_reads_the_environment() -> None:
    """So that every variable that decides something is a setting, or has its name in one place."""
    readers = [
        name
        for name in python_files("signalcraft")
        if not name.startswith("signalcraft/config/")
        and re.search(r"\bos\.(environ|getenv)\b", (ROOT / name).read_text("utf-8"))
    ]
    assert readers == []


def test_every_setting_is_read_somewhere() -> None:
    """A setting that nobody reads is a promise that nobody keeps."""
    code = "\n".join(
        (ROOT / name).read_text("utf-8")
        for name in python_files("signalcraft")
        if not name.startswith("signalcraft/config/")
    )
    # A section may say a setting in another way (`Replica.sync_s`); what reads that is code like any other.
    own = "\n".join((ROOT / name).read_text("utf-8") for name in python_files("signalcraft") if "/config/" in name)
    names = {path: path.rpartition(".")[2] for path in fields()}
    unread = [p for p, n in names.items() if not re.search(rf"\.{n}\b", code) and not re.search(rf"self\.{n}\b", own)]
    assert unread == []


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_has_fixtures(kind: str) -> None:
    """A source is one file, one line in the list, and messages to read."""
    assert any(name.startswith(f"tests/sources/{kind}/") for name in files())


@pytest.mark.parametrize("kind", CHANNELS)
def test_every_channel_has_tests(kind: str) -> None:
    """Each under its own name."""
    assert any(re.match(rf"tests/channels/({kind}/|test_{kind}\w*\.py)", name) for name in files())


@pytest.mark.parametrize("page", [*pages.all_pages()])
def test_the_page_of_every_plug_in_is_fresh(page: str) -> None:
    """`make gen` writes it from the plug-in's own words."""
    assert (ROOT / page).read_text("utf-8") == pages.all_pages()[page]


def test_no_page_outlives_its_plug_in() -> None:
    """A kind that is gone takes its page with it."""
    kept = {name for name in files() if re.match(r"docs/reference/(sources|channels)/", name)}
    assert kept - set(pages.all_pages()) == set()


def test_what_is_drawn_from_the_settings_is_fresh() -> None:
    """`make gen` writes both."""
    assert (ROOT / "config/signalcraft.toml").read_text("utf-8") == sample()
    assert (ROOT / "docs/reference/configuration.md").read_text("utf-8") == reference()


# Words are spelled backwards so that this list does not find itself.
FOREIGN = re.compile("|".join(word[::-1] for word in ("edualc", "tpgtahc", "tnatsissa ia", "tnegabus")), re.IGNORECASE)


def test_nothing_speaks_of_anything_but_the_product() -> None:
    """No tool that wrote it, no folder of the machine it was written on."""
    here = str(ROOT.parent) + "/"
    places = (here, "/ro" + "ot/", "/wo" + "rk/")
    strange = [
        name
        for name, text in text_files()
        if FOREIGN.search(text) or any(place in text for place in places if len(place) > 5)
    ]
    assert strange == []


def test_the_lists_of_what_make_can_do_agree() -> None:
    """Every `make X` that a page names is a target, and `make help` lists the ones for people."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(" ".join(re.findall(r"^([a-z][a-z -]*):", makefile, re.MULTILINE)).split())
    named = {
        (name, target)
        for name, text in text_files()
        if name.endswith(".md") or name == ".ci/run"
        for target in re.findall(r"`make ([a-z-]+)", text)
    }
    assert {(name, target) for name, target in named if target not in targets} == set()
    phony = set(makefile.partition(".PHONY:")[2].split())
    assert phony - targets == set()


def test_ci_runs_what_people_run() -> None:
    """One door: `make test`."""
    run = ROOT / ".ci/run"
    text = run.read_text("utf-8")
    assert run.stat().st_mode & 0o111
    assert "set -euo pipefail" in text
    assert "make --no-print-directory test" in text


def test_nothing_of_the_top_level_is_missing() -> None:
    """What a person looks for first, and what git must not keep."""
    assert (TOP | {".gitignore", ".ci/run", "docs/changelog.md", "docs/index.md"}) - set(files()) == set()
    ignored = (ROOT / ".gitignore").read_text("utf-8").split()
    assert {".venv", ".build"} <= {line.strip("/") for line in ignored}
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")


def test_make_test_holds_every_check() -> None:
    """Style, imports, types, holes, the suite, and the oldest Python: none of them is left to a person."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    recipes = dict(re.findall(r"^([a-z-]+:.*)\n((?:\t.*\n)+)", makefile, re.MULTILINE))
    by_target = {head.partition(":")[0]: (head, body) for head, body in recipes.items()}
    head, body = by_target["test"]
    assert {"lint", "types", "bandit", "secrets", "suite"} <= set(head.partition("##")[0].replace(":", " ").split())
    assert ".ci/oldest quick" in body
    assert "$(DASHBOARD)" in head, "what is tested is what was built"
    suite = by_target["suite"][1]
    assert re.search(r"^\t\$\(SUITE\) --junitxml", suite, re.MULTILINE)
    assert re.search(
        r'^SUITE = \$\(PY\) -m pytest .*-m "not trial\$\(if \$\(WHOLE\),, and not whole\)"$', makefile, re.MULTILINE
    )
    assert "$(NPM) run test" in suite
    for command in ("ruff check", "ruff format --check", "lint-imports", "$(NPM) run lint"):
        assert command in by_target["lint"][1]
    for command in ("mypy", "$(NPM) run check"):
        assert command in by_target["types"][1]
    scripts = json.loads((ROOT / "web/package.json").read_text("utf-8"))["scripts"]
    assert scripts["lint"] == "eslint . && prettier --check ."
    assert scripts["check"] == "svelte-check --fail-on-warnings"
    assert scripts["test"].startswith("vitest run")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["tool"]["mypy"]["strict"] is True
    assert project["tool"]["mypy"]["files"] == ["signalcraft"]
    assert project["project"]["requires-python"] == ">=3.11"


def test_the_wheel_holds_more_than_code(tmp_path: Path) -> None:
    """Migrations and the demo's pages travel with the program; tests do not."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {name for name in files() if name.startswith("signalcraft/")}
    assert wanted - names == set()
    assert {name for name in names if name.startswith("tests/")} == set()


def test_the_version_is_told_once() -> None:
    """In the package; the project file asks it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "version" not in project
    assert "version" in project["dynamic"]

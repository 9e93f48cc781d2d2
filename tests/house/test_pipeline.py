"""The pipeline: its jobs call make targets alone, in the order of `make pipeline`; nothing in it is loose."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it carries no types

from tests.house.tree import ROOT

WORKFLOWS = ROOT / ".github/workflows"
FILES = sorted(path.name for path in WORKFLOWS.glob("*.yml"))
BARE = (
    "apt-get update -qq && apt-get install -y -qq --no-install-recommends ca-certificates git make python3 python3-venv"
)
"""What a bare Debian lacks to run make and to check the repository out."""
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z -]*):", MAKEFILE, re.MULTILINE))
ZIZMOR = Path(sys.executable).with_name("zizmor")


def script(name: str) -> Any:
    """One of packaging/pipeline/*.py."""
    path = ROOT / f"packaging/pipeline/{name}.py"
    spec = importlib.util.spec_from_file_location(f"pipeline_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def workflow(name: str) -> dict[Any, Any]:
    read: dict[Any, Any] = yaml.safe_load((WORKFLOWS / name).read_text("utf-8"))
    return read


def steps(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(job, step) of a workflow."""
    for job, said in workflow(name)["jobs"].items():
        for step in said.get("steps", ()):
            yield job, step


def made(name: str) -> list[tuple[str, str]]:
    """(job, target) in the order of the file."""
    found = []
    for job, step in steps(name):
        for word in (
            step.get("run", "").removeprefix("make ").split() if step.get("run", "").startswith("make ") else ()
        ):
            if "=" not in word:
                found.append((job, word))
    return found


def chain(name: str) -> list[str]:
    """The jobs in the order in which they must run: each needs the one before. Fails where two may run at once."""
    jobs = workflow(name)["jobs"]
    needs = {job: said.get("needs") for job, said in jobs.items()}
    found = [job for job, need in needs.items() if need is None]
    assert len(found) == 1, f"{found} may begin at once"
    while len(found) < len(jobs):
        following = [job for job, need in needs.items() if need == found[-1]]
        assert len(following) == 1, f"{following} come after {found[-1]}"
        found += following
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_job_calls_make_targets_and_nothing_else(name: str) -> None:
    for job, step in steps(name):
        run = step.get("run")
        if run is None or run == BARE:
            continue
        assert re.fullmatch(r"make [a-z -]+( [A-Z]+=[a-z]+)*", run), f"{name}, {job}: {run}"
    several = {word for head in TARGETS for word in head.split()}
    assert {target for _, target in made(name)} <= several


def test_the_same_targets_run_in_the_same_order_here_and_there() -> None:
    """`make pipeline` and ci.yml: lint → types → coverage → web → wheel → binary → packages → smoke → installed."""
    order = chain("ci.yml")
    done = sorted(made("ci.yml"), key=lambda one: order.index(one[0]))
    said = subprocess.run(
        ["make", "-s", "pipeline", "MAKE=echo ran"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    ran = [line.split()[-1] for line in said.splitlines() if line.startswith("ran ")]
    assert [target for _, target in done] == ran
    wanted = ["lint", "types", "coverage", "web", "wheel", "binary", "packages", "smoke", "installed"]
    assert [target for target in ran if target in wanted] == wanted
    triggers = workflow("ci.yml")[True]  # YAML reads the key `on` as a truth
    assert triggers["push"]["branches"] == ["main", "develop"]
    assert "pull_request" in triggers


def test_a_release_is_checked_built_staged_approved_and_published() -> None:
    assert chain("release.yml") == ["ci", "release", "staging", "production", "publish"]
    jobs = workflow("release.yml")["jobs"]
    assert jobs["ci"]["uses"].endswith("/.github/workflows/ci.yml")
    assert [jobs[job].get("environment") for job in ("release", "staging", "production")] == [
        *("release", "staging", "production"),
    ]  # fmt: skip
    assert made("release.yml") == [
        ("release", "version-agrees"), ("release", "signed-release"), ("release", "smoke"),
        ("staging", "staging"), ("production", "production"), ("publish", "publish"),
    ]  # fmt: skip
    kept = [step["with"]["path"] for _, step in steps("release.yml") if "upload-artifact" in step.get("uses", "")]
    assert kept == [".build/release"]
    told = [
        step["env"]["DEPLOY_NOTIFY_URL"] for _, step in steps("release.yml") if "DEPLOY_HOST" in step.get("env", {})
    ]
    assert told == ["${{ secrets.DEPLOY_NOTIFY_URL }}"] * 2
    text = (ROOT / "docs/how-to/repository-settings.md").read_text("utf-8")
    for name in re.findall(r"(?:secrets|vars)\.(\w+)", (WORKFLOWS / "release.yml").read_text("utf-8")):
        assert f"`{name}`" in text, f"{name} must be set up by somebody"


def test_dependencies_are_audited_each_week_and_when_they_change() -> None:
    triggers = workflow("weekly.yml")[True]
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", triggers["schedule"][0]["cron"])
    assert triggers["push"]["branches"] == ["main"]
    assert ("audit", "audit") in made("weekly.yml")
    # In the pipeline, what could not be looked at is a failure.
    assert "AUDIT=whole" in (WORKFLOWS / "weekly.yml").read_text("utf-8")
    assert '[ "$(AUDIT)" != whole ] || {' in MAKEFILE


def test_reports_of_tests_and_coverage_are_kept() -> None:
    kept = next(
        step for job, step in steps("ci.yml") if job == "coverage" and "upload-artifact" in step.get("uses", "")
    )
    assert kept["if"] == "always()"
    names = ("tests.xml", "coverage.xml", "coverage.json", "branches.json")
    assert kept["with"]["path"].split() == [f".build/{name}" for name in names]
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of the one above
    words = ["make", "-n", "coverage", "READY=", "DASHBOARD="]
    recipe = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True).stdout
    assert all(f".build/{name}" in recipe for name in names)
    assert recipe.splitlines()[-1].endswith("floors.py .build/coverage.json .build/branches.json")


@pytest.mark.parametrize("name", FILES)
def test_what_others_wrote_is_pinned_and_nothing_may_more_than_it_must(name: str) -> None:
    text = (WORKFLOWS / name).read_text("utf-8")
    for use in re.findall(r"uses: (\S+.*)", text):
        assert use.startswith("$/") or re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use), use
    assert workflow(name)["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in text
    for job, said in workflow(name)["jobs"].items():
        assert "uses" in said or said["timeout-minutes"] <= 90, job
        # In a container git finds a folder of somebody else's, and would refuse it.
        assert "container" not in said or said["env"]["GIT_CONFIG_KEY_0"] == "safe.directory", job
    # No secret reaches what a stranger's pull request can start.
    assert name == "release.yml" or "secrets." not in text


def test_a_linter_finds_no_hole_in_the_workflows_and_would_find_one(tmp_path: Path) -> None:
    quiet = [str(ZIZMOR), "--offline", "--no-progress", "--quiet"]
    said = subprocess.run([*quiet, str(ROOT / ".github")], capture_output=True, text=True)
    assert said.returncode == 0, said.stdout
    planted = (WORKFLOWS / "ci.yml").read_text("utf-8").replace("run: make types", 'run: echo "${{ github.head_ref }}"')
    (tmp_path / "ci.yml").write_text(planted)
    assert subprocess.run([*quiet, str(tmp_path / "ci.yml")], capture_output=True).returncode != 0
    lint = next(line for line in MAKEFILE.splitlines() if line.startswith("lint:"))
    assert "workflows" in lint.partition("##")[0].split()


# -- the floors of coverage -------------------------------------------------------------------------------------------


def report(**percent: float) -> dict[str, Any]:
    """Coverage's report of four rooms, 1000 lines each."""
    rooms = {"domain": 100.0, "sources": 100.0, "channels": 100.0, "storage": 100.0, **percent}
    return {
        "meta": {"branch_coverage": True},
        "files": {
            f"signalcraft/{room}/x.py": {
                "summary": {
                    "num_statements": 800, "num_branches": 200,
                    "covered_lines": round(covered * 8), "covered_branches": round(covered * 2),
                }
            }
            for room, covered in rooms.items()
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("percent", "low"),
    [
        ({}, set()),
        ({"storage": 0.0, "domain": 100.0, "http": 99.5}, {"whole"}),  # 399.5 of 500: 79.9 %
        ({"storage": 0.0, "http": 100.0}, set()),  # 80 %
        ({"domain": 94.9}, {"domain"}),
        ({"sources": 94.9}, {"sources"}),
        ({"channels": 94.9}, {"channels"}),
        ({"channels": 95.0}, set()),
    ],
)
def test_coverage_below_a_floor_fails(tmp_path: Path, percent: dict[str, float], low: set[str]) -> None:
    floors = script("floors")
    found = floors.measured(report(**percent), report(**percent))
    assert {name for name, (n, floor) in found.items() if n < floor} == low
    (tmp_path / "c.json").write_text(json.dumps(report(**percent)))
    assert floors.main([str(tmp_path / "c.json")] * 2) == int(bool(low))


def test_coverage_of_the_pure_rooms_counts_branches_too() -> None:
    floors = script("floors")
    with pytest.raises(ValueError, match="branch"):
        floors.measured(report(), {"meta": {"branch_coverage": False}, "files": {}})
    without = report()
    for one in without["files"].values():
        one["summary"]["covered_branches"] = 0
    found = floors.measured(without, without)
    assert {name: percent for name, (percent, _) in found.items()} == {
        "whole": 100.0, "domain": 80.0, "sources": 80.0, "channels": 80.0,
    }  # fmt: skip
    assert "--cov-branch" in MAKEFILE


# -- versions ---------------------------------------------------------------------------------------------------------


def test_a_tag_needs_the_programs_version_and_an_entry_in_the_changelog(tmp_path: Path) -> None:
    version = script("version")
    (tmp_path / "signalcraft").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "signalcraft/__init__.py").write_text('__version__ = "1.2.0a1"\n')
    log = tmp_path / "docs/changelog.md"
    log.write_text("# Changelog\n\n## Unreleased\n\n## 1.1.0 – 2026-01-02\n\n* old\n")
    assert "must be v1.2.0a1" in version.wrong("v1.2.0", tmp_path)
    assert "no entry" in version.wrong("v1.2.0a1", tmp_path)
    log.write_text(log.read_text().replace("## 1.1.0", "## 1.2.0a1 – 2026-02-03\n\n* new\n\n## 1.1.0"))
    assert version.wrong("v1.2.0a1", tmp_path) == ""
    assert version.notes("1.2.0a1", tmp_path) == "* new"
    assert version.of_program()


# -- hooks, templates -------------------------------------------------------------------------------------------------


def test_a_message_has_a_form(tmp_path: Path) -> None:
    def refused(text: str) -> str:
        (tmp_path / "m").write_text(text)
        done = subprocess.run([str(ROOT / ".githooks/commit-msg"), str(tmp_path / "m")], capture_output=True, text=True)
        return done.stdout if done.returncode else ""

    assert refused("A channel that is gone says so\n\nWhy it does.\n") == ""
    assert refused("Merge branch 'x'\n") == ""
    assert "full stop" in refused("A channel that is gone says so.\n")
    assert "120" in refused("x" * 121)
    assert "label" in refused("fix: the thing that was broken")
    assert "second line" in refused("A channel that is gone says so\nand more\n")
    assert "ten characters" in refused("wip\n")


@pytest.mark.skipif(shutil.which("git") is None, reason="!! NOT RUN: git is not on this machine")
def test_what_is_staged_is_looked_at_before_a_commit(tmp_path: Path) -> None:
    """A file that breaks the style is refused, and so is one whose test fails."""
    for name in ("signalcraft", "tests", "packaging/pipeline"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    shutil.copy(ROOT / "packaging/pipeline/affected.py", tmp_path / "packaging/pipeline")
    (tmp_path / "signalcraft/sum.py").write_text("TWO = 2\n")
    (tmp_path / "tests/test_sum.py").write_text("def test_two() -> None:\n    assert 1 + 1 == 2\n")

    def git(*words: str) -> int:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # none is needed, and they take seconds to load
        return subprocess.run(["git", *who, *words], cwd=tmp_path, env=env, capture_output=True).returncode

    git("init", "-q")
    git("config", "core.hooksPath", str(ROOT / ".githooks"))
    git("add", "signalcraft", "tests")
    assert git("commit", "-m", "Two is what one and one make") == 0
    for text in ("import os\n\nTWO = 2\n", "TWO=2\n"):  # against a rule of style, not in form
        (tmp_path / "signalcraft/sum.py").write_text(text)
        git("add", "signalcraft")
        assert git("commit", "-m", "Two is written otherwise") != 0
    (tmp_path / "signalcraft/sum.py").write_text("TWO = 3\n")
    (tmp_path / "tests/test_sum.py").write_text("def test_two() -> None:\n    assert 1 + 1 == 3\n")
    git("add", "signalcraft")
    assert git("commit", "-m", "Two is three from now on") != 0


def test_tests_belong_to_files_by_name() -> None:
    affected = script("affected")
    assert affected.belonging(["signalcraft/domain/routing.py"], ROOT) == [
        *("tests/domain/test_routing.py", "tests/stories/test_routing.py"),
    ]  # fmt: skip
    assert "tests/cli/test_doctor.py" in affected.belonging(["signalcraft/cli/doctor/box.py"], ROOT)
    assert affected.belonging(["tests/cli/test_tree.py"], ROOT) == ["tests/cli/test_tree.py"]


def test_whoever_comes_finds_how_to_ask_report_and_help() -> None:
    for name in ("CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "SECURITY.md", "PULL_REQUEST_TEMPLATE.md"):
        assert len((ROOT / ".github" / name).read_text("utf-8")) > 80, name
    forms = {path.name: yaml.safe_load(path.read_text("utf-8")) for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*")}
    assert set(forms) == {"bug.yml", "idea.yml", "config.yml"}
    assert "doctor --report" in str(forms["bug.yml"])
    for name in ("bug.yml", "idea.yml"):
        assert {"name", "description", "body"} <= set(forms[name])

"""The tree of commands itself: help, usage, exit codes, one line a failure."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from signalcraft import __version__
from signalcraft.cli.reference import page
from signalcraft.cli.root import explained, root, run
from signalcraft.errors import Fault
from tests.cli.conftest import Box

NAMED = {
    *("serve", "demo", "init", "check-config", "user", "apikey", "apply", "export"),
    *("send", "openapi", "version", "migrate", "status"),
}


def every(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from every(inner, (*path, name))


COMMANDS = dict(every(root))


def test_every_command_that_others_rely_on_is_there() -> None:
    assert set(root.commands) >= NAMED
    assert set(root.commands["apikey"].commands) == {"create", "list", "revoke"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_has_an_example(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, "--help"]) == 0
    said = capsys.readouterr().out
    assert "Example:\n" in said
    assert f"signalcraft {' '.join(path)}".strip() in said.partition("Example:")[2]


@pytest.mark.parametrize("path", [p for p, c in COMMANDS.items() if not isinstance(c, click.Group)], ids=" ".join)
def test_a_wrong_option_is_one_line_and_2(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, "--nonsense"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("signalcraft: No such option '--nonsense'")
    assert said.err.count("\n") == 1
    assert f"signalcraft {' '.join(path)} --help" in said.err


def test_an_unknown_command_is_2_and_none_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migrat"]) == 2
    assert (
        capsys.readouterr().err
        == "signalcraft: No such command 'migrat'. Did you mean 'migrate'? See signalcraft --help.\n"
    )
    assert run([]) == 0
    assert "Commands:" in capsys.readouterr().out


def test_a_fault_of_ours_is_one_line_and_its_traceback_comes_with_debug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(root.commands["version"], "callback", lambda **_: broken())
    assert run(["version"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(ZeroDivisionError):
        run(["--debug", "version"])


def test_a_reader_that_leaves_early_is_no_failure(box: Box) -> None:
    command = f"{sys.executable} -m signalcraft check-config --all --json | head -c 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], env=box.env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_version_names_what_it_runs_on(box: Box) -> None:
    said = json.loads(box.run("version", "--json").stdout)
    assert said["version"] == __version__
    assert said["python"] == ".".join(map(str, sys.version_info[:3]))
    assert said["sqlite"].startswith("3.")
    assert box.run("version").stdout.startswith(f"signalcraft {__version__}")
    assert box.run("--version").stdout == box.run("--version", "serve").stdout == box.run("version").stdout


def test_small_commands_load_no_heavy_room() -> None:
    """What takes long to import (the web framework, the HTTP client, the main database) is not there for `version`."""
    code = "import sys; from signalcraft.cli.root import run; run(['version']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"litestar", "httpx", "granian", "duckdb", "huey", "asyncio"} & set(loaded)


def test_the_reference_page_is_what_the_program_prints() -> None:
    stored = Path(__file__).parents[2] / "docs/reference/cli.md"
    assert stored.read_text("utf-8") == page(), "docs/reference/cli.md is old: python -m signalcraft.cli --reference"


@pytest.mark.parametrize(
    ("fault", "lines"),
    [
        (Fault("it broke"), ["it broke"]),
        (Fault("this is needed", path="rules[0].name"), ["rules[0].name: this is needed"]),
        (Fault("rules[0].name is needed", path="rules[0].name"), ["rules[0].name is needed"]),
        (Fault("one field is wrong", errors=(("a", "too long"),)), ["one field is wrong: a: too long"]),
        (Fault("too long", errors=(("a", "too long"), ("b", "too short"))), ["a: too long", "b: too short"]),
        (Fault("a: x\nb: y", errors=(("a", "a: x"), ("b", "b: y"))), ["a: x", "b: y"]),
        (Fault("two are wrong", errors=(("a", "x"), ("b", "y"))), ["two are wrong", "a: x", "b: y"]),
    ],
)
def test_a_fault_is_one_line_for_each_field(fault: Fault, lines: list[str]) -> None:
    assert explained(fault).splitlines() == lines

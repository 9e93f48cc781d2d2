"""What a start and a small command must not load: a heavy library is imported where it is used, at its first use.

Nothing here looks at a clock: a list of names is as exact on a busy machine as on a quiet one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT
from tests.world import free_port

NEVER = {"attr", "faker", "hypothesis", "playwright", "polyfactory", "pydantic", "pytest"}
"""Installed beside us at most; nothing of ours needs them."""
AT_FIRST_USE = {
    "aiosmtplib", "certifi", "cryptography", "duckdb", "fido2", "httpcore", "httpx", "joserfc", "pygments", "rich",
    "sentry_sdk", "websockets",
}  # fmt: skip
"""Only some boxes need them, or only at times."""
AFTER_READINESS = {"litestar", "multipart", "prometheus_client", "yaml"}
"""What the routes are made of, which are built when the program is ready already."""
SERVING = {"apsw", "argon2", "asyncio", "granian", "huey", "litestar", "msgspec", "nacl", "uvloop"}

STARTED = """
import asyncio, json, sys
import signalcraft.cli.root
from signalcraft.config import load
from signalcraft.main import Program

async def run():
    settings = load(None, overrides={"data.dir": sys.argv[1], "http.listen": sys.argv[2]}, environ={}).settings
    program = Program(settings)
    await program.start()
    assert program.house.ready
    ready = sorted(sys.modules)
    await program.whole()
    whole = sorted(sys.modules)
    assert await program.stop()
    print(json.dumps([ready, whole]))

asyncio.run(run())
"""
COMMAND = """
import json, sys
from signalcraft.cli.root import run
code = run(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]))
"""


def told(code: str, *args: str, cwd: Path) -> list[list[str]]:
    """The last line that a fresh interpreter prints, as JSON."""
    env = {"PATH": os.environ["PATH"], "HOME": str(cwd), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *args], cwd=cwd, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def tops(modules: list[str]) -> set[str]:
    """The libraries that modules belong to."""
    return {name.partition(".")[0] for name in modules}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """What is loaded when it is ready, and when it is whole."""
    root = tmp_path_factory.mktemp("start")
    return told(STARTED, str(root / "data"), f"127.0.0.1:{free_port()}", cwd=root)


def test_a_start_loads_nothing_heavy_before_it_is_ready(start: list[list[str]]) -> None:
    """Readiness waits for what takes in an alert, and for nothing else."""
    ready = tops(start[0])
    assert ready & (NEVER | AT_FIRST_USE | AFTER_READINESS) == set()
    assert ready >= SERVING - {"litestar"}, "the list is of what is really loaded"


def test_a_whole_program_at_rest_has_loaded_no_library_that_it_has_not_used(start: list[list[str]]) -> None:
    """A box that sent nothing yet has neither what sends nor what tests and terminals need."""
    whole = tops(start[1])
    assert whole & (NEVER | AT_FIRST_USE) == set()
    assert whole >= SERVING | AFTER_READINESS


def test_a_start_loads_neither_the_demo_nor_another_command(start: list[list[str]]) -> None:
    """`signalcraft.cli.root` knows the commands; their rooms are imported when one runs."""
    ours = [name for name in start[1] if name.startswith("signalcraft.")]
    assert [name for name in ours if name.startswith(("signalcraft.demo", "signalcraft.cli.client"))] == []


@pytest.mark.parametrize("args", [["version"], ["--help"], ["apikey", "create", "--help"]])
def test_a_small_command_is_small(args: list[str], tmp_path: Path) -> None:
    """It loads the command line and what it shows."""
    code, modules = told(COMMAND, *args, cwd=tmp_path)
    assert code == 0
    assert tops(modules) & (NEVER | AT_FIRST_USE | AFTER_READINESS | SERVING - {"apsw"}) == set()
    assert "click" in modules

"""One command in a process of its own, forked from one that has loaded the program: its start is paid for once."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import warnings
from pathlib import Path

_LOADED = ["signalcraft.main", "signalcraft.cli.root", "signalcraft.cli.client", "signalcraft.cli.sentry", "httpx"]


def command(args: list[str], env: dict[str, str], cwd: str, folder: str) -> None:
    """In the child: `signalcraft …` with this environment; standard input, output and error are files of `folder`."""
    from signalcraft.cli.root import run

    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    warnings.resetwarnings()
    for fd, name, flags in ((0, "in", os.O_RDONLY), (1, "out", os.O_WRONLY), (2, "err", os.O_WRONLY)):
        opened = os.open(Path(folder) / name, flags | os.O_CREAT, 0o600)
        os.dup2(opened, fd)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
    code = run(args)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def finished(args: list[str], env: dict[str, str], cwd: Path, stdin: str, seconds: float = 120) -> tuple[int, str, str]:
    """Runs a command to its end: exit code, standard output, standard error."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_LOADED)
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder)
        (files / "in").write_text(stdin)
        process = context.Process(target=command, args=(args, env, str(cwd), folder))
        process.start()
        process.join(seconds)
        if process.is_alive():
            process.kill()
            process.join()
            raise AssertionError(f"{args} does not end")
        assert process.exitcode is not None
        said = [(files / name).read_text() if (files / name).exists() else "" for name in ("out", "err")]
        return process.exitcode, said[0], said[1]

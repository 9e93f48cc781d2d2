"""`logs`: the log of a service, of its files, or the latest warnings of the process that serves."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import note, say
from signalcraft.errors import Conflict, Invalid

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
_PRIORITY: Final = {"debug": "debug", "info": "info", "warning": "warning", "error": "err", "critical": "crit"}
_SPAN: Final = re.compile(r"(\d+)(s|m|h|d)")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_KEPT: Final = 200


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--since", metavar="WHEN", help="From then on: 15m, 2h, 3d, or 2026-03-01T10:00:00Z. [default: the end]")
@click.option("--level", type=click.Choice(LEVELS), default="info", show_default=True, help="This level and above.")
@click.option("--find", metavar="WORD", help="Only lines that hold it (a request id, a route), of every day kept.")
@as_json
@where(workspace=False)
def logs(where: Where, follow: bool, since: str | None, level: str, find: str | None, as_json: bool) -> int:
    """Show the log: from log.file where that is set, else from the journal of its systemd service, else the latest
    warnings that the running process remembers.

    \b
    Example:
      signalcraft logs --since 2h --level warning
      signalcraft logs --find 9f2c41d0-1a
      signalcraft logs -f
    """
    if find is not None and (follow or not find.strip()):
        raise Invalid("--find takes a word, and looks at what is there: not together with --follow", path="--find")
    settings = where.loaded().settings
    from_s = _from(since)
    if settings.log.file:
        path = Path(settings.log.file)
        lines = _of_files(path, from_s, follow=follow) if find is None else _found(path, from_s, find)
    else:
        unit = _unit(settings.data.path)
        if unit and shutil.which("journalctl"):
            return _journal(unit, from_s, level, follow=follow, find=find)
        note("Neither log.file nor a systemd service: these are the latest warnings that the process remembers.")
        lines = (
            one for one in _remembered(settings.data.path, follow=follow) if find is None or find in json.dumps(one)
        )
    try:
        _show(
            lines, from_s, LEVELS.index(level), as_json=as_json, whole=since is not None or follow or find is not None
        )
    except KeyboardInterrupt:
        pass
    return 0


def _from(since: str | None) -> float:
    """A moment in seconds since 1970. Raises Invalid."""
    if since is None:
        return 0.0
    span = _SPAN.fullmatch(since)
    if span:
        from signalcraft.main.build import system_now

        return system_now() / 1000 - int(span[1]) * _UNITS[span[2]]
    try:
        at = datetime.fromisoformat(since)
    except ValueError:
        raise Invalid("--since takes 15m, 2h, 3d, or a time like 2026-03-01T10:00:00Z", path="--since") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _unit(data_dir: Path) -> str:
    from signalcraft.cli.client import answers, beside
    from signalcraft.storage.installed import unit_of

    if not answers(data_dir):
        return ""
    with beside(data_dir) as client:
        return unit_of(int(client.get("/control/info")["pid"]))


def _journal(unit: str, from_s: float, level: str, *, follow: bool, find: str | None = None) -> int:
    """The journal's own words: it knows the service's lines, each a JSON object."""
    from signalcraft.storage import children

    words = ["journalctl", "--unit", unit, "--output", "cat", "--no-pager", "--priority", _PRIORITY[level]]
    words += ["--since", f"@{int(from_s)}"] if from_s else ["--lines", str(_KEPT)] if find is None else []
    words += [f"--grep={re.escape(find)}", "--case-sensitive=yes"] if find is not None else []
    more = ["--follow"] if follow else []
    return subprocess.run([*words, *more], env=children.environment(), check=False).returncode  # noqa: S603


def _earlier(path: Path, day: str) -> list[Path]:
    """The log's files of earlier days, the oldest first, that may hold something of this day or later."""
    # A file is named after the last day in it.
    found = re.compile(rf"{re.escape(path.name)}\.(\d{{4}}-\d\d-\d\d)(?:\.(\d+))?(?:\.gz)?")
    dated = [(match[1], int(match[2] or 0), file) for file in _beside(path) if (match := found.fullmatch(file.name))]
    return [file for date, _, file in sorted(dated) if date >= day]


def _found(path: Path, from_s: float, word: str) -> Iterator[dict[str, Any]]:
    """The lines that hold a word, of every file that may be asked for."""
    from signalcraft.logs.finding import found_in

    day = datetime.fromtimestamp(from_s, UTC).date().isoformat() if from_s else ""
    files = [*_earlier(path, day), *([path] if path.is_file() else [])]
    return (_parsed(line.decode("utf-8", "replace")) for line in found_in(files, word))


def _of_files(path: Path, from_s: float, *, follow: bool) -> Iterator[dict[str, Any]]:
    """The lines of the log's files, the oldest first; those of earlier days where they may be asked for."""
    for file in _earlier(path, datetime.fromtimestamp(from_s, UTC).date().isoformat() if from_s else "9999"):
        with gzip.open(file, "rt", errors="replace") if file.suffix == ".gz" else file.open(errors="replace") as opened:
            yield from map(_parsed, opened)
    if not path.is_file():
        raise Conflict(f"{path} is not there: nothing was logged yet, or not with these settings")
    opened = path.open(errors="replace")
    try:
        while True:
            for line in opened:
                yield _parsed(line)
            if not follow:
                return
            time.sleep(0.3)
            if path.is_file() and path.stat().st_ino != _inode(opened):
                opened.close()  # a new day's file has begun
                opened = path.open(errors="replace")
    finally:
        opened.close()


def _beside(path: Path) -> list[Path]:
    return list(path.parent.iterdir()) if path.parent.is_dir() else []


def _inode(opened: Any) -> int:
    import os

    return os.fstat(opened.fileno()).st_ino


def _parsed(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"message": line.rstrip("\n")}


def _remembered(data_dir: Path, *, follow: bool) -> Iterator[dict[str, Any]]:
    from signalcraft.cli.client import answers, beside

    if not answers(data_dir):
        raise Conflict(f"nothing runs on {data_dir}, and there is no log.file to read")
    told: set[str] = set()
    while True:
        with beside(data_dir) as client:
            items = client.get("/api/admin/warnings")["items"]
        for item in reversed(items):
            mark = json.dumps(item, sort_keys=True)
            if mark not in told:
                told.add(mark)
                fields = item.pop("fields", None) or {}
                yield {**item, **fields}
        if not follow:
            return
        time.sleep(1.0)


def _show(lines: Iterator[dict[str, Any]], from_s: float, above: int, *, as_json: bool, whole: bool) -> None:
    """Each line on its own: as it was written, or for people. Without a beginning the last ones alone."""
    chosen: Iterator[dict[str, Any]] = (line for line in lines if _wanted(line, from_s, above))
    if not whole:
        from collections import deque

        chosen = iter(deque(chosen, maxlen=_KEPT))
    for line in chosen:
        say(json.dumps(line, ensure_ascii=False) if as_json else _words(line))


def _wanted(line: dict[str, Any], from_s: float, above: int) -> bool:
    level = str(line.get("level", "info"))
    if level in LEVELS and LEVELS.index(level) < above:
        return False
    if not from_s or "timestamp" not in line:
        return True
    try:
        return datetime.fromisoformat(str(line["timestamp"])).timestamp() >= from_s
    except ValueError:
        return True


def _words(line: dict[str, Any]) -> str:
    rest = {k: v for k, v in line.items() if k not in ("timestamp", "level", "logger", "message", "exception")}
    head = " ".join(str(line[name]) for name in ("timestamp", "level") if line.get(name))
    told = "  ".join(f"{name}={value}" for name, value in rest.items() if value not in ("", None))
    text = f"{head} {line.get('message', '')}".strip() + (f"  {told}" if told else "")
    return f"{text}\n{line['exception']}" if line.get("exception") else text

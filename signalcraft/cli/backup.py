"""`signalcraft backup`: a backup now, the keys that open them, what is kept, and the sheet for the day it is needed."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import note, say, say_json, strong, table
from signalcraft.errors import Conflict, Damaged, Invalid

if TYPE_CHECKING:
    from signalcraft.cli.client import Client

PATH = "/control/backups"
_STAGES = {
    "copy": "copying the database", "check": "checking the copy", "write": "writing", "verify": "reading back",
    "send": "copying to the second directory",
}  # fmt: skip
_BAR = 30


@click.group(invoke_without_command=True)
@click.option(
    "--to", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Into this directory, instead of that of the settings.",
)  # fmt: skip
@click.option("--recipient", metavar="KEY", help="Sealed to this public part, instead of that of the settings.")
@as_json
@where()
@click.pass_context
def backup(ctx: click.Context, where: Where, to: Path | None, recipient: str | None, as_json: bool) -> None:
    """Make a backup: one sealed file with all that a new machine needs.

    It is read back before it gets its name. Without a recipient it opens with the master key, which is not in it:
    keep that elsewhere (signalcraft keys export). Times in names of files are UTC.

    \b
    Example:
      signalcraft backup
      signalcraft backup --to /mnt/usb
      signalcraft backup sheet > recovery-sheet.txt
    """
    if ctx.invoked_subcommand is not None:
        return
    from signalcraft.cli.client import connect

    with connect(where, "backup") as client:
        asked = {"to": str(to.absolute()) if to else None, "recipient": recipient}
        done = _until_done(client, lambda: client.post(PATH, asked), quiet=as_json)
    if as_json:
        say_json(done)
        return
    say(done["path"])
    note(f"{_size(done['bytes'])}, {done['rows']} rows, {done['members']} files in it; read back and sound.")
    if done["copied_to"]:
        note(f"The same in {done['copied_to']}.")


@backup.command("list")
@as_json
@where()
def list_(where: Where, as_json: bool) -> None:
    """Show the backups that are kept, the newest first.

    \b
    Example:
      signalcraft backup list
    """
    from signalcraft.cli.client import connect

    with connect(where, "backup list") as client:
        found = client.get("/api/backups")
    if as_json:
        say_json(found)
        return
    rows = [
        (
            one["path"], _size(one["bytes"]), (one["created_at"] or "-")[:16].replace("T", " "),
            one["trouble"] or (f"read {one['read_at'][:10]}" if one["read_at"] else "not read yet"),
            "" if one["own"] else "another box's",
        )
        for one in found["items"]
    ]  # fmt: skip
    if rows:
        say(table(("FILE", "SIZE", "MADE (UTC)", "STATE", ""), rows))
    else:
        note(f"there is no backup in {found['dir']}: signalcraft backup makes one")
    if found["wrong"]:
        note(found["wrong"])
    note(f"Kept for {found['keep_days']} days; the next by itself: {found['next_at'] or 'none'}.")


@backup.command()
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@click.option(
    "--key-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="A backup key or a master key: it is tried whether that opens them, without this box.",
)  # fmt: skip
@as_json
@where()
def verify(where: Where, files: tuple[Path, ...], key_file: Path | None, as_json: bool) -> None:
    """Read backups whole: these, or every one of this box. Fails where one is not sound.

    \b
    Example:
      signalcraft backup verify
      signalcraft backup verify /mnt/usb/signalcraft-20260301-023000.scb --key-file backup.key
    """
    paths = [str(file.absolute()) for file in files]
    if key_file is not None:
        items = _verified_here(paths, key_file)
    else:
        from signalcraft.cli.client import connect

        with connect(where, "backup verify") as client:
            asked = {"files": paths}
            items = _until_done(client, lambda: client.post(f"{PATH}/verify", asked), quiet=as_json)["items"]
    if as_json:
        say_json({"items": items})
    elif items:
        rows = [(one["file"], "sound" if one["sound"] else one["trouble"]) for one in items]
        say(table(("FILE", "STATE"), rows))
    else:
        note("there is no backup of this box")
    bad = sum(not one["sound"] for one in items)
    if bad:
        raise Damaged(f"{bad} of {len(items)} backups could not be read")


@backup.command()
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@as_json
@where()
def prune(where: Where, dry_run: bool, as_json: bool) -> None:
    """Remove this box's backups that are older than backup.keep. The newest sound one always stays.

    \b
    Example:
      signalcraft backup prune --dry-run
    """
    from signalcraft.cli.client import connect

    with connect(where, "backup prune") as client:
        done = _until_done(client, lambda: client.post(f"{PATH}/prune", {"dry_run": dry_run}), quiet=as_json)
    if as_json:
        say_json(done)
        return
    for path in done["removed"]:
        say(path)
    word = "would go" if dry_run else "were removed"
    note(f"{len(done['removed'])} {word} ({_size(done['freed_bytes'])}), {done['kept']} are kept.")


@backup.command()
@as_json
def keygen(as_json: bool) -> None:
    """Make a key that opens backups on any machine. Its private part is printed once and kept nowhere.

    Put the public part into backup.recipient. Write the private part on paper or into a safe, never on this machine.

    \b
    Example:
      signalcraft backup keygen
    """
    from signalcraft.storage import bundlekeys

    key = bundlekeys.made()
    private, public = bundlekeys.show_private(key), bundlekeys.show_public(key.public_key)
    name = bundlekeys.key_id(key.public_key)
    if as_json:
        say_json({"id": name, "private": private, "public": public})
        return
    say(strong("Private part: it opens every backup. Shown this once; keep it away from this machine."))
    say(f"  {private}")
    say()
    say(strong("Public part, for the settings:"))
    say("  [backup]")
    say(f'  recipient = "{public}"')
    say()
    note(f"The key is {name}. Then: signalcraft backup sheet, and write on it where the private part is kept.")


@backup.command()
@where()
def sheet(where: Where) -> None:
    """Print the recovery sheet: what is needed to bring this box back, where it is, and the one command.

    \b
    Example:
      signalcraft backup sheet | lp
    """
    from signalcraft.cli.client import connect

    with connect(where, "backup sheet") as client:
        say(client.get(f"{PATH}/sheet")["sheet"].rstrip("\n"))


@backup.command(hidden=True)
def work() -> int:
    """One job of a backup, told on standard input by the process that asks for it.

    \b
    Example:
      signalcraft backup work < job.json
    """
    from signalcraft.storage import children
    from signalcraft.storage.backup import child

    children.end_with_parent()
    return child.work(sys.stdin.buffer, sys.stdout.buffer)


def _verified_here(paths: list[str], key_file: Path) -> list[dict[str, Any]]:
    from signalcraft.storage import bundlekeys, escrow
    from signalcraft.storage.backup import job

    if not paths:
        raise Invalid("name the files that the key shall open", path="files")
    try:
        keys = bundlekeys.read_key(escrow.read(key_file).decode("utf-8"))
    except UnicodeDecodeError:
        raise Invalid(f"{key_file} holds no key") from None
    judged = [job.judge(Path(path), keys, lambda _stage, _done, _of: None) for path in paths]
    return [
        {"file": one.file, "sound": not one.code, "code": one.code, "trouble": one.said, "rows": one.rows}
        for one in judged
    ]


def made(where: Where) -> str:
    """One more, as the settings say; where it lies. Raises its fault."""
    from signalcraft.cli.client import connect

    with connect(where, "backup") as client:
        asked = {"to": None, "recipient": None}
        return str(_until_done(client, lambda: client.post(PATH, asked), quiet=True)["path"])


def _until_done(client: Client, begin: Any, *, quiet: bool) -> Any:
    """Begins, and shows how far it is until it is done; what came of it. Raises its fault."""
    bar = None if quiet or not sys.stderr.isatty() else _Bar()
    try:
        _begun(begin)
        while True:
            now = client.get(f"{PATH}/going", {"wait_s": "1"})
            if now["done"] is not None:
                return now["done"]
            if bar is not None and now["going"] is not None:
                bar.show(now["going"])
    finally:
        if bar is not None:
            bar.end()


def _begun(begin: Any) -> None:
    """Waits its turn for a while, where another is under way. Raises Refusal."""
    from signalcraft.cli.client import Refusal

    deadline_s, told = time.monotonic() + 60, False
    while True:
        try:
            begin()
            return
        except Refusal as fault:
            if fault.code != Conflict.code or "under way" not in fault.detail or time.monotonic() > deadline_s:
                raise
        if not told:
            note("another one is under way; waiting for it")
            told = True
        time.sleep(0.5)


class _Bar:
    """One line on the terminal that is written over."""

    def show(self, going: dict[str, Any]) -> None:
        of = going["of"]
        part = going["done"] / of if of else 0.0
        filled = round(part * _BAR)
        what = _STAGES.get(going["stage"], "starting")
        line = f"[{'#' * filled}{'.' * (_BAR - filled)}] {part:4.0%} {what}"
        print(f"\r{line:<79}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        print(f"\r{'':<79}\r", end="", file=sys.stderr, flush=True)


def _size(count: int) -> str:
    if count < 1024:
        return f"{count} B"
    size, units = count / 1024, ["kB", "MB", "GB", "TB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.1f} {units[0]}"

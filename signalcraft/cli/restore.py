"""`signalcraft restore` and `signalcraft resume`: a box is made again, and goes on when a person says so."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.passphrases import passphrase_file, read_passphrase
from signalcraft.cli.terminal import note, on_terminal, say, say_json, table
from signalcraft.errors import Conflict, Invalid

if TYPE_CHECKING:
    from signalcraft.config import Settings
    from signalcraft.storage.restoring import Given, Restored

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("backup", metavar="[BACKUP]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--from-replica", "replica", is_flag=False, flag_value="", default=None, metavar="[URL]",
    help="Restore from the replica of the settings (replica.url), or from this one.",
)  # fmt: skip
@click.option("--at", "at", metavar="TIME", help="As it was then (2026-03-01T10:00:00Z). The answer says how near.")
@click.option("--to", "to", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="As --data-dir.")
@click.option(
    "--key-file", "key_files", type=_FILE, multiple=True, metavar="FILE",
    help="What opens the backup: a backup key, a master.key, or an escrow file. May be given several times.",
)  # fmt: skip
@click.option("--master-key-file", type=_FILE, metavar="FILE", help="The master key: master.key, or an escrow file.")
@click.option("--without-secrets", is_flag=True, help="Go on without the master key; secrets are entered again.")
@click.option("--yes", is_flag=True, help="Move aside what is in the data directory. Nothing is deleted.")
@passphrase_file
@as_json
@where(workspace=False)
def restore(
    where: Where,
    backup: Path | None,
    replica: str | None,
    at: str | None,
    to: Path | None,
    key_files: tuple[Path, ...],
    master_key_file: Path | None,
    without_secrets: bool,
    yes: bool,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Make a data directory again from a backup (BACKUP: a file, or the folder of all) or from the replica.

    It is checked before it takes its place. What was there is moved aside. The box that starts on it takes alerts and
    tells nobody until `signalcraft resume`.

    \b
    Example:
      signalcraft restore /mnt/backups/signalcraft-20260301-033000.scb --key-file backup.key --data-dir ./data
      signalcraft restore --from-replica --at 2026-03-01T10:00:00Z
    """
    from signalcraft.main import system_now
    from signalcraft.storage import restoring

    if (backup is None) == (replica is None):
        raise Invalid("say what to restore: a backup, or --from-replica", path="backup")
    if to is not None:
        where = Where(where.config, to)
    settings = where.loaded().settings
    target = settings.data.path
    files = [*key_files, *((master_key_file,) if master_key_file else ())]
    given, master_set = _keys(settings, target, files, passphrase_file)
    order = restoring.Order(
        target=target,
        now_ms=system_now(),
        file=backup,
        replica=None if replica is None else _replica(settings, replica),
        at_ms=None if at is None else _time(at),
        given=given,
        master_set=master_set,
        consent=yes or (on_terminal() and _consents(target)),
        without_secrets=without_secrets,
        progress=_shown() if on_terminal() and not as_json else lambda _what, _done, _of: None,
    )
    done = restoring.restore(order)
    if as_json:
        say_json(_as_json(done))
    else:
        _tell(done)


def _keys(
    settings: Settings, target: Path, files: list[Path], passphrase_file: Path | None
) -> tuple[Given, frozenset[str]]:
    """Every key at hand: of the files, of the settings, and of what is in the data directory now."""
    from signalcraft.storage.restoring import Given, from_text, read_keys
    from signalcraft.storage.vault import KEY_FILE

    found, in_settings = Given(), Given()
    for text in (settings.security.master_key.reveal(), settings.security.master_key_previous.reveal()):
        if text:
            in_settings = in_settings + from_text(text)
    for file in files:
        try:
            found = found + read_keys(file)
        except Invalid as fault:
            if fault.path != "passphrase":
                raise
            found = found + read_keys(file, read_passphrase(passphrase_file, new=False))
    earlier = target / KEY_FILE
    if earlier.is_file():
        found = found + read_keys(earlier)
    return found + in_settings, frozenset(in_settings.masters)


def _replica(settings: Settings, url: str) -> Any:
    import msgspec

    replica = msgspec.structs.replace(settings.replica, url=url) if url else settings.replica
    if not replica.url:
        raise Invalid("the settings name no replica (replica.url): --from-replica URL", path="from_replica")
    return replica


def _time(text: str) -> int:
    from signalcraft.http.wire import read_time

    return read_time(text, "at")


def _consents(target: Path) -> bool:
    if not target.is_dir() or not any(entry.name != "lock" for entry in target.iterdir()):
        return False
    return bool(click.confirm(f"{target} is not empty. Move what is there aside and restore?", err=True))


def _shown() -> Any:
    last = [0.0]

    def progress(what: str, done: int, of: int) -> None:
        if time.monotonic() - last[0] > 0.2 or done == of:
            last[0] = time.monotonic()
            click.echo(f"\r\033[K{what} {done * 100 // of} %" if of else f"\r\033[K{what} …", nl=False, err=True)

    return progress


def _as_json(done: Restored) -> dict[str, Any]:
    from signalcraft.http.wire import show_time

    return {
        "source": done.source,
        "data_dir": done.data_dir,
        "copy_at": show_time(done.copy_ms),
        "restored_at": show_time(done.now_ms),
        "missing_seconds": _missing_s(done),
        "asked_at": show_time(done.asked_ms),
        "resolution_seconds": None if done.resolution_ms is None else done.resolution_ms / 1000,
        "schema": done.schema,
        "schema_newest": done.newest_schema,
        "rows": done.rows,
        "bytes": done.size,
        "took_seconds": round(done.took_s, 3),
        "lacks": done.lacks,
        "fails": done.fails,
        "enter_again": done.enter_again,
        "moved_aside": done.aside,
        "settings": done.settings,
        "held": done.held,
    }


def _missing_s(done: Restored) -> float:
    return max(done.now_ms - done.copy_ms, 0) / 1000


def _tell(done: Restored) -> None:
    from signalcraft.http.wire import show_time

    if on_terminal():
        click.echo("\r\033[K", nl=False, err=True)
    counted = ", ".join(f"{number} {_NOUNS[name]}" for name, number in done.rows.items())
    say(f"Restored from {done.source} into {done.data_dir}, checked, in {done.took_s:.1f} s: {counted}.")
    say(f"It tells up to {show_time(done.copy_ms)}. What happened in the {_span(_missing_s(done))} since is lost:")
    say("senders that try once are not heard of again. The gap is recorded at the start.")
    if done.asked_ms is not None:
        near = (
            ""
            if done.resolution_ms is None
            else f"; the next change was copied {done.resolution_ms / 1000:.1f} s later"
        )
        say(f"Asked for was {show_time(done.asked_ms)}{near}.")
    if done.schema < done.newest_schema:
        say(f"Its schema is {done.schema}; the start brings it to {done.newest_schema}.")
    for what, lines in (("Not there:", done.lacks), ("Does not work:", done.fails), ("Enter again:", done.enter_again)):
        if lines:
            say(what)
            for line in lines:
                say(f"  - {line}")
    if done.aside:
        say(f"What was there before lies in {done.aside}; delete it when you need it no longer.")
    if done.settings:
        say(f"The settings of the earlier box lie in {done.settings}: compare them with yours.")
    say("Next: start SignalCraft on it. It takes alerts and tells nobody until you have looked:")
    say("  signalcraft resume --dry-run")
    say("  signalcraft resume")


_NOUNS = {"alert_group": "alert groups", "event": "events", "delivery": "deliveries"}


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"


# -- resume -----------------------------------------------------------------------------------------------------------


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show what would be sent and dropped.")
@click.option("--drop-older-than", "older", metavar="SPAN", help="Drop what was owed for longer: 30m, 1h, 2d.")
@click.option("--keep", "keep", multiple=True, metavar="ID", help="Send this one all the same. Several times.")
@click.option("--keep-all", is_flag=True, help="Send also what the earlier box may have sent already.")
@click.option("--drop-all", is_flag=True, help="Drop everything that was owed in the copy.")
@click.option("--lost-at", metavar="TIME", help="When the earlier box stopped, where you know it better.")
@click.option("--yes", is_flag=True, help="Do not ask on a terminal.")
@as_json
@where()
def resume(
    where: Where,
    dry_run: bool,
    older: str | None,
    keep: tuple[str, ...],
    keep_all: bool,
    drop_all: bool,
    lost_at: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Let a restored box tell people again, after showing what would be sent and what dropped.

    What the earlier box may have sent between the copy and its loss is dropped unless you keep it; serious alert groups
    among them are named in one alert. What came in since the restore is sent.

    \b
    Example:
      signalcraft resume --dry-run
      signalcraft resume --drop-older-than 1h
    """
    from signalcraft.cli.client import connect

    body: dict[str, Any] = {"dry_run": dry_run, "keep": list(keep), "keep_all": keep_all, "drop_all": drop_all}
    if older is not None:
        body["drop_older_minutes"] = _minutes(older)
    if lost_at is not None:
        body["lost_at"] = lost_at
    with connect(where, "resume") as client:
        held = client.get("/api/hold")
        if not held["held"]:
            raise Conflict("this box is not held: nothing waits for a resume")
        if not as_json:
            note(f"Held since {held['since_at']}: {held['why']}. The copy tells up to {held['copy_at']}.")
        if on_terminal() and not (as_json or dry_run or yes):
            _tell_plan(client.post("/api/hold/resume", {**body, "dry_run": True})["plan"])
            click.confirm("Go on?", abort=True, err=True)
        done = client.post("/api/hold/resume", body)
    if as_json:
        say_json(done)
        return
    _tell_plan(done["plan"])
    if done["resumed"]:
        say("The box is held no longer: messages leave again.")
    else:
        note("Nothing was done (--dry-run).")


def _minutes(text: str) -> int:
    number, unit = text[:-1], text[-1:]
    factor = {"m": 1, "h": 60, "d": 1440}.get(unit)
    if factor is None or not number.isdecimal() or int(number) < 1:
        raise Invalid("a span looks like 30m, 1h or 2d", path="drop_older_than")
    return int(number) * factor


def _tell_plan(plan: dict[str, Any]) -> None:
    say(f"Messages: {plan['send']} sent, {plan['drop']} dropped.")
    rows = [
        (m["fate"], m["id"], m["channel"], m["kind"], m["owed_at"], (m["group_title"] or "")[:40], m["why"])
        for m in plan["messages"]
    ]
    if rows:
        say(table(("", "ID", "CHANNEL", "KIND", "OWED SINCE", "ALERT GROUP", "WHY"), rows))
    say(
        f"Escalations: {plan['escalations_send']} at once, {plan['escalations_later']} later,"
        f" {plan['escalations_drop']} dropped."
    )
    rungs = [
        (e["fate"], ", ".join(e["channels"]), e["due_at"], (e["group_title"] or "")[:40], e["why"])
        for e in plan["escalations"]
    ]
    if rungs:
        say(table(("", "TO", "DUE", "ALERT GROUP", "WHY"), rungs))
    say(f"{plan['repeats']} repeats wait their time again; {plan['snoozes']} snoozes end at once.")
    if plan["elsewhere"]:
        say(f"The same is done to {plan['elsewhere']} messages of other workspaces.")

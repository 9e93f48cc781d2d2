"""`upgrade` and `rollback`: the program file replaced, with the database checked on a copy before and a way back."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import signalcraft
from signalcraft.cli import deploying, releases
from signalcraft.cli.migrating import _level, _now, _show_plan
from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import note, on_terminal, say, say_json, table
from signalcraft.errors import Conflict, Fault, Invalid

if TYPE_CHECKING:
    from signalcraft.storage import returning
    from signalcraft.storage.installed import Place

_READY_S = 150.0
_prefix = click.option(
    "--prefix", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Where the versions lie. [default: where this program lies]",
)  # fmt: skip


@click.command()
@click.argument("source", required=False, metavar="[FILE_OR_URL]")
@click.option("--check", is_flag=True, help="Verify it, show the list, try the migration on a copy; switch nothing.")
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(deploying.NAMES),
    metavar="NAME",
    help="Go on without this line of the list. [several times]",
)
@click.option("--sha256", metavar="HEX", help="What the file must be. [default: read from FILE_OR_URL.sha256]")
@click.option("--signature", metavar="FILE_OR_URL", help="A minisign signature of the file. [with --public-key]")
@click.option("--public-key", metavar="KEY_OR_FILE", help="The minisign key whose signature is trusted.")
@_prefix
@as_json
@where(workspace=False)
def upgrade(
    where: Where, source: str | None, check: bool, without: tuple[str, ...], sha256: str | None, signature: str | None,
    public_key: str | None, prefix: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Replace the installed program by a newer version.

    The file's checksum is verified (and its signature, where one is given), and a list is gone through: settings, the
    migration on a copy, disk, a backup not older than 26 hours (else one is made), a version to return to, the service.
    Then the link to the version in use is switched. A service of systemd's is restarted, without a request being lost,
    and switched back where it does not come up. The last three versions are kept. --check alone shows what is there.

    \b
    Example:
      signalcraft upgrade ./signalcraft-1.2.0 --check
      signalcraft upgrade https://example.com/signalcraft-1.2.0 --sha256 9f86d081884c7d65…
    """  # fmt: skip
    from signalcraft.storage import installed

    if source is None and not check:
        raise Invalid("which version? name its file or its https:// address, or ask with --check what is installed")
    place = installed.find(prefix)
    if source is None:
        return _show_installed(place, as_json=as_json)
    if bool(signature) != bool(public_key):
        raise Invalid(
            "a signature needs the key that is trusted, and the other way round: --signature and --public-key"
        )
    draft = place.incoming()
    try:
        digest = releases.fetched(source, draft, sha256)
        if signature and public_key:
            releases.checked(draft, signature, public_key)
        draft.chmod(0o755)
        version = installed.version_of(draft)
        _newer(place, version)
        report = installed.ask(draft, "migrate", "check", "--json", *_words(where))
        if not report.get("ok"):
            raise Conflict(
                f"version {version} cannot migrate this database: {report.get('problem')}; nothing was changed"
            )
        was = _present(place)
        looked = deploying.preflight(where, place, draft, was, report, make=not check)
        deploying.complete(looked, without, quiet=as_json)
        said = {"version": version, "sha256": digest, "pending": report["pending"], "rehearsal": report["rehearsal"]}
        said["checks"] = [{"name": one.name, "ok": one.ok, "said": one.said} for one in looked]
        if check:
            _say(
                said | {"installed": False},
                f"SignalCraft {version} can be installed: {_work(report)}.",
                as_json=as_json,
            )
            return 0
        place.adopt(signalcraft.__version__, _now())
        place.add(draft, version, digest, _now())
    finally:
        draft.unlink(missing_ok=True)
    place.switch(version)
    restarted = _restarted(where, place, version, was)
    gone = place.prune()
    _say(
        said | {"installed": True, "was": was, "restarted": restarted, "removed": gone},
        f"SignalCraft {version} is installed{' and runs' if restarted else ''}; before it was {was or 'none'}.",
        as_json=as_json,
    )
    return 0


@click.command()
@click.option("--to", metavar="VERSION", help="Which installed version. [default: the one before]")
@click.option(
    "--leave", is_flag=True, help="Leave aside what was written since the upgrade, rather than take it along."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@_prefix
@as_json
@where(workspace=False)
def rollback(where: Where, to: str | None, leave: bool, yes: bool, prefix: Path | None, as_json: bool) -> int:
    """Go back to the version that was installed before.

    Where it needs an earlier schema, the backup from before the migration comes back too, with what was written since
    (events, groups, deliveries, acts of people) taken along as far as it fits; the newer database is kept aside, and
    `signalcraft migrate export` prints what is in it alone.

    \b
    Example:
      signalcraft rollback
      signalcraft rollback --to 1.1.0 --yes
    """
    from signalcraft.storage import installed

    place = installed.find(prefix)
    was = place.current()
    target = to or place.earlier()
    if target == was:
        raise Conflict(f"version {target} is the one in use")
    if not place.binary(target).is_file():
        known = ", ".join(one.version for one in place.versions())
        raise Conflict(f"version {target} is not installed: there are {known or 'none'}")
    data_dir = where.loaded().settings.data.path
    room = installed.ask(place.binary(target), "migrate", "status", "--json", *_words(where))["newest"]
    needs = _level(data_dir) > room
    unit = _unit(data_dir, needed=needs)
    newer = None
    if unit:
        newer = _restarted_back(place, unit, data_dir, room if needs else None, target, was, carry=not leave, yes=yes,
                                quiet=as_json)  # fmt: skip
    else:
        if needs:
            newer = _went_back(data_dir, room, carry=not leave, yes=yes, quiet=as_json)
        place.switch(target)
    _say(
        {"version": target, "was": was, "newer": newer, "restarted": bool(unit)},
        f"SignalCraft {target} is in use again, {was} is kept."
        + (
            f" The newer database is before/{newer}: signalcraft migrate export prints what is in it alone."
            if newer
            else ""
        ),
        as_json=as_json,
    )
    if not unit:
        note(f"Start it: {place.prefix / 'current' / 'signalcraft'} serve")
    return 0


# -- which version ---------------------------------------------------------------------------------------------------


def _present(place: Place) -> str:
    """The version in use, "" for none."""
    return place.current() or (signalcraft.__version__ if place.entry is not None else "")


def _newer(place: Place, version: str) -> None:
    from signalcraft.storage.installed import order

    now = _present(place)
    if version == now:
        raise Conflict(f"version {version} is the one in use")
    if now and order(version) < order(now):
        raise Conflict(f"version {version} is older than {now}: go back with `signalcraft rollback`")


# -- the database, the service ----------------------------------------------------------------------------------------


def _words(where: Where) -> list[str]:
    """The same place for another version of the program."""
    words = ["--data-dir", str(where.loaded().settings.data.path)]
    return words if where.config is None else [*words, "--config", str(where.config.absolute())]


def _work(report: dict[str, Any]) -> str:
    if not report["rehearsal"]:
        return f"{len(report['pending'])} migrations, no data" if report["pending"] else "nothing to migrate"
    seen = report["rehearsal"]
    return (
        f"{len(report['pending'])} migrations, on a copy they took {seen['apply_ms']} ms (copied in {seen['copy_ms']}"
        f" ms, {seen['needed'] // 1_000_000} MB of disk needed)"
    )


def _service(data_dir: Path) -> tuple[bool, str]:
    """Whether something serves, and the systemd service that it is."""
    from signalcraft.cli.client import answers, beside
    from signalcraft.storage.installed import unit_of

    if not answers(data_dir):
        return False, ""
    with beside(data_dir) as client:
        return True, unit_of(int(client.get("/control/info")["pid"]))


def _restarted(where: Where, place: Place, version: str, was: str) -> bool:
    """Restarts the service where systemd has one, and goes back where it does not come up. Raises Fault."""

    data_dir = where.loaded().settings.data.path
    runs, unit = _service(data_dir)
    if not runs:
        note(f"Start it: {place.prefix / 'current' / 'signalcraft'} serve")
        return False
    if not unit or os.geteuid() != 0:
        how = f"systemctl restart {unit}" if unit else "end it and start it again"
        note(f"SignalCraft {was} still runs. Restart it: {how}")
        return False
    level = _level(data_dir)
    deploying.tell(data_dir, "upgrade", "started", version, was)
    try:
        _restart(unit)
        _await_version(data_dir, version, unit)
    except Fault as fault:
        said = f"version {version} did not come up ({fault.detail})"
        raise Fault(f"{said}; {_returned(place, unit, data_dir, level, version, was, said)}") from None
    deploying.tell(data_dir, "upgrade", "finished", version, was)
    return True


def _returned(place: Place, unit: str, data_dir: Path, level: int, version: str, was: str, why: str) -> str:
    """The earlier version runs again, on its own schema: a restart, so that who connects meanwhile waits for it."""
    from signalcraft.storage import installed

    if not was:
        installed.systemctl("stop", unit)
        return "no other version is there"
    _switched_back(place, unit, data_dir, level, version, was)
    deploying.tell(data_dir, "upgrade", "failed", version, was, f"{why}; {was} is in use again")
    return f"{was} is in use again"


def _switched_back(place: Place, unit: str, data_dir: Path, level: int, version: str, to: str) -> None:
    """The service runs an earlier version, which takes the database back to its schema first. Raises Fault."""
    from signalcraft.storage import returning

    if _level(data_dir) > level:
        asked = returning.Wanted(to=level, carry=True, program=version, at_ms=_now())
        returning.want(data_dir, asked)
    place.switch(to)
    _restart(unit)
    _await_version(data_dir, to, unit)


def _restart(unit: str) -> None:
    """Never stop and start: the listening sockets stay open over a restart alone. Raises Fault."""
    from signalcraft.storage import installed

    with suppress(Fault):
        installed.systemctl("reset-failed", unit)  # so often as it was started lately does not count
    installed.systemctl("restart", unit)


def _await_version(data_dir: Path, version: str, unit: str = "") -> None:
    """Until that version serves and is ready. Raises Fault, at once where its service has ended."""
    from signalcraft.cli.client import answers, beside
    from signalcraft.storage import installed

    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        if answers(data_dir):
            with suppress(Fault), beside(data_dir) as client:
                if client.get("/control/info")["version"] == version:
                    client.get("/health/ready")
                    return
        if unit and (trouble := installed.in_trouble(unit)):
            raise Fault(f"{trouble}: see signalcraft logs")
        time.sleep(0.3)
    raise Fault(f"it was not there after {round(_READY_S)} s: see signalcraft logs")


def _unit(data_dir: Path, *, needed: bool) -> str:
    """The service to be restarted, "" for none. Raises Conflict where something else serves and would have to end."""
    runs, unit = _service(data_dir)
    if not runs:
        return ""
    if unit and os.geteuid() == 0:
        return unit
    if needed:
        raise Conflict(f"SignalCraft serves {data_dir} now: stop it first; nothing was changed")
    note("SignalCraft still runs: restart it")
    return ""


def _restarted_back(
    place: Place, unit: str, data_dir: Path, room: int | None, target: str, was: str, *, carry: bool, yes: bool,
    quiet: bool,
) -> str | None:  # fmt: skip
    """The service runs the older version; it goes back to schema `room` at its start. The newer database's name."""
    from signalcraft.storage import before, returning

    if room is not None:
        _agreed(returning.plan(data_dir, None, at_most=room), carry=carry, yes=yes, quiet=quiet)
    deploying.tell(data_dir, "rollback", "started", target, was)
    if room is not None:
        returning.want(data_dir, returning.Wanted(to=room, carry=carry, program=was, at_ms=_now()))
    place.switch(target)
    try:
        _restart(unit)
        _await_version(data_dir, target, unit)
    except Fault as fault:
        returning.want(data_dir, None)
        place.switch(was)
        _restart(unit)
        _await_version(data_dir, was, unit)
        why = f"version {target} did not come up ({fault.detail}); {was} is in use again"
        deploying.tell(data_dir, "rollback", "failed", target, was, why)
        raise Fault(why) from None
    deploying.tell(data_dir, "rollback", "finished", target, was)
    return next((one.file for one in before.kept(data_dir) if one.newer), None) if room is not None else None


def _agreed(chosen: returning.Plan, *, carry: bool, yes: bool, quiet: bool) -> None:
    """Shows what would come, and asks. Raises Invalid, Abort."""
    if not quiet:
        _show_plan(chosen, carry=carry)
    if not yes:
        if not (sys.stdin.isatty() and on_terminal()):
            raise Invalid("going back needs a word of yours: --yes, nothing was changed")
        click.confirm("Go back?", abort=True)


def _went_back(data_dir: Path, room: int, *, carry: bool, yes: bool, quiet: bool) -> str:
    from signalcraft.cli.client import lock_or_socket
    from signalcraft.storage import returning

    lock = lock_or_socket(data_dir, "rollback")
    if lock is None:
        raise Conflict("SignalCraft serves this data directory now: stop it first")
    try:
        chosen = returning.plan(data_dir, None, at_most=room)
        _agreed(chosen, carry=carry, yes=yes, quiet=quiet)
        done = returning.go_back(data_dir, chosen, program=signalcraft.__version__, now_ms=_now(), carry=carry)
        return done.newer
    finally:
        lock.release()


def _show_installed(place: Place, *, as_json: bool) -> int:
    known = place.versions()
    if as_json:
        listed = [{name: getattr(one, name) for name in one.__struct_fields__} for one in known]
        say_json({"prefix": str(place.prefix), "current": place.current(), "versions": listed})
        return 0
    say(f"Versions in {place.versions_dir}, in use: {place.current() or 'none of them'}")
    if known:
        rows = [(one.version, "in use" if one.current else "", one.sha256[:16]) for one in known]
        say(table(("VERSION", "", "SHA-256"), rows))
    return 0


def _say(facts: dict[str, Any], words: str, *, as_json: bool) -> None:
    if as_json:
        say_json(facts)
    else:
        say(words)

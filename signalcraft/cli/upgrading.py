"""`upgrade` and `rollback`: the program file replaced, with the database checked on a copy before and a way back."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import signalcraft
from signalcraft.cli.migrating import _level, _now, _show_plan
from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import note, on_terminal, say, say_json, table
from signalcraft.errors import Conflict, Fault, Invalid

if TYPE_CHECKING:
    from signalcraft.storage.installed import Place

_READY_S = 150.0
_prefix = click.option(
    "--prefix", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Where the versions lie. [default: where this program lies]",
)  # fmt: skip


@click.command()
@click.argument("source", required=False, metavar="[FILE_OR_URL]")
@click.option("--check", is_flag=True, help="Verify it and try the migration on a copy; switch nothing.")
@click.option("--sha256", metavar="HEX", help="What the file must be. [default: read from FILE_OR_URL.sha256]")
@click.option("--signature", metavar="FILE_OR_URL", help="A minisign signature of the file. [with --public-key]")
@click.option("--public-key", metavar="KEY_OR_FILE", help="The minisign key whose signature is trusted.")
@_prefix
@as_json
@where(workspace=False)
def upgrade(
    where: Where, source: str | None, check: bool, sha256: str | None, signature: str | None, public_key: str | None,
    prefix: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Replace the installed program by a newer version.

    The file's checksum is verified (and its signature, where one is given), the new version tries its migrations on a
    copy of the database, and then the link to the version in use is switched. A service of systemd's is restarted, and
    switched back where it does not come up. The last three versions are kept. --check alone shows what is installed.

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
        digest = _fetched(source, draft, sha256)
        if signature and public_key:
            _signed(draft, signature, public_key)
        draft.chmod(0o755)
        version = installed.version_of(draft)
        _newer(place, version)
        report = installed.ask(draft, "migrate", "check", "--json", *_words(where))
        if not report.get("ok"):
            raise Conflict(
                f"version {version} cannot migrate this database: {report.get('problem')}; nothing was changed"
            )
        said = {"version": version, "sha256": digest, "pending": report["pending"], "rehearsal": report["rehearsal"]}
        if check:
            _say(
                said | {"installed": False},
                f"SignalCraft {version} can be installed: {_work(report)}.",
                as_json=as_json,
            )
            return 0
        was = place.current() or (signalcraft.__version__ if place.entry is not None else "")
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
    unit = _stopped(data_dir, needed=needs)
    newer = None
    try:
        if needs:
            newer = _went_back(data_dir, room, carry=not leave, yes=yes, quiet=as_json)
        place.switch(target)
    finally:
        if unit:
            installed.systemctl("restart" if not needs else "start", unit)
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


# -- the file ---------------------------------------------------------------------------------------------------------


def _fetched(source: str, target: Path, sha256: str | None) -> str:
    """Copies or downloads, and holds it against its sum. Raises Invalid, Conflict."""
    wanted = sha256 or _read_sum(source)
    if not re.fullmatch(r"[0-9a-fA-F]{64}", wanted):
        raise Invalid("a SHA-256 has 64 hexadecimal digits", path="--sha256")
    if source.startswith("http://") and sha256 is None:
        raise Invalid("over http:// the sum cannot come the same way: give it with --sha256, or use https://")
    seen = hashlib.sha256()
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o700)
    with os.fdopen(handle, "wb") as out:
        for piece in _pieces(source):
            seen.update(piece)
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
    if seen.hexdigest() != wanted.lower():
        raise Conflict(
            f"{source} is not what its sum says ({seen.hexdigest()[:12]}…, not {wanted[:12]}…): not installed"
        )
    return seen.hexdigest()


def _read_sum(source: str) -> str:
    try:
        text = b"".join(_pieces(f"{source}.sha256")).decode("utf-8", "replace")
    except Fault:
        raise Invalid(f"what the file must be is not known: {source}.sha256 is not there; give --sha256 HEX") from None
    return text.split()[0] if text.split() else ""


def _pieces(source: str) -> Any:
    """The bytes of a file or of an address. Raises Fault."""
    if not re.match(r"https?://", source):
        try:
            with Path(source).open("rb") as opened:
                while piece := opened.read(1 << 20):
                    yield piece
        except OSError as problem:
            raise Invalid(f"{source} cannot be read: {problem.strerror}") from None
        return
    import httpx

    try:
        with httpx.stream("GET", source, follow_redirects=True, timeout=60) as answer:
            if answer.status_code != 200:
                raise Fault(f"{source} answered {answer.status_code}")
            yield from answer.iter_bytes(1 << 20)
    except httpx.HTTPError as problem:
        raise Fault(f"{source} could not be fetched: {str(problem) or type(problem).__name__}") from None


def _signed(file: Path, signature: str, public_key: str) -> None:
    from signalcraft.storage import signed

    key = signed.public_key(public_key)
    held = file.with_name(".signature")
    try:
        held.write_bytes(b"".join(_pieces(signature)))
        note(f"Signed: {signed.verify(file, held, key)}")
    finally:
        held.unlink(missing_ok=True)


def _newer(place: Place, version: str) -> None:
    from signalcraft.storage.installed import order

    now = place.current() or (signalcraft.__version__ if place.entry is not None else "")
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
    from signalcraft.storage import installed

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
    try:
        installed.systemctl("restart", unit)
        _await_version(data_dir, version)
    except Fault as fault:
        installed.systemctl("stop", unit)
        if _level(data_dir) > level:
            installed.ask(place.binary(version), "migrate", "down", "--to", str(level), "--carry", "--yes", "--json",
                          *_words(where))  # fmt: skip
        if was:
            place.switch(was)
            installed.systemctl("start", unit)
        raise Fault(f"version {version} did not come up ({fault.detail}); {was or 'nothing'} is in use again") from None
    return True


def _await_version(data_dir: Path, version: str) -> None:
    from signalcraft.cli.client import answers, beside

    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        if answers(data_dir):
            with beside(data_dir) as client:
                if client.get("/control/info")["version"] == version:
                    return
        time.sleep(0.5)
    raise Fault(f"it was not there after {round(_READY_S)} s: see signalcraft logs")


def _stopped(data_dir: Path, *, needed: bool) -> str:
    """The service to be started afterwards, ended where that is needed. Raises Conflict where it cannot be."""
    from signalcraft.storage import installed

    runs, unit = _service(data_dir)
    if not runs:
        return ""
    if not unit or os.geteuid() != 0:
        if needed:
            raise Conflict(f"SignalCraft serves {data_dir} now: stop it first; nothing was changed")
        note("SignalCraft still runs: restart it")
        return ""
    if needed:
        installed.systemctl("stop", unit)
    return unit


def _went_back(data_dir: Path, room: int, *, carry: bool, yes: bool, quiet: bool) -> str:
    from signalcraft.cli.client import lock_or_socket
    from signalcraft.storage import returning

    lock = lock_or_socket(data_dir, "rollback")
    if lock is None:
        raise Conflict("SignalCraft serves this data directory now: stop it first")
    try:
        chosen = returning.plan(data_dir, None, at_most=room)
        if not quiet:
            _show_plan(chosen, carry=carry)
        if not yes:
            if not (sys.stdin.isatty() and on_terminal()):
                raise Invalid("going back needs a word of yours: --yes, nothing was changed")
            click.confirm("Go back?", abort=True)
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

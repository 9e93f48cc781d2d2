"""`signalcraft standby`: a second machine that follows a box's replica, and takes over when a person says so."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import note, say, say_json
from signalcraft.errors import Conflict, Invalid

if TYPE_CHECKING:
    from signalcraft.config import Settings
    from signalcraft.config.replica import Replica

_VERB = "standby"
_END_S = 20.0


@click.group(invoke_without_command=True)
@click.option("--from", "url", metavar="URL", help="The replica to follow. [default: replica.url]")
@where(workspace=False)
@click.pass_context
def standby(context: click.Context, where: Where, url: str | None) -> int:
    """Follow the replica of a box that runs elsewhere, until SIGTERM or Ctrl-C.

    The copy is kept in the data directory. Nothing is sent or taken in, and nothing is written to the replica.

    \b
    Example:
      signalcraft standby --from file:///mnt/copies/hub --data-dir ./data
      signalcraft standby status --data-dir ./data
      signalcraft standby promote --data-dir ./data
    """
    if context.invoked_subcommand is not None:
        return 0
    from signalcraft.main import system_now
    from signalcraft.storage.litestream.standby import Follower
    from signalcraft.storage.lock import DataLock

    settings = where.loaded().settings
    data_dir = settings.data.path
    replica = _replica(settings, url)
    if (data_dir / "signalcraft.db").exists():
        raise Conflict(f"{data_dir} has a box of its own: follow in another data directory")
    lock = DataLock(data_dir)
    lock.take(_VERB)
    stop = threading.Event()
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        if not _has_key(settings):
            note(f"the replica holds no master key: put the box's master.key into {data_dir} before it is needed")
        Follower(data_dir, replica, system_now, say).run(stop)
    finally:
        lock.release()
    return 0


def _replica(settings: Settings, url: str | None) -> Replica:
    import msgspec

    from signalcraft.config.forms import FORMS

    try:
        clean = FORMS["replica_url"](url) if url else settings.replica.url
    except ValueError as fault:
        raise Invalid(f"{fault} is expected", path="from") from None
    if not clean:
        raise Invalid("say which replica: --from URL, or replica.url in the settings", path="from")
    return msgspec.structs.replace(settings.replica, url=clean)


def _has_key(settings: Settings) -> bool:
    return bool(settings.security.master_key) or (settings.data.path / "master.key").exists()


@standby.command()
@as_json
@where(workspace=False)
def status(where: Where, as_json: bool) -> int:
    """Show how far a standby is. The exit code is 1 where it is not in step, or does not run.

    \b
    Example:
      signalcraft standby status --data-dir ./data
    """
    import msgspec

    from signalcraft.storage.litestream import standby as kept

    data_dir = where.loaded().settings.data.path
    now = kept.state(data_dir)
    if now is None:
        raise Conflict(f"there is no standby in {data_dir}: signalcraft standby --from URL makes one")
    runs = _follower(data_dir) is not None
    if as_json:
        say_json({"running": runs, "in_step": runs and now.in_step, **msgspec.to_builtins(now)})
    else:
        say(f"{'running' if runs else 'not running'}; {_words(now, runs)}")
        say(f"follows     {now.url}, generation {now.generation}")
        say(f"copy        transaction {now.txid or 'none'} of {now.newest or 'none'}, copied there {_when(now.at_ms)}")
    return 0 if runs and now.in_step else 1


def _words(now: Any, runs: bool) -> str:
    if now.why:
        return str(now.why)
    return ("in step" if runs else "it was in step when it ended") if now.in_step else "behind"


def _when(at_ms: int) -> str:
    from signalcraft.http.wire import time_of

    return time_of(at_ms) if at_ms else "never"


def _follower(data_dir: Path) -> int | None:
    """The process that follows, where one does."""
    from signalcraft.storage.lock import DataLock, Held

    lock = DataLock(data_dir)
    try:
        lock.take("look")
    except Held:
        holder = lock.holder()
        return holder.pid if holder.verb == _VERB else None
    lock.release()
    return None


@standby.command()
@click.option("--from", "url", metavar="URL", help="The replica that it follows. [default: the one it followed]")
@as_json
@where(workspace=False)
def promote(where: Where, url: str | None, as_json: bool) -> int:
    """Make a box of a standby. It is held: it takes alerts and tells nobody until `signalcraft resume`.

    The follower is ended once it holds what the replica holds. The box takes a place of its own at the replica when it
    goes on; the earlier one's is not touched. Stop the earlier box first, where it still runs.

    \b
    Example:
      signalcraft standby promote --data-dir ./data && signalcraft serve --data-dir ./data
    """
    import msgspec

    from signalcraft.main import system_now
    from signalcraft.storage.litestream import standby as kept
    from signalcraft.storage.lock import DataLock

    settings = where.loaded().settings
    data_dir = settings.data.path
    if (data_dir / "signalcraft.db").exists():
        raise Conflict(f"{data_dir / 'signalcraft.db'} is there already: this data directory has a box of its own")
    known = kept.state(data_dir)
    replica = _replica(settings, url or (known.url if known else None))
    follower = _follower(data_dir)
    behind = "no follower ran" if follower is None else kept.caught_up(data_dir, replica)
    lock = DataLock(data_dir)
    if follower is not None:
        os.kill(follower, signal.SIGTERM)
    _take(lock)
    try:
        done = kept.promote(data_dir, replica, system_now(), behind)
    finally:
        lock.release()
    if as_json:
        say_json({**msgspec.to_builtins(done), "master_key": _has_key(settings)})
        return 0
    say(f"promoted: {done.rows} rows of generation {done.generation}, the newest copied {_when(done.at_ms)}")
    if done.behind:
        say(f"it may lack the newest: {done.behind}")
    if not _has_key(settings):
        say(f"the master key is missing: put the earlier box's master.key into {data_dir} before it starts")
    say("it is held: start it (signalcraft serve), see what is owed, and go on with: signalcraft resume")
    return 0


def _take(lock: Any) -> None:
    from signalcraft.storage.lock import Held

    deadline = time.monotonic() + _END_S
    while True:
        try:
            lock.take("standby promote")
        except Held:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return

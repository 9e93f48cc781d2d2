"""`signalcraft keys`: the master key, which everything secret in the database hangs on."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.passphrases import passphrase_file, read_passphrase
from signalcraft.cli.terminal import note, say, say_json, table
from signalcraft.errors import Conflict, Invalid

PATH = "/control/keys"


@click.group()
def keys() -> None:
    """Show, replace, keep and bring back the master key.

    Everything secret in the database is sealed with keys that hang on it. Without it no secret can be read again.

    \b
    Example:
      signalcraft keys show
      signalcraft keys export --output signalcraft-keys.json
    """


@keys.command()
@as_json
@where(workspace=False)
def show(where: Where, as_json: bool) -> None:
    """Show which master key it is and where it comes from, never the key itself.

    \b
    Example:
      signalcraft keys show
    """
    from signalcraft.cli.client import connect

    with connect(where, "keys show") as client:
        one = client.get(PATH)
    if as_json:
        say_json(one)
        return
    rows = [
        ("id", one["id"]),
        ("from", one["file"] or "security.master_key (settings, environment or systemd credential)"),
        ("in use since", one["since"] or "-"),
        ("sealed with it", f"{one['sealed'] - one['behind']} of {one['sealed']}"),
    ]
    if one["coming"]:
        rows.append(("being replaced by", f"{one['coming']}: signalcraft keys rotate goes on with it"))
    if one["damaged"]:
        rows.append(("cannot be opened", ", ".join(one["damaged"])))
    say(table(("MASTER KEY", ""), rows))


@keys.command()
@as_json
@where()
def rotate(where: Where, as_json: bool) -> None:
    """Make a new master key and seal everything with it, while SignalCraft works.

    No webhook is refused meanwhile. Interrupted, it goes on by itself within a minute, or when this is called again.
    Backups made before hang on the earlier key: keep the escrow file that holds it as long as you keep them.

    \b
    Example:
      signalcraft keys export --output signalcraft-keys.json
      signalcraft keys rotate
      signalcraft keys export --output signalcraft-keys.json
    """
    from signalcraft.cli.client import connect

    with connect(where, "keys rotate") as client:
        done = client.post(f"{PATH}/rotate")
        while not done["done"]:
            note("still sealing")
            done = client.post(f"{PATH}/rotate")
    if as_json:
        say_json(done)
        return
    say(f"The master key is {done['id']} now; {done['resealed']} secrets were sealed anew.")
    if done["damaged"]:
        note(f"Could be opened with neither key, and stay as they were: {', '.join(done['damaged'])}. Set them again.")
    note(
        f"Backups made before need the key {done['earlier']}: keep the escrow file that holds it. "
        "Put the new one there too: signalcraft keys export"
    )


@keys.command("export")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", required=True,
    help="The escrow file. One that is there already and opens with the passphrase keeps its earlier keys.",
)  # fmt: skip
@passphrase_file
@where(workspace=False)
def export(where: Where, output: Path, passphrase_file: Path | None) -> None:
    """Write the master key into a file that only a passphrase opens, to be kept somewhere else.

    \b
    Example:
      signalcraft keys export --output signalcraft-keys.json
    """
    import msgspec

    from signalcraft.cli.client import connect
    from signalcraft.storage import escrow, masterkey
    from signalcraft.storage.vault import shown

    passphrase = read_passphrase(passphrase_file, new=True)
    held = _held(output, passphrase) if output.exists() else {}
    with connect(where, "keys export") as client:
        fresh: dict[str, str] = client.post(f"{PATH}/escrow")["keys"]
    kept = {**held, **fresh}
    data = msgspec.json.encode({"current": next(iter(fresh)), "keys": kept})
    try:
        masterkey.write_private(output, escrow.seal("signalcraft master keys", data, passphrase))
    except OSError as fault:
        raise Invalid(f"{output} cannot be written: {fault.strerror}") from None
    note(
        f"{output} holds the keys {', '.join(shown(check) for check in kept)}. Keep it, and the passphrase, elsewhere."
    )


@keys.command("import")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@passphrase_file
@where(workspace=False)
def import_(where: Where, file: Path, passphrase_file: Path | None) -> None:
    """Bring the master key back from an escrow file, into a data directory that has none.

    Takes the key that the database there hangs on; where there is no database yet, the latest one.

    \b
    Example:
      signalcraft keys import signalcraft-keys.json --data-dir /var/lib/signalcraft
    """
    from signalcraft.cli.client import lock_or_socket
    from signalcraft.storage import masterkey
    from signalcraft.storage.vault import KEY_FILE, shown

    passphrase = read_passphrase(passphrase_file, new=False)
    settings = where.loaded().settings
    data_dir = settings.data.path
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = lock_or_socket(data_dir, "keys import")
    if lock is None:
        raise Conflict("SignalCraft runs on this data directory, so its key is there: stop it first")
    try:
        opened = _opened(file, passphrase)
        wanted = masterkey.put_back(data_dir, opened["keys"], opened["current"])
    finally:
        lock.release()
    note(f"The master key {shown(wanted)} is in {data_dir / KEY_FILE}.")
    if settings.security.master_key.reveal():
        note("security.master_key is set: as long as it is, the file is not read.")


def _held(file: Path, passphrase: str) -> dict[str, str]:
    """The keys of an escrow file that is to be written again."""
    from signalcraft.storage.escrow import WrongPassphrase

    try:
        keys = _opened(file, passphrase)["keys"]
    except WrongPassphrase:
        raise Invalid(f"{file} is there already, and this passphrase does not open it: name another file") from None
    return {check: base64.b64encode(key).decode() for check, key in keys.items()}


def _opened(file: Path, passphrase: str) -> dict[str, Any]:
    """`{"current": check, "keys": {check: key}}` of an escrow file. Raises Invalid."""
    import msgspec

    from signalcraft.storage import escrow
    from signalcraft.storage.vault import check_of

    data = msgspec.json.decode(escrow.unseal("signalcraft master keys", escrow.read(file), passphrase))
    keys = {check: base64.b64decode(key) for check, key in data["keys"].items()}
    if any(check_of(key) != check for check, key in keys.items()):
        raise Invalid(f"{file} holds a key that is not the one it is called after")
    return {"current": data["current"], "keys": keys}

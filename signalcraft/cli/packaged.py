"""`unpacked`: what a package's script asks for once its files are on the disk; a person never needs it."""

from __future__ import annotations

import os
import pwd
import secrets
import subprocess
from pathlib import Path

import click

import signalcraft
from signalcraft.cli import upgrading
from signalcraft.cli.migrating import _now
from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import note
from signalcraft.errors import Conflict, Fault, Invalid

CREDENTIAL = "signalcraft-master-key"
STORES = tuple(Path(root) / f"credstore{kind}" for root in ("/etc", "/run", "/usr/lib") for kind in ("", ".encrypted"))
"""Where systemd finds credentials (https://systemd.io/CREDENTIALS/)."""


@click.command(hidden=True)
@click.argument("tree", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="DIR")
@click.option("--owner", default="", metavar="USER", help="Whose the data directory is, where it has to be made.")
@as_json
@where(workspace=False)
def unpacked(where: Where, tree: Path, owner: str, as_json: bool) -> int:
    """Put a program to use that a package has unpacked; the packages' scripts call it.

    The folder becomes a version beside it (versions/VERSION, by hard links: what runs keeps its files over an upgrade),
    its migrations are tried on a copy of the database, the link to the version in use is switched, and a service that
    runs is restarted, and switched back where it does not come up. An older version is gone back to as `rollback` does.
    A new data directory gets its master key.

    \b
    Example:
      signalcraft unpacked /usr/lib/signalcraft/program --owner signalcraft
    """
    from signalcraft.storage import copies, installed

    tree = tree.absolute()
    binary = tree / installed.BINARY
    place = installed.Place(tree.parent)
    was, version = place.current(), installed.version_of(binary)
    if version != signalcraft.__version__:
        raise Invalid(f"{tree} holds version {version}: call the program that lies there")
    if owner:
        _furnished(where, owner)
    older = bool(was) and was != version and installed.order(version) < installed.order(was)
    restarted = False
    if older and place.binary(was).is_file():
        place.add_tree(tree, version, copies.sha256_of(binary), _now())
        _gone_back(where, place.binary(was), place.prefix, version)
    else:
        report = installed.ask(binary, "migrate", "check", "--json", *upgrading._words(where))
        if not report.get("ok"):
            so = f"{was} stays in use" if was else "nothing was changed"
            raise Conflict(f"version {version} cannot migrate this database: {report.get('problem')}; {so}")
        place.add_tree(tree, version, copies.sha256_of(binary), _now())
        place.switch(version)
        restarted = bool(was) and upgrading._restarted(where, place, version, was)
    gone = place.prune()
    runs, before = " and runs" if restarted else "", f"; before it was {was}" if was else ""
    upgrading._say(
        {"version": version, "was": was, "restarted": restarted, "removed": gone},
        f"SignalCraft {version} is installed{runs}{before}.",
        as_json=as_json,
    )
    return 0


def _furnished(where: Where, owner: str) -> None:
    """The data directory, and in a new one the master key: both the owner's alone. Raises Invalid, Fault."""
    from signalcraft.storage import masterkey
    from signalcraft.storage.vault import KEY_BYTES, KEY_FILE

    settings = where.loaded().settings
    folder = settings.data.path
    try:
        account = pwd.getpwnam(owner)
    except KeyError:
        raise Invalid(f"there is no user {owner} on this box", path="--owner") from None
    key = folder / KEY_FILE
    try:
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
            os.chown(folder, account.pw_uid, account.pw_gid)
        if (
            settings.security.master_key.reveal()
            or any((store / CREDENTIAL).exists() for store in STORES)
            or key.exists()
            or (folder / "signalcraft.db").exists()
        ):
            return
        masterkey.write_file(key, secrets.token_bytes(KEY_BYTES))
        os.chown(key, account.pw_uid, account.pw_gid)
    except OSError as problem:
        raise Fault(f"{folder} cannot be furnished: {problem.strerror}") from None
    note(f"The master key was made: {key}. Keep a copy elsewhere (signalcraft keys export).")


def _gone_back(where: Where, newer: Path, prefix: Path, version: str) -> None:
    """The newer program takes the database back to the older one's schema, and switches. Raises Fault with its word."""
    from signalcraft.storage import children

    words = ["rollback", "--to", version, "--prefix", str(prefix), "--yes", "--json", *upgrading._words(where)]
    done = subprocess.run(  # noqa: S603  # the version in use, which root installed
        [str(newer), *words], env=children.environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise Fault(
            f"the way back to {version} failed: {said[-1].removeprefix('signalcraft: ') if said else done.returncode}"
        )

"""`signalcraft apply` and `export`: integrations, channels and rules as one file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.passphrases import passphrase_file, read_passphrase
from signalcraft.cli.terminal import note, say, say_json
from signalcraft.errors import Invalid

_SIGNS = {"create": "+", "update": "~", "delete": "-"}
_READ_MAX = 65_536
SEALED: Final = "signalcraft configuration"


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.option("--prune", is_flag=True, help="Delete what is not in the file; else it is left alone.")
@passphrase_file
@as_json
@where()
def apply(where: Where, file: Path, dry_run: bool, prune: bool, passphrase_file: Path | None, as_json: bool) -> None:
    """Make integrations, channels and rules what a TOML file says.

    FILE may be - for standard input. Names identify. A token or secret that the file leaves out stays as it is; where
    the entry is new, it is made and printed here, once. secret_file = "…" and secret_env = "…" are read here, files
    relative to FILE. For a file of `export --with-secrets` its passphrase is needed.

    \b
    Example:
      signalcraft apply my-alerts.toml --dry-run
      signalcraft apply my-alerts.toml
    """
    from signalcraft.cli.client import connect

    wanted = _resolved(file, passphrase_file)
    with connect(where, "apply") as client:
        body = {"configuration": wanted, "dry_run": dry_run, "prune": prune}
        done = client.post("/api/config/apply", body)
    if as_json:
        say_json(done)
        return
    changed = [step for step in done["steps"] if step["action"] in _SIGNS]
    for step in changed:
        say(f"{_SIGNS[step['action']]} {step['what']} {step['name']}".rstrip())
        if step["action"] == "update":
            for line in step["changes"]:
                say(f"    {line}")
    for made in done["made"]:
        _tell(made)
    kept = len(done["steps"]) - len(changed)
    verb = "would change" if dry_run else "changed"
    say(f"{len(changed)} {verb}, {kept} as they were." if changed else "Nothing to change.")


def _tell(made: dict[str, Any]) -> None:
    say()
    say(f"{made['what']} {made['name']}: shown this once")
    for key in ("webhook_url", "secret"):
        if made.get(key):
            say(f"  {key.replace('_', ' '):<11} {made[key]}")
    say()


def _unsealed(text: str, passphrase_file: Path | None) -> str:
    """What `export --with-secrets` sealed, opened; anything else as it is."""
    from signalcraft.storage import escrow

    if not escrow.is_sealed(text.encode(), SEALED):
        return text
    return escrow.unseal(SEALED, text.encode(), read_passphrase(passphrase_file, new=False)).decode()


def _resolved(file: Path, passphrase_file: Path | None) -> dict[str, Any]:
    """The file's tables with every secret_file and secret_env read. Raises Invalid."""
    import tomllib

    from signalcraft.services.applyfile import resolve

    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
        doc = tomllib.loads(_unsealed(text, passphrase_file))
    except OSError as fault:
        raise Invalid(f"{file} cannot be read: {fault.strerror}") from None
    except ValueError as fault:  # not TOML, or not UTF-8
        raise Invalid(f"{file}: this is not TOML: {fault}") from None
    folder = Path() if str(file) == "-" else file.parent

    return resolve(doc, lambda name: _secret_file(folder / name), _secret_env)


def _secret_file(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_READ_MAX).decode("utf-8")
    except OSError as fault:
        raise Invalid(f"{file} cannot be read: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise Invalid(f"{file} does not hold text") from None


def _secret_env(name: str) -> str:
    from signalcraft.config import environment

    value = environment(name)
    if not value:
        raise Invalid(f"the environment variable {name} is not set")
    return value


@click.command()
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it there.")
@click.option("--with-secrets", is_flag=True, help="Secrets too, in a file that only a passphrase opens.")
@passphrase_file
@where()
def export(where: Where, output: Path | None, with_secrets: bool, passphrase_file: Path | None) -> None:
    """Print integrations, channels and rules as the file that `apply` takes. Secrets are written as "kept".

    --with-secrets writes the secrets themselves and what recognises webhook addresses, sealed with a passphrase:
    applied on another box, senders and channels work on as they are.

    \b
    Example:
      signalcraft export > my-alerts.toml
      signalcraft export --with-secrets --output my-alerts.sealed
    """
    from signalcraft.cli.client import connect

    passphrase = read_passphrase(passphrase_file, new=True) if with_secrets else ""
    with connect(where, "export") as client:
        if with_secrets:
            text = _sealed(client.post("/control/config/export")["toml"], passphrase)
        else:
            text = client.get("/api/config/export")["toml"]
    if output is None:
        say(text.rstrip("\n"))
        return
    from signalcraft.storage import masterkey

    try:
        if with_secrets:
            masterkey.write_private(output, text.encode())
        else:
            output.write_text(text, "utf-8")
    except OSError as fault:
        raise Invalid(f"{output} cannot be written: {fault.strerror}") from None
    note(f"written to {output}")


def _sealed(text: str, passphrase: str) -> str:
    from signalcraft.storage import escrow

    return escrow.seal(SEALED, text.encode(), passphrase).decode()

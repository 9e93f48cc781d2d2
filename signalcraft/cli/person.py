"""`signalcraft person`: what is kept about somebody, told or erased."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import note, say, say_json
from signalcraft.errors import Invalid

PATH = "/control/person"
_also = click.option(
    "--also", multiple=True, metavar="WHO",
    help="Further e-mail address, slack:U… or name:… of the same person. May be given several times.",
)  # fmt: skip


@click.group()
def person() -> None:
    """Tell or erase what is kept about a person (GDPR, articles 15, 17 and 20).

    \b
    Example:
      signalcraft person export sam@example.com --output sam.json
    """


@person.command()
@click.argument("who")
@_also
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it there.")
@where()
def export(where: Where, who: str, also: tuple[str, ...], output: Path | None) -> None:
    """Print everything that is kept about a person as JSON.

    WHO is an e-mail address, or slack:U… for somebody without an account.

    \b
    Example:
      signalcraft person export sam@example.com --also slack:U024BE7LH --output sam.json
    """
    from signalcraft.cli.client import connect

    with connect(where, "person export") as client:
        told = client.post(f"{PATH}/export", {"who": who, "also": list(also)})
    if output is None:
        say_json(told)
        return
    import msgspec

    from signalcraft.storage.masterkey import write_private

    try:
        write_private(output, msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
    except OSError as fault:
        raise Invalid(f"{output} cannot be written: {fault.strerror}") from None
    note(f"written to {output}, readable by you alone")


@person.command()
@click.argument("who")
@_also
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@where()
def erase(where: Where, who: str, also: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Erase a person: their account, and their name and addresses wherever they stand.

    What happened stays, done by an "erased person". This cannot be taken back. What is set up with their name or
    address (a mail channel, a mention in a rule) is listed for you to change.

    \b
    Example:
      signalcraft person erase sam@example.com --also slack:U024BE7LH
    """
    from signalcraft.cli.client import connect

    if not yes:
        if not sys.stdin.isatty():
            raise Invalid("this cannot be taken back: say --yes", path="yes")
        click.confirm(f"Erase {', '.join((who, *also))} for good?", abort=True, err=True)
    body = {"who": who, "also": list(also)}
    with connect(where, "person erase") as client:
        done: dict[str, Any] = client.post(f"{PATH}/erase", body)
        while not done["done"]:
            note("still looking")
            done = client.post(f"{PATH}/erase", body)
    if as_json:
        say_json(done)
        return
    touched = ", ".join(f"{n} in {table}" for table, n in done["rows"].items()) or "no other rows"
    say(f"Erased: {touched}. In the history stands {done['person']}.")
    if done["named"]:
        note(f"Still set up with their name or address: {'; '.join(done['named'])}. Change that now.")
    note("Not within reach: messages already sent, logs until they are rotated, backups until they run out.")

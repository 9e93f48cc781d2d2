"""`signalcraft user`: people, from a terminal on the box: without a browser, or for who has locked themselves out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import note, say, say_json, table
from signalcraft.errors import Fault, Invalid, NotFound

if TYPE_CHECKING:
    from signalcraft.cli.client import Client

PATH = "/api/people"
_ROLES = click.Choice(["owner", "admin", "member", "viewer"])
_password = click.option(
    "--password-stdin", is_flag=True, help="Read a password from standard input, or ask for one on a terminal."
)


@click.group()
def user() -> None:
    """Add, list and change the people who may sign in.

    \b
    Example:
      signalcraft user add sam@example.com --role owner
    """


@user.command()
@click.argument("email")
@click.option("--role", type=_ROLES, default="member", show_default=True, help="What they may do.")
@click.option("--name", help="Their name; the part of the address before the @ by default.")
@_password
@as_json
@where()
def add(where: Where, email: str, role: str, name: str | None, password_stdin: bool, as_json: bool) -> None:
    """Let somebody in: by an invitation link, or at once with a password.

    The link works once and for seven days; give it to the person by a way you trust.

    \b
    Example:
      signalcraft user add sam@example.com --role owner
      signalcraft user add kim@example.com --name Kim --password-stdin < password.txt
    """
    from signalcraft.cli.client import connect

    if not password_stdin:
        with connect(where, "user add") as client:
            made = client.post("/api/invitations", {"email": email, "role": role})
        _tell_link(made, as_json, f"{email} joins as {role} by this link, once, until {made['expires_at']}.")
        return
    password = _read_password()
    body = {"email": email, "name": name or email.partition("@")[0], "role": role, "password": password}
    with connect(where, "user add") as client:
        person = client.post("/control/people", body)
    if as_json:
        say_json(person)
    else:
        note(f"{person['email']} may sign in as {person['role']}.")


@user.command("list")
@as_json
@where()
def list_(where: Where, as_json: bool) -> None:
    """List the people of the workspace.

    \b
    Example:
      signalcraft user list
    """
    from signalcraft.cli.client import connect

    with connect(where, "user list") as client:
        items = client.every(PATH)
    if as_json:
        say_json({"items": items})
        return
    rows = [
        (p["email"], p["name"], p["role"], "yes" if p["second_factor"] else "no", _state(p), p["last_seen_at"] or "-")
        for p in items
    ]
    say(table(("E-MAIL", "NAME", "ROLE", "2ND FACTOR", "STATE", "LAST SEEN"), rows) if rows else "Nobody yet.")


@user.command()
@click.argument("email")
@click.argument("role", type=_ROLES)
@as_json
@where()
def role(where: Where, email: str, role: str, as_json: bool) -> None:
    """Change what a person may do, from their next request on.

    \b
    Example:
      signalcraft user role sam@example.com admin
    """
    from signalcraft.cli.client import connect

    with connect(where, "user role") as client:
        person = client.patch(f"{PATH}/{_found(client, email)['id']}", {"role": role})
    if as_json:
        say_json(person)
    else:
        note(f"{person['email']} is {person['role']} now.")


@user.command("reset-password")
@click.argument("email")
@click.option("--second-factor", is_flag=True, help="Take the second factor away too, for a lost phone.")
@_password
@as_json
@where()
def reset_password(where: Where, email: str, second_factor: bool, password_stdin: bool, as_json: bool) -> None:
    """Give a person a new password: by a link, good once and for a day, or at once.

    A new password ends every session of the person and unlocks the account.

    \b
    Example:
      signalcraft user reset-password sam@example.com
      signalcraft user reset-password sam@example.com --second-factor --password-stdin < password.txt
    """
    from signalcraft.cli.client import connect

    if not password_stdin:
        with connect(where, "user reset-password") as client:
            number = _found(client, email)["id"]
            made = client.post(f"{PATH}/{number}/reset-link", {"second_factor": second_factor})
        _tell_link(made, as_json, f"{email} sets a new password by this link, once, until {made['expires_at']}.")
        return
    password = _read_password()
    with connect(where, "user reset-password") as client:
        number = _found(client, email)["id"]
        client.post(f"/control/people/{number}/password", {"password": password, "second_factor": second_factor})
        person = client.get(f"{PATH}/{number}")
    if as_json:
        say_json(person)
    else:
        note(f"{email} has a new password, and is signed out everywhere.")


@user.command()
@click.argument("email")
@where()
def remove(where: Where, email: str) -> None:
    """Remove a person: they are signed out everywhere at once. The last owner stays.

    \b
    Example:
      signalcraft user remove sam@example.com
    """
    from signalcraft.cli.client import connect

    with connect(where, "user remove") as client:
        client.delete(f"{PATH}/{_found(client, email)['id']}")
    note(f"{email} is removed.")


@user.command()
@click.argument("email")
@where()
def unlock(where: Where, email: str) -> None:
    """Let a person try again who failed to sign in too often.

    \b
    Example:
      signalcraft user unlock sam@example.com
    """
    from signalcraft.cli.client import connect

    with connect(where, "user unlock") as client:
        client.post(f"{PATH}/{_found(client, email)['id']}/unlock")
    note(f"{email} may sign in again.")


def _found(client: Client, email: str) -> dict[str, Any]:
    """The person with this address. Raises NotFound."""
    wanted = email.strip().lower()
    people: list[dict[str, Any]] = client.every(PATH)
    for person in people:
        if person["email"] == wanted:
            return person
    raise NotFound(f"nobody here has the address {email[:100]}: signalcraft user list")


def _read_password() -> str:
    """One line. Raises Invalid for none."""
    if sys.stdin.isatty():
        password = str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    else:
        try:
            password = sys.stdin.readline().rstrip("\r\n")
        except UnicodeDecodeError:
            raise Fault("the password on standard input is not UTF-8") from None
    if not password:
        raise Invalid("a password is needed on standard input", path="password")
    return password


def _tell_link(made: dict[str, Any], as_json: bool, sentence: str) -> None:
    if as_json:
        say_json(made)
        return
    say(made["url"])
    note(sentence)


def _state(person: dict[str, Any]) -> str:
    if person["disabled_at"]:
        return "disabled"
    return f"locked until {person['locked_until']}" if person["locked_until"] else "good"

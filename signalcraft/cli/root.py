"""The tree of commands, and how each of them ends: 0 done, 1 it could not be done, 2 it was asked wrongly."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from signalcraft.cli import (
    archive,
    audit,
    backup,
    digest,
    docs,
    doctor,
    drill,
    faults,
    files,
    keyring,
    keys,
    logs,
    metrics,
    migrating,
    packaged,
    person,
    process,
    restore,
    retention,
    senders,
    setup,
    shows,
    smoke,
    standby,
    upgrading,
    user,
)
from signalcraft.cli.terminal import complain
from signalcraft.errors import BadSetting, Fault, Invalid

WIDTH = 100


class Group(click.Group):
    """A group whose commands stand in the order in which a person meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=Group,
    invoke_without_command=True,
    context_settings={"max_content_width": WIDTH},
)
@click.option("--debug", is_flag=True, help="Show where in the program a failure comes from.")
@click.option("--version", "asked", is_flag=True, help="Show the version, the build, and what it runs on.")
@click.pass_context
def root(ctx: click.Context, debug: bool, asked: bool) -> None:
    """Takes in every alert a team has and tells the right people.

    Each command works beside a running `signalcraft serve` on the same data directory, and without one.

    \b
    Example:
      signalcraft demo
      signalcraft serve --data-dir ./data
    """
    if asked:
        ctx.invoke(shows.version, as_json=False, everything=False)
        ctx.exit()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for _command in (
    process.serve,
    process.demo,
    setup.init,
    setup.check_config,
    user.user,
    keys.apikey,
    keyring.keys,
    person.person,
    files.apply,
    files.export,
    backup.backup,
    restore.restore,
    standby.standby,
    restore.resume,
    drill.drill,
    audit.audit,
    metrics.metrics,
    metrics.query,
    retention.retention,
    archive.archive,
    senders.send,
    process.status,
    doctor.doctor,
    smoke.smoke,
    logs.logs,
    faults.errors,
    digest.digest,
    migrating.migrate,
    upgrading.upgrade,
    upgrading.rollback,
    packaged.unpacked,
    docs.docs,
    shows.openapi,
    shows.licences,
    shows.version,
):
    root.add_command(_command)


def run(args: Sequence[str]) -> int:
    """Runs one command; its exit code. Says why on standard error, in one line a fault.

    Whatever it writes is its owner's alone (umask 077).
    """
    os.umask(0o077)
    try:
        code = root.main(args=list(args), prog_name="signalcraft", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as fault:
        print(fault.message, file=sys.stderr)
        return 2
    except click.UsageError as fault:
        complain(_usage(fault))
        return 2
    except click.ClickException as fault:
        complain(fault.format_message())
        return 1
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted")
        return 1
    except (SystemExit, BrokenPipeError):
        # click ends so (and only so) when our reader has heard enough. Nothing more may go into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Fault as fault:
        if "--debug" in args:
            raise
        complain(explained(fault))
        return 2 if isinstance(fault, BadSetting | Invalid) or fault.status in (400, 422) else 1
    except Exception as fault:
        if "--debug" in args:
            raise
        complain(f"this should not have happened: {type(fault).__name__}: {fault} (signalcraft --debug … says more)")
        return 1


def _usage(fault: click.UsageError) -> str:
    command = fault.ctx.command_path.removeprefix("signalcraft").strip() if fault.ctx else ""
    sentence = " ".join(fault.format_message().split())
    return f"{sentence} See signalcraft {f'{command} ' if command else ''}--help."


def explained(fault: Fault) -> str:
    """A fault for a terminal: one line that names the field, or one for each field where several are wrong."""
    said = [_line(path, message) for path, message in fault.errors]
    messages = [message for _, message in fault.errors]
    if fault.detail in ("\n".join(messages), *messages):
        return "\n".join(said)
    if len(said) == 1:
        path, message = fault.errors[0]
        return _line(path, fault.detail) if message in fault.detail else f"{fault.detail}: {said[0]}"
    return "\n".join([fault.detail, *said])


def _line(path: str, message: str) -> str:
    return f"{path}: {message}" if path and path not in message else message

"""docs/reference/cli.md: every command's own help, so that page and program cannot disagree."""

from __future__ import annotations

from collections.abc import Iterator

import click

from signalcraft.cli.root import WIDTH, root

_HEAD = """\
# Commands

This page is generated from the program (`make gen`): it is what `signalcraft … --help` prints.

Every command works beside a running `signalcraft serve`: it finds the process by the data directory and speaks to it
over `control.sock` there, which only its owner can open. Where none runs, the command takes the lock of the directory
and does its work itself. Either way the effect is there for the next request.

Which data directory: `--data-dir`, else the setting `data.dir` (see [configuration](configuration.md)). Which
workspace: `--workspace`, else `default`.

| exit code | means |
|---|---|
| 0 | done |
| 1 | it could not be done, or the answer is no (`status`: not running or not well; `migrate check`: not up to date) |
| 2 | asked wrongly: an unknown option, a setting or a file that cannot be used |

A result goes to standard output, everything else to standard error, a failure as one line a fault.
`signalcraft --debug …` shows where in the program a failure comes from. `--json` prints one JSON document.

## How the demo counts

`signalcraft demo` ends its week with `N events → G groups → M notifications (P % less noise)`. N is the webhooks that
were accepted, G the alert groups they became. M is the posts that make a phone ring: a group's first message, a repeat,
an escalation, a resolution. Edits of a message are silent and not among them. P is 100 × (1 − M / N).
"""


def page() -> str:
    """The whole page."""
    out = [_HEAD]
    for name, command in _commands(root, "signalcraft"):
        context = click.Context(command, info_name=name, max_content_width=WIDTH, terminal_width=WIDTH)
        out.append(f"## {name}\n\n```text\n{command.get_help(context).rstrip()}\n```\n")
    return "\n".join(out)


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for short, inner in command.commands.items():
            yield from _commands(inner, f"{name} {short}")

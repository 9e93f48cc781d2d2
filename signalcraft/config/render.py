"""What is drawn from the model: the sample file and the reference page."""

from __future__ import annotations

import textwrap
from inspect import cleandoc

from signalcraft.config.fields import Field, fields, sections
from signalcraft.config.forms import FORMS
from signalcraft.config.loading import show
from signalcraft.config.profiles import PROFILES

_SAMPLE_HEAD = """\
# SignalCraft's settings. This file is generated from the program (`make gen`): every line is a comment that shows the
# default. Take the # away from what you want to change. `signalcraft check-config` says whether all is well.
#
# An environment variable wins over this file: SIGNALCRAFT_<SECTION>__<KEY>, for example
# SIGNALCRAFT_HTTP__LISTEN=0.0.0.0:8080. Integrations, channels and rules are not here: see `signalcraft apply`.
"""

_PAGE_HEAD = """\
# Configuration

This page is generated from the program (`make gen`).

SignalCraft starts without any setting. What you do set comes from these places; a later one wins:

1. the defaults below;
2. one TOML file: `--config FILE`, else `$SIGNALCRAFT_CONFIG`, else `/etc/signalcraft/signalcraft.toml` where it exists
   ([a sample](../../config/signalcraft.toml) with every line commented out);
3. the environment: `SIGNALCRAFT_<SECTION>__<KEY>`; lists are parted by commas;
4. for secrets, a file: `<key>_file` in the TOML file, `SIGNALCRAFT_<SECTION>__<KEY>_FILE`, or a systemd credential;
5. options of the command line (`--listen`, `--data-dir`).

An unknown name in the file, or an unknown variable that starts with `SIGNALCRAFT_`, stops the start and is told with
the nearest name that exists. So does a value that is not allowed. `signalcraft check-config` reads everything and
starts nothing.

Integrations, channels and routing rules are no settings: they live in the database, and `signalcraft apply` reads them
from a file.
"""

_PROFILES_HEAD = """\
## Profiles

A profile chooses other defaults; what is set by hand wins over it. `development` has no limits and works on loopback
alone."""


def sample() -> str:
    """config/signalcraft.toml: every setting as a commented default with its description."""
    out = [_SAMPLE_HEAD, *map(_line, _own(""))]
    for path, section in sections().items():
        own = _own(path)
        out.append(f"\n# {'-' * (118 - len(path))} {path}")
        out.append(_comment(cleandoc(section.__doc__ or "")))
        out.append(f"# [{path}]\n")
        for f in own:
            out.append(_line(f))
    return "\n".join(out).rstrip("\n") + "\n"


def reference() -> str:
    """docs/reference/configuration.md: every setting with its default, what is allowed and its variable."""
    head = "| setting | default | allowed | what it is for |\n|---|---|---|---|"
    out = [_PAGE_HEAD, head, *map(_row, _own("")), f"\n{_PROFILES_HEAD}\n\n{_profiles()}\n"]
    for path, section in sections().items():
        out.append(f"## [{path}]\n\n{cleandoc(section.__doc__ or '')}\n")
        if _own(path):
            out.append(head)
            out.extend(_row(f) for f in _own(path))
            out.append("")
    return "\n".join(out).rstrip("\n") + "\n"


def _line(f: Field) -> str:
    return f"{_comment(f.meta.description or '')}\n# {f.path.rpartition('.')[2]} = {show(f.default)}\n"


def _profiles() -> str:
    names = [name for name in PROFILES if name != "production"]
    paths = list(dict.fromkeys(path for name in names for path in PROFILES[name]))
    rows = [
        f"| `{path}` | {' | '.join(str(values.get(path, fields()[path].default)) for values in PROFILES.values())} |"
        for path in paths
    ]
    return "\n".join([f"| setting | {' | '.join(PROFILES)} |", "|---|" + "---|" * len(PROFILES), *rows])


def _own(section: str) -> list[Field]:
    return [f for f in fields().values() if f.path.rpartition(".")[0] == section]


def _comment(text: str) -> str:
    return textwrap.fill(text, 118, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _row(f: Field) -> str:
    name = f.path.rpartition(".")[2]
    cells = (f"`{name}`<br>`{f.env}`", f"`{show(f.default)}`", _allowed(f), f.meta.description or "")
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _allowed(f: Field) -> str:
    if f.form is None:
        return f.allowed()
    try:
        FORMS[f.form]("\n")
    except ValueError as fault:
        return str(fault)
    return f.allowed()

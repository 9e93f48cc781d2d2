"""Draws the page of every source and channel from its own words; `python -m tests.house.pages` writes them."""

from __future__ import annotations

import sys
from inspect import cleandoc, getdoc
from types import ModuleType
from typing import Any

import msgspec

from signalcraft.channels import CHANNELS
from signalcraft.sources import SOURCES
from tests.house.tree import ROOT

_SOURCE = """\
# {label}

This page is generated from the program (`make gen`).

{about}

* kind: `{kind}`
* its webhooks arrive at `POST /webhooks/{kind}/<token>`
* two integrations of this kind {scope}

## Settings of an integration

{config}
{table}"""

_CHANNEL = """\
# {label}

This page is generated from the program (`make gen`).

{about}

* kind: `{kind}`
* a message that was posted {edits}

## Settings of a channel

{config}
{table}"""

_SCOPES = {
    "kind": "may speak of the same problem: they share its alert group",
    "integration": "never speak of the same problem: each has its own alert groups",
}
_EDITS = {True: "is edited as its alert group changes", False: "cannot be edited: changes that matter are new messages"}


def all_pages() -> dict[str, str]:
    """The text of every page under its path in the repository."""
    out = {}
    for kind, source in SOURCES.items():
        out[f"docs/reference/sources/{kind}.md"] = _SOURCE.format(scope=_SCOPES[source.SCOPE], **_about(source))
    for kind, channel in CHANNELS.items():
        out[f"docs/reference/channels/{kind}.md"] = _CHANNEL.format(edits=_EDITS[channel.EDITS], **_about(channel))
    return out


def _about(plug_in: Any) -> dict[str, str]:
    module: ModuleType = plug_in
    return {
        "label": plug_in.LABEL,
        "kind": plug_in.KIND,
        "about": cleandoc(module.__doc__ or ""),
        "config": cleandoc(getdoc(plug_in.Config) or ""),
        "table": _table(plug_in.Config),
    }


def _table(config: type[msgspec.Struct]) -> str:
    rows = ["| setting | default | what it is |", "|---|---|---|"]
    drawn = msgspec.json.schema(config)
    properties = drawn["$defs"][config.__name__]["properties"]
    for field in msgspec.structs.fields(config):
        told = properties[field.name]
        extra = _extra(config, field.name)
        if extra.get("operator"):
            continue
        default = "needed" if field.required else f"`{msgspec.json.encode(_default(field)).decode()}`"
        secret = "Kept in the vault, never shown again. " if extra.get("secret") else ""
        rows.append(f"| `{field.name}` | {default} | {secret}{told.get('description', '')} |".replace("  |", " |"))
    return "\n" + "\n".join(rows) + "\n"


def _extra(config: type[msgspec.Struct], name: str) -> dict[str, Any]:
    info = msgspec.inspect.type_info(config)
    (field,) = [f for f in info.fields if f.name == name]  # type: ignore[attr-defined]
    return getattr(field.type, "extra", None) or {}


def _default(field: Any) -> Any:
    return field.default_factory() if field.default is msgspec.NODEFAULT else field.default


def main() -> None:
    """Writes every page, and removes those whose plug-in is gone."""
    pages = all_pages()
    for folder in ("docs/reference/sources", "docs/reference/channels"):
        (ROOT / folder).mkdir(parents=True, exist_ok=True)
        for path in (ROOT / folder).glob("*.md"):
            if str(path.relative_to(ROOT)) not in pages:
                path.unlink()
    for name, text in pages.items():
        (ROOT / name).write_text(text, "utf-8")
    sys.stdout.write(f"{len(pages)} pages of sources and channels\n")


if __name__ == "__main__":
    main()

"""The workspace: which channels hear what no rule routes, and which one stands in for a broken one."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from signalcraft.errors import Invalid
from signalcraft.services.configure.edit import Edit, channel_ids, difference
from signalcraft.storage import channels
from signalcraft.storage import workspaces as store
from signalcraft.storage.db import Tx


class Draft(Struct, kw_only=True):
    """What a person wrote; UNSET where they wrote nothing. Channels by name or id; "" and null: no fallback."""

    default_channels: list[str] | UnsetType = UNSET
    fallback_channel: str | UnsetType | None = UNSET


class Seen(Struct, frozen=True, kw_only=True):
    """The workspace as it is shown: channels by name."""

    name: str
    default_channels: list[str]
    fallback_channel: str | None


def update(edit: Edit, draft: Draft) -> list[str]:
    """Changes the workspace; what changed, a line each. Raises Invalid for unknown channels."""
    present = store.get(edit.tx, edit.workspace_id)
    defaults, fallback = present.default_channels, present.fallback_channel
    chosen = present.chosen
    if draft.default_channels is not UNSET:
        chosen = True
        defaults = tuple(channel_ids(edit.tx, edit.workspace_id, draft.default_channels, "default_channels"))
    if draft.fallback_channel is not UNSET:
        fallback = None
        if draft.fallback_channel:
            try:
                fallback = channel_ids(edit.tx, edit.workspace_id, [draft.fallback_channel], "fallback_channel")[0]
            except Invalid as problem:
                raise Invalid(problem.detail, path="fallback_channel") from None
    before = seen(edit.tx, edit.workspace_id)
    store.set_channels(edit.tx, edit.workspace_id, defaults, fallback, chosen=chosen)
    after = seen(edit.tx, edit.workspace_id)
    changes = difference(_shown(before), _shown(after))
    if changes:
        edit.note("workspace.updated", edit.workspace_id, present.name, before=_shown(before), after=_shown(after))
    return changes


def seen(reader: Tx, workspace_id: int) -> Seen:
    """The workspace as it is shown."""
    held = store.get(reader, workspace_id)
    names = {channel.id: channel.name for channel in channels.every(reader, workspace_id)}
    fallback = None if held.fallback_channel is None else names.get(held.fallback_channel)
    return Seen(
        name=held.name,
        default_channels=[names[i] for i in held.default_channels if i in names],
        fallback_channel=fallback,
    )


def _shown(held: Seen) -> dict[str, object]:
    return {"default_channels": held.default_channels, "fallback_channel": held.fallback_channel}

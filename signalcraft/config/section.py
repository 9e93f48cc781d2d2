"""What every section of the settings is made of."""

from __future__ import annotations

from typing import Any

from msgspec import Meta, Struct


def says(
    description: str,
    *,
    form: str | None = None,
    credential: str | None = None,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
) -> Meta:
    """What a setting is for and what it may be. `form`: one of `forms.FORMS`; `credential`: what systemd calls it."""
    limits: dict[str, Any] = {"ge": ge, "gt": gt, "le": le}
    return Meta(description=description, extra={"form": form, "credential": credential}, **limits)


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the file."""

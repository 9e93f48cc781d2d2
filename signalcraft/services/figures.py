"""Figures that parts of the appliance give to /metrics without knowing of it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Figure(Struct, frozen=True):
    """One sample. `name`: as Prometheus shall see it, a counter's without `_total`; base units (seconds, bytes).

    Figures of one name have one `what` (a sentence), one `kind` and the same label names.
    """

    name: str
    what: str
    value: float
    kind: Literal["gauge", "counter"] = "gauge"
    labels: tuple[tuple[str, str], ...] = ()

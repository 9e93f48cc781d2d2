"""What became of a work, for whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from signalcraft.storage.trouble import told


def name_of(work: Callable[..., Any]) -> str:
    """A work as the log names it."""
    work = getattr(work, "func", work)  # of a partial
    return f"{work.__module__}.{getattr(work, '__qualname__', type(work).__name__)}"


def settle(results: list[tuple[Any, Any, BaseException | None]]) -> None:
    """Answers those who wait, on their loop. `results`: (what has a future, its answer, its fault)."""
    for item, value, problem in results:
        if item.future.done():
            continue
        if problem is not None:
            item.future.set_exception(told(problem))
        else:
            item.future.set_result(value)

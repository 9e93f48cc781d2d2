"""Apps of worlds that ended, for worlds that begin: two hundred routes are half of what a start costs.

Nothing of a house stays in an app (`furnished` in signalcraft/http/app.py). A test that changes the list of routes gets
an app of its own.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

from litestar.openapi import OpenAPIConfig

import signalcraft.http.app as real
from signalcraft.http.app import App

_REAL: Final[Callable[..., App]] = real.build
_lock = threading.Lock()
_spare: Final[defaultdict[Any, list[App]]] = defaultdict(list)
_made_of: Final[dict[int, tuple[Any, Sequence[Any]]]] = {}


def build(handlers: Sequence[Any], body_bytes_max: int, *, document: OpenAPIConfig | None = None) -> App:
    """One that is spare, or a new one."""
    if document is not None:
        return _REAL(handlers, body_bytes_max, document=document)
    key = (tuple(id(one) for one in handlers), body_bytes_max)
    with _lock:
        if _spare[key]:
            return _spare[key].pop()
    app = _REAL(handlers, body_bytes_max)
    _made_of[id(app)] = (key, handlers)  # the handlers live as long as their ids are spoken of
    return app


def give_back(app: App) -> None:
    """It serves nobody any more."""
    with _lock:
        _spare[_made_of[id(app)][0]].append(app)


real.build = build

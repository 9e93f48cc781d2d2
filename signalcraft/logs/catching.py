"""What goes wrong inside the program, caught from the log: every line from `error` on, alike ones counted together."""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Callable
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final

from msgspec import Struct

import signalcraft
from signalcraft import logs

_KINDS_MAX: Final = 200
_TRACE_MAX: Final = 8000
_MESSAGE_MAX: Final = 500
_FRAMES: Final = 8
_HOME: Final = PurePath(signalcraft.__file__).parent
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class Caught(Struct, kw_only=True):
    """So many alike. `place`: the innermost of our functions. `message` and `trace` are of the first one, masked."""

    fingerprint: bytes
    kind: str
    logger: str
    place: str
    level: str
    message: str
    trace: str
    request_id: str
    n: int = 1


class Catcher(logging.Handler):
    """Gathers until somebody takes. `tell`, where it is set, is called for each error with its exception."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.tell: Callable[[Caught, ExcInfo | None], None] | None = None
        self._caught: dict[bytes, Caught] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Counts one. Never raises, never logs."""
        try:
            self._count(record)
        except Exception:  # an error about an error would have no end
            return

    def _count(self, record: logging.LogRecord) -> None:
        info: Any = record.exc_info if record.exc_info and record.exc_info[0] is not None else None
        fingerprint, place = _known_by(record, info)
        known = self._caught.get(fingerprint)
        request = getattr(record, "request_id", "") or logs.request_id.get()
        if known is not None:
            known.n += 1
            known.request_id = request
        elif len(self._caught) < _KINDS_MAX:
            known = self._caught[fingerprint] = _described(record, info, fingerprint, place, request)
        if self.tell is not None and known is not None:
            self.tell(known, info)

    def take(self) -> list[Caught]:
        """What gathered since the last time."""
        self.acquire()
        try:
            caught, self._caught = list(self._caught.values()), {}
        finally:
            self.release()
        return caught

    def put_back(self, caught: list[Caught]) -> None:
        """What could not be written down is kept for the next time."""
        self.acquire()
        try:
            for one in caught:
                later = self._caught.get(one.fingerprint)
                if later is not None:
                    later.n += one.n
                elif len(self._caught) < _KINDS_MAX:
                    self._caught[one.fingerprint] = one
        finally:
            self.release()


def _known_by(record: logging.LogRecord, info: ExcInfo | None) -> tuple[bytes, str]:
    """What makes two errors alike: where and what, never the values in them; and the place."""
    place = f"{record.name}:{record.lineno}"
    parts = [record.name, str(record.msg)]
    if info is not None:
        every = traceback.extract_tb(info[2])
        frames = [frame for frame in every if _ours(frame.filename)]
        parts = [record.name, f"{info[0].__module__}.{info[0].__qualname__}"]
        parts += [f"{PurePath(frame.filename).stem}.{frame.name}" for frame in (frames or every)[-_FRAMES:]]
        if frames:
            place = f"{_module(frames[-1].filename)}.{frames[-1].name}:{frames[-1].lineno}"
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=16).digest(), place


def _ours(filename: str) -> bool:
    """By the folder, not by its name alone: libraries may lie in /opt/signalcraft too. Frozen code has no folder."""
    return PurePath(filename).is_relative_to(_HOME) or filename.startswith(f"{_HOME.name}/")


def _module(filename: str) -> str:
    path = PurePath(filename).with_suffix("")
    inside = path.relative_to(_HOME) if path.is_relative_to(_HOME) else path.relative_to(_HOME.name)
    return ".".join(inside.parts)


def _described(record: logging.LogRecord, info: ExcInfo | None, fingerprint: bytes, place: str, request: str) -> Caught:
    said = record.getMessage()
    kind, trace = "", ""
    if info is not None:
        kind = info[0].__qualname__
        said = f"{said}: {info[1]}" if str(info[1]) else said
        trace = "".join(traceback.format_exception(*info))
    return Caught(
        fingerprint=fingerprint,
        kind=kind or record.levelname.lower(),
        logger=record.name,
        place=place,
        level=record.levelname.lower(),
        message=logs.redact(said)[:_MESSAGE_MAX],
        trace=logs.redact(trace)[-_TRACE_MAX:],
        request_id=request,
    )

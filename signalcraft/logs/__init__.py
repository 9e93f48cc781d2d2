"""Log lines: one JSON object each, or text for people; with its request, and never with a secret in it.

`setup` is called once, by whoever starts the program. Everybody else uses `logging.getLogger(__name__)` with fields in
`extra`: `log.info("delivered", extra={"delivery_id": …})`. The two things that callers use are `request_id` (set by the
web edge and by jobs; it follows tasks by itself and threads by `carry`) and `redact.add` (for every secret once known).
"""

from __future__ import annotations

import contextvars
import json
import logging
import math
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TextIO, TypeVar
from urllib.parse import quote

from signalcraft.config.model import Log
from signalcraft.config.secret import MASK
from signalcraft.logs.files import DailyFile

P = ParamSpec("P")
R = TypeVar("R")

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")
"""The request or job that the present work belongs to; "" for none."""

about: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("about", default=None)
"""Fields of every line of the present request: who asks, in which workspace. The dict is the request's own."""

_SECRET_LENGTH_MIN = 6  # a shorter word masked everywhere would hide the log, not the secret
_DEPTH_MAX = 6
_BETWEEN = "\x1e"  # counts as white space in a pattern, and no pattern but white space itself crosses it
_TAMED = ("httpx", "httpcore", "_granian", "granian", "huey", "websockets", "aiosmtplib", "asyncio", "litestar")
_NAMES = r"(?:\w*_)?(?:token|secret|password|passwd|api[_-]?key|master_key)"
_HEADERS = r"(?:authorization|cookie)"
_SHAPES = tuple(
    (hints.split(), re.compile(pattern, re.IGNORECASE))
    for hints, pattern in (
        # Words of which a text must hold one (a quick look); what is masked, but for a first group, which stays.
        ("xox xapp-", r"\b(?:xox[a-z]|xapp)-[\w.-]{6,}"),  # Slack's tokens
        ("whsec_", r"\bwhsec_[\w+/=-]{6,}"),  # Standard Webhooks' secrets
        ("/webhooks/", r"(/webhooks/(?!slack/actions)[\w-]+/)[^/\s?\"'\\]+"),  # what authenticates a sender
        ("/services/", r"(/services/)T\w+/B\w+/\w+"),  # Slack's incoming webhooks
        ("bearer", r"\b(bearer[ +])[\w.~+/=-]{8,}"),  # the value of an Authorization header
        ("basic token geniekey", r"\b((?:basic|token|geniekey)[ +])(?=[\w.~+/=-]{0,99}\d)[\w.~+/=-]{8,}"),
        # A header's whole value, several words too, behind its scheme and up to the quote or the line's end.
        ("authorization cookie", rf"""(\b{_HEADERS}\\?["']?[=:] ?+\\?+["']?+(?:\w+ )?+)[^"'\\\r\n]{{6,}}"""),
        (": =", rf"""(\b{_NAMES}\\?["']?[=:] ?\\?["']?)[^\s"'\\&,;)}}\]]{{6,}}"""),
        ("://", r"(://[^/\s:@\"']*:)[^/\s@\"']+(?=@)"),  # the password in an address
        ("aq", r"\bAQ[A-P][\w-]{53}(?![\w-])"),  # the token of an acknowledge link (domain/links.py)
        (
            "private key",
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?!-----END)[\w+/=\\:, \r\n-])*(?:-----END[A-Z -]*)?",
        ),
    )
)
_HIDING = re.compile(rf"(?:[\w-]*[_-])?(?:{_NAMES}|{_HEADERS})", re.IGNORECASE)
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request_id"}


class Redactor:
    """Masks what must not be read: the secrets it was told of, and what looks like one. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spellings: tuple[str, ...] = ()

    def add(self, *values: str) -> None:
        """From now on these texts are masked, in each way that a line may spell them. Very short ones are left."""
        with self._lock:
            spellings = set(self._spellings)
            for value in values:
                if len(value) >= _SECRET_LENGTH_MIN:
                    in_json = json.dumps(value)[1:-1]
                    plain = json.dumps(value, ensure_ascii=False)[1:-1]
                    spellings |= {value, in_json, plain, repr(value)[1:-1], quote(value), quote(value, safe="")}
            self._spellings = tuple(sorted(spellings, key=lambda spelling: (-len(spelling), spelling)))

    def __call__(self, text: str) -> str:
        """The text with every secret masked; where two finds overlap, both as one: the rest of neither is left."""
        spans = [*self._known(text), *_looking_secret(text)]
        if not spans:
            return text
        parts, upto = [], 0
        for start, end in sorted(spans):
            if start >= upto:
                parts += [text[upto:start], MASK]
            upto = max(upto, end)
        return "".join((*parts, text[upto:]))

    def _known(self, text: str) -> Iterator[tuple[int, int]]:
        """Where a secret stands that was told of."""
        for spelling in self._spellings:
            at = text.find(spelling)
            while at >= 0:
                yield at, at + len(spelling)
                at = text.find(spelling, at + len(spelling))


def _looking_secret(text: str) -> Iterator[tuple[int, int]]:
    """Where something stands that looks like a secret."""
    low = text.lower()
    for hints, shape in _SHAPES:
        if any(hint in low for hint in hints):
            for found in shape.finditer(text):
                yield found.end(1) if shape.groups else found.start(), found.end()


redact = Redactor()
"""The one redactor that every line passes. Whoever learns a secret (a token, a key, a password) adds it here."""


def carry(work: Callable[P, R]) -> Callable[P, R]:
    """The same work for another thread, where it keeps the request id (and every context variable) of here and now."""
    context = contextvars.copy_context()

    def carried(*args: P.args, **kwargs: P.kwargs) -> R:
        return context.copy().run(work, *args, **kwargs)

    return carried


def tell(**fields: Any) -> None:
    """Adds fields to every further line of the present request; does nothing outside of one."""
    context = about.get()
    if context is not None:
        context |= fields


@contextmanager
def within(request: str) -> Iterator[None]:
    """What is logged inside belongs to this request or job."""
    token = request_id.set(request)
    try:
        yield
    finally:
        request_id.reset(token)


class JsonLines(logging.Formatter):
    """{"timestamp", "level", "logger", "message", "request_id"?, …extra fields, "exception"?} on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object without a line break."""
        message, trace, extra = _said(record)
        out = {
            "timestamp": _rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        out |= {name if name not in out else f"{name}_": value for name, value in extra.items()}
        return _ENCODE(out | {"exception": trace} if trace else out)


class TextLines(logging.Formatter):
    """`10:00:00.123 INFO    services.ingest: accepted  events=2`, a traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the lines of a traceback."""
        message, trace, extra = _said(record)
        fields = "".join(f" {name}={_word(value)}" for name, value in extra.items())
        head = f"{_rfc3339(record.created)[11:-1]} {record.levelname:<7} {record.name.removeprefix('signalcraft.')}"
        # What somebody else wrote must not look like a line of ours.
        message = message.replace("\r", "\\r").replace("\n", "\n    ")
        return "\n".join(filter(None, (f"{head}: {message}{' ' if fields else ''}{fields}", trace)))


def _said(record: logging.LogRecord) -> tuple[str, str, dict[str, Any]]:
    """Message, traceback and fields of a record, masked in one pass over all texts: masking is the dear part."""
    extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    request = getattr(record, "request_id", "") or request_id.get()
    context = about.get()
    if context:
        extra = {**context, **extra}
    if request:
        extra = {"request_id": request, **extra}
    plain = _plain([record.getMessage(), _trace(record), extra])
    texts: list[str] = []
    _texts(plain, texts)
    masked = redact(_BETWEEN.join(texts)).split(_BETWEEN)
    if len(masked) != len(texts):  # a text held the mark itself
        masked = [redact(text) for text in texts]
    message, trace, fields = _put_back(plain, iter(masked))
    return message, trace, fields


def _trace(record: logging.LogRecord) -> str:
    formatter = logging.Formatter()
    trace = formatter.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""
    stack = formatter.formatStack(record.stack_info) if record.stack_info else ""
    return "\n".join(filter(None, (trace, stack)))


def _plain(value: Any, name: str = "", depth: int = 0) -> Any:
    """The value as JSON has it; what has no JSON form as its text; a field that is named like a secret masked whole."""
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, dict) and depth < _DEPTH_MAX:
        return {_text(str(key)): _plain(item, str(key), depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEPTH_MAX:
        return [_plain(item, name, depth + 1) for item in value]
    text = _text(value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value))
    return MASK if text and _HIDING.fullmatch(name) else text


def _texts(plain: Any, found: list[str]) -> None:
    if isinstance(plain, str):
        found.append(plain)
    elif isinstance(plain, list):
        for item in plain:
            _texts(item, found)
    elif isinstance(plain, dict):
        for key, item in plain.items():
            found.append(key)
            _texts(item, found)


def _put_back(plain: Any, masked: Iterator[str]) -> Any:
    if isinstance(plain, str):
        return next(masked)
    if isinstance(plain, list):
        return [_put_back(item, masked) for item in plain]
    if isinstance(plain, dict):
        return {next(masked): _put_back(item, masked) for item in plain.values()}
    return plain


def _text(text: str) -> str:
    # A lone surrogate cannot be written as UTF-8.
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _word(value: Any) -> str:
    if isinstance(value, str) and value and not re.search(r"[\s=\"]", value):
        return value
    return _ENCODE(value)


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:
        # The library's own way prints the arguments of a bad call as they are, secrets too.
        try:
            self.stream.write(f"a log line of {record.name}, line {record.lineno}, could not be written\n")
        except OSError:
            return


def setup(settings: Log, stream: TextIO | None = None) -> None:
    """Sends every log line to standard error (or `stream`), as the settings ask, and into files where they name one.

    Replaces what was set before. What no code caught ends in the log too, so that no traceback leaves unmasked.
    Raises BadSetting where the file cannot be written.
    """
    stream = stream or sys.stderr
    as_json = settings.format == "json" or (settings.format == "auto" and not stream.isatty())
    handler = _Handler(stream)
    handler.setFormatter(JsonLines() if as_json else TextLines())
    root = logging.getLogger()
    files = _files(settings)
    for old in root.handlers[:]:
        root.removeHandler(old)
        if isinstance(old, DailyFile):
            old.close()
    for each in (handler, *files):
        root.addHandler(each)
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    root.setLevel(level)
    for name in _TAMED:
        # They tell of every request, with its whole address, at info.
        other = logging.getLogger(name)
        other.setLevel(max(level, logging.WARNING))
        other.handlers.clear()
        other.propagate = True
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def _files(settings: Log) -> list[DailyFile]:
    """The file and the one for errors alone beside it: `signalcraft.log` and `signalcraft.error.log`."""
    if not settings.file:
        return []
    path = Path(settings.file)
    errors = path.with_name(f"{path.stem}.error{path.suffix}")
    files = [DailyFile(each, settings.file_days, settings.file_mb * 1_000_000) for each in (path, errors)]
    for each in files:
        # One line a record, whatever stands in it: text only where it was asked for.
        each.setFormatter(TextLines() if settings.format == "text" else JsonLines())
        each.open()
    files[1].setLevel(logging.ERROR)
    return files


def flush() -> None:
    """Writes out what a handler still holds."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def _uncaught(kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("signalcraft").critical("the program ends by an error", exc_info=(kind, fault, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        name = args.thread.name if args.thread else "?"
        logging.getLogger("signalcraft").critical(
            "a thread ended by an error",
            extra={"thread_name": name},
            exc_info=(args.exc_type, args.exc_value, args.exc_traceback),
        )

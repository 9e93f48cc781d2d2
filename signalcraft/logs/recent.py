"""The latest warnings and errors, kept in memory so that a person who may can read them without a shell on the box."""

from __future__ import annotations

import json
import logging
from collections import deque
from typing import Any, Final, NamedTuple

from signalcraft import logs

KEPT: Final = 200


class Line(NamedTuple):
    """One line as the log file has it, secrets masked. `fields`: whatever else it says."""

    timestamp: str
    level: str
    logger: str
    message: str
    request_id: str
    fields: dict[str, Any]


class Recent(logging.Handler):
    """Remembers the last KEPT records from `warning` on."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: deque[Line] = deque(maxlen=KEPT)
        self.setFormatter(logs.JsonLines())

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps one; whatever goes wrong, the caller does not notice."""
        try:
            fields = json.loads(self.format(record))
            timestamp, level, logger, message, request = (str(fields.pop(name, "")) for name in Line._fields[:5])
            fields.pop("exception", None)  # the page of errors has it
            self._lines.append(Line(timestamp, level, logger, message, request, fields))
        except Exception:
            self.handleError(record)

    def lines(self) -> list[Line]:
        """The latest first."""
        return list(self._lines)[::-1]

"""Own errors for an error tracker that speaks Sentry's protocol: sentry-sdk, loaded only where a DSN is set.

Nothing but the error itself leaves: no body, header, cookie or variable, no name of the machine, and every text has
passed the redactor.
"""

from __future__ import annotations

import time
from typing import Any, Final, cast

from signalcraft import logs
from signalcraft.errors import BadSetting
from signalcraft.logs.catching import Caught, ExcInfo

_PER_MINUTE: Final = 60
_ALLOWED: Final = frozenset(
    {"event_id", "timestamp", "level", "logger", "exception", "logentry", "tags", "fingerprint", "release",
     "environment", "platform", "sdk"}
)  # fmt: skip
_FRAME: Final = frozenset({"filename", "module", "function", "lineno", "in_app"})


class Reports:
    """Tells an error tracker; `close` when the program ends. Raises BadSetting for a DSN that is none."""

    def __init__(self, dsn: str, release: str, environment: str, ca_file: str = "") -> None:
        import sentry_sdk
        from sentry_sdk.utils import BadDsn

        self._minute = 0
        self._told = 0
        self.dropped = 0
        logs.redact.add(dsn)
        try:
            self._client = sentry_sdk.Client(
                dsn=dsn,
                release=f"signalcraft@{release}",
                environment=environment,
                server_name="",
                default_integrations=False,
                auto_enabling_integrations=False,
                include_local_variables=False,
                include_source_context=False,
                max_request_body_size="never",
                max_breadcrumbs=0,
                auto_session_tracking=False,
                send_client_reports=False,
                enable_backpressure_handling=False,
                ca_certs=ca_file or None,
                shutdown_timeout=2,
                before_send=cast(Any, scrubbed),
            )
        except BadDsn:
            raise BadSetting("this is no DSN: https://KEY@HOST/PROJECT", path="errors.sentry_dsn") from None

    def tell(self, caught: Caught, info: ExcInfo | None) -> None:
        """Queues one error; sent from a thread of its own. At most 60 a minute."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._told = minute, 0
        self._told += 1
        if self._told > _PER_MINUTE:
            self.dropped += 1
            return
        self._client.capture_event(cast(Any, _event(caught, info)), hint=cast(Any, {}))

    def close(self) -> None:
        """Sends what is queued, for at most two seconds."""
        self._client.close(timeout=2)


def _event(caught: Caught, info: ExcInfo | None) -> dict[str, Any]:
    event: dict[str, Any] = {"logentry": {"formatted": caught.message}}
    if info is not None:
        from sentry_sdk.utils import event_from_exception

        options = {"include_local_variables": False, "include_source_context": False, "max_value_length": 1000}
        event = cast(dict[str, Any], event_from_exception(cast(Any, info), client_options=options)[0])
    return event | {
        "level": "fatal" if caught.level == "critical" else caught.level,
        "logger": caught.logger,
        "fingerprint": [caught.fingerprint.hex()],
        "tags": {"place": caught.place, **({"request_id": caught.request_id} if caught.request_id else {})},
    }


def scrubbed(event: dict[str, Any], _: Any = None) -> dict[str, Any]:
    """What may leave of an event: the fields we know, every text masked."""
    kept = {name: value for name, value in event.items() if name in _ALLOWED}
    for value in kept.get("exception", {}).get("values", ()):
        frames = (value.get("stacktrace") or {}).get("frames", ())
        for frame in frames:
            for name in [name for name in frame if name not in _FRAME]:
                del frame[name]
    return cast(dict[str, Any], _masked(kept))


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return logs.redact(value)
    if isinstance(value, dict):
        return {name: _masked(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return value

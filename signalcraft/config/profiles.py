"""What a profile changes: other defaults for the same settings. Whatever is set by hand wins over its profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_OFF: Final[Mapping[str, Any]] = {
    "limits.webhooks_per_minute": 0,
    "limits.api_per_minute": 0,
    "limits.global_per_15_minutes": 0,
    "limits.search_per_minute": 0,
    "limits.upload_per_minute": 0,
    "limits.sign_in_per_minute": 0,
    "limits.sign_in_failures_per_15_minutes": 0,
    "http.hsts_seconds": 0,
}
_WIDE: Final[Mapping[str, Any]] = {
    "limits.webhooks_per_minute": 1000,
    "limits.api_per_minute": 300,
    "limits.global_per_15_minutes": 5000,
    "limits.search_per_minute": 300,
    "limits.upload_per_minute": 60,
    "http.hsts_seconds": 86_400,
}
PROFILES: Final[Mapping[str, Mapping[str, Any]]] = {"production": {}, "staging": _WIDE, "development": _OFF}
"""By profile: the defaults that differ from those of the model, by path."""

"""Tells of a deployment through SignalCraft itself: `notify.py started|succeeded|failed|rolled-back PLACE VERSION`.

Where: $DEPLOY_NOTIFY_URL, the webhook address of an integration of kind `generic`. A deployment is one alert group: its
start opens it, its success resolves it, its failure raises it to high; a way back is a group of its own.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from typing import Any, Final

EVENTS: Final = ("started", "succeeded", "failed", "rolled-back")
_TRIES: Final = 4
_TIMEOUT_S: Final = 10.0


def bodies(event: str, place: str, version: str, why: str = "") -> list[dict[str, Any]]:
    """What is posted, an alert each. Raises KeyError for an unknown event."""
    group = {"project": "deployments", "environment": place, "dedup_key": f"deployment/{place}/{version}"}
    back = {**group, "dedup_key": f"deployment/{place}/{version}/back"}
    what = f"SignalCraft {version} on {place}"
    if run := os.environ.get("DEPLOY_RUN_URL"):
        group["link"] = back["link"] = run
    return {
        "started": [{**group, "title": f"Deployment of {what} has started", "severity": "info"}],
        "succeeded": [
            {**group, "title": f"Deployment of {what} is done", "status": "resolved"},
            {**back, "status": "resolved"},
        ],
        "failed": [{**group, "title": f"Deployment of {what} failed", "severity": "high", "message": why}],
        "rolled-back": [{**back, "title": f"{what} was taken back", "severity": "high", "message": why}],
    }[event]


def tell(event: str, place: str, version: str, why: str = "") -> bool:
    """Posts it, a few times where need be; whether it was taken. Never raises: a deployment does not hang on it."""
    url = os.environ.get("DEPLOY_NOTIFY_URL", "")
    print(f"deployment of {version} to {place}: {event}{f': {why}' if why else ''}", flush=True)
    if not url.startswith(("https://", "http://127.0.0.1:")):
        print("!! NOT TOLD: DEPLOY_NOTIFY_URL holds no https:// address", flush=True)
        return False
    body = json.dumps(bodies(event, place, version, why)).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310  # checked above
    said = ""
    for n in range(_TRIES):
        time.sleep(n * 2)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310
                return True
        except (OSError, urllib.error.URLError) as problem:
            # Its text, not the address: that opens the integration.
            said = str(getattr(problem, "reason", problem))
    print(f"!! NOT TOLD: {said}", flush=True)
    return False


def main(words: list[str]) -> int:
    """The exit code: 1 where it was not told."""
    if not 3 <= len(words) <= 4 or words[0] not in EVENTS:
        print(f"notify.py {'|'.join(EVENTS)} PLACE VERSION [WHY]", file=sys.stderr)
        return 2
    return int(not tell(*words))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

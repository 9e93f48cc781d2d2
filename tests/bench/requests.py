"""Signed Sentry requests of 4 KB, made before the clock starts: whole HTTP requests, one after the other in a file."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

from tests import bodies

TOKEN = "tokenofthebenchmark00000000000000"
BODY_BYTES = 4096


def template() -> bytes:
    """An event_alert of 4 KB with stack frames, its event id `E…` and issue id `I…` to be replaced."""
    said = bodies.event_alert(event="E" * 32, issue="I" * 10, title="TypeError in checkout", tags={"shard": "0"})
    frame = {
        "filename": "shop/views.py", "function": "checkout", "lineno": 118, "in_app": True,
        "context_line": "    total = sum(line.price for line in cart.lines)",
    }  # fmt: skip
    said["data"]["event"]["exception"] = {"values": [{"type": "TypeError", "stacktrace": {"frames": []}}]}
    frames = said["data"]["event"]["exception"]["values"][0]["stacktrace"]["frames"]
    while len(json.dumps(said, separators=(",", ":"))) < BODY_BYTES - 170:
        frames.append(frame)
    pad = BODY_BYTES - len(json.dumps(said, separators=(",", ":"))) - len(',"pad":""')
    said["pad"] = "x" * max(pad, 0)
    return json.dumps(said, separators=(",", ":")).encode()


def write(path: Path, count: int, issues: int) -> None:
    """`count` requests; no event id repeats, issue ids come from `issues` of them, or are new each time for 0."""
    blank = template()
    secret = bodies.SECRET.encode()
    with path.open("wb") as file:
        for n in range(count):
            issue = f"{10**9 + (n % issues if issues else n)}"
            body = blank.replace(b"E" * 32, f"{n:032x}".encode()).replace(b"I" * 10, issue.encode())
            signature = hmac.digest(secret, body, hashlib.sha256).hex()
            head = (
                f"POST /webhooks/sentry/{TOKEN} HTTP/1.1\r\nHost: box\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nRequest-ID: {n:032x}\r\nSentry-Hook-Resource: event_alert\r\n"
                f"Sentry-Hook-Timestamp: 1772442000\r\nSentry-Hook-Signature: {signature}\r\n\r\n"
            )
            request = head.encode() + body
            file.write(f"{len(request):08d}".encode() + request)


LUA = """
local file = assert(io.open(os.getenv("REQUESTS"), "rb"))
local requests, sent = {}, 0
while true do
  local size = file:read(8)
  if not size then break end
  requests[#requests + 1] = file:read(tonumber(size))
end
request = function()
  sent = sent + 1
  return requests[(sent - 1) % #requests + 1]
end
"""

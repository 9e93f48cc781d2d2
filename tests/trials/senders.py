"""Senders that try once, as Sentry does, and remember what was acknowledged."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
from dataclasses import dataclass, field

from tests import bodies


@dataclass
class Ledger:
    """What the senders know: for each event id of theirs the answer's event and group."""

    acknowledged: dict[str, tuple[str, str]] = field(default_factory=dict)
    issues: dict[str, set[str]] = field(default_factory=dict)
    refused: int = 0
    unanswered: int = 0


async def send_until_dead(
    host: str,
    port: int,
    path: str,
    ledger: Ledger,
    issues: list[str],
    seconds: float,
    connections: int = 16,
    seed: int = 0,
) -> None:
    """Posts unique events of random issues over keep-alive connections until time is up or the box is gone."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    await asyncio.gather(
        *(_one(host, port, path, ledger, issues, end, random.Random(seed * 1000 + n)) for n in range(connections))
    )


async def _one(
    host: str, port: int, path: str, ledger: Ledger, issues: list[str], end: float, dice: random.Random
) -> None:
    loop = asyncio.get_running_loop()
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return
    try:
        while loop.time() < end:
            issue, event = dice.choice(issues), f"{dice.getrandbits(128):032x}"
            await post(reader, writer, path, ledger, issue, event)
    except (OSError, EOFError, asyncio.IncompleteReadError, ValueError):
        ledger.unanswered += 1
    finally:
        writer.close()


async def post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, ledger: Ledger, issue: str, event: str
) -> None:
    body = bodies.body("event_alert", issue=issue, event=event, title=f"Problem {issue} happened")
    signature = hmac.new(bodies.SECRET.encode(), body, hashlib.sha256).hexdigest()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: box\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"Sentry-Hook-Resource: event_alert\r\nSentry-Hook-Signature: {signature}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    status_line = await reader.readuntil(b"\r\n")
    status = int(status_line.split(b" ")[1])
    headers = await reader.readuntil(b"\r\n\r\n")
    length = int(headers.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    answer = await reader.readexactly(length)
    if status == 202:
        said = json.loads(answer)["events"][0]
        ledger.acknowledged[event] = (said["event_id"], said["group_id"])
        ledger.issues.setdefault(issue, set()).add(event)
    else:
        ledger.refused += 1

"""Commit to Slack: 50 events a second over 200 open groups, a new group every 2 s, over 5 channels."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path

from signalcraft.demo.slack import SlackStandIn
from tests import bodies
from tests.bench import requests

CHANNELS = tuple(f"c{n}" for n in range(5))


@dataclass
class FirstPosts:
    """Milliseconds from the sender's 202 to the message in Slack, of each new group."""

    delays_ms: list[float]
    refused_429: int
    missing: int
    events: int

    def percentile(self, part: float) -> float:
        """A percentile of the delays."""
        ordered = sorted(self.delays_ms)
        return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else float("nan")


async def run(port: int, slack: SlackStandIn, seconds: int) -> FirstPosts:
    """Sends at an even pace for so long; the 200 groups are open before the clock starts."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for n in range(200):
        await _post(reader, writer, f"{10**9 + n}", f"old {n}")
    writer.close()
    await asyncio.sleep(45)  # 200 first posts at one a second and channel take 40 s
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    answered: dict[str, float] = {}
    number = 0
    while (passed := time.monotonic() - began) < seconds:
        due = number / 50
        if due > passed:
            await asyncio.sleep(due - passed)
        await _post(reader, writer, f"{10**9 + number % 200}", f"old {number % 200}")
        number += 1
        if number % 100 == 0:
            title = f"new {number // 100:04}"
            await _post(reader, writer, f"{2 * 10**9 + number}", title)
            answered[title] = time.time() * 1000
    await asyncio.sleep(3)
    writer.close()
    seen = {}
    for message in slack.everything():
        for title in answered:
            if title in message.history[0].text and message.thread_ts is None:
                seen.setdefault(title, message.at_ms)
    delays = [max(seen[title] - at, 0.0) for title, at in answered.items() if title in seen]
    return FirstPosts(delays, slack.refused_429, len(answered) - len(delays), number)


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, issue: str, title: str) -> None:
    shard = str(int(issue) // 100 % 10 if int(issue) > 2 * 10**9 else int(issue) % 10)
    body = bodies.body("event_alert", issue=issue, title=f"{title} happened", tags={"shard": shard})
    signed = bodies.signed(body, "event_alert")
    head = "".join(f"{k}: {v}\r\n" for k, v in signed.items())
    first = f"POST /webhooks/sentry/{requests.TOKEN} HTTP/1.1\r\nHost: box\r\nContent-Length: {len(body)}\r\n"
    writer.write(f"{first}{head}\r\n".encode() + body)
    headers = await reader.readuntil(b"\r\n\r\n")
    length = int(headers.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    answer = json.loads(await reader.readexactly(length))
    assert answer["status"] == "accepted", answer


def rules(channels: tuple[str, ...], bot_token: str, signing_secret: str) -> str:
    """The apply file of the benchmark: 20 rules of which 3 with a pattern, and the channels they name."""
    parts = [
        f'[[integrations]]\nname = "bench"\nkind = "sentry"\ntoken = "{requests.TOKEN}"\nsecret = "{bodies.SECRET}"\n'
    ]
    parts += [
        f'[[channels]]\nname = "{c}"\nkind = "slack"\nbot_token = "{bot_token}"\n'
        f'signing_secret = "{signing_secret}"\nchannel = "#{c}"\n'
        for c in channels
    ]
    for n in range(20):
        if n < 3:
            leaf = f'{{ field = "title", operator = "regex", value = "^(Out of memory|Deadlock) {n} .*" }}'
        elif n < 15:
            leaf = f'{{ field = "project", operator = "equals", value = "service-{n}" }}'
        else:
            # The last five share the events between the channels.
            ends = "[" + ", ".join(f'"{d}"' for d in range(10) if d % 5 == n - 15) + "]"
            leaf = f'{{ field = "tags.shard", operator = "in", value = {ends} }}'
        environment = '{ field = "environment", operator = "in", value = ["prod", "production"] }'
        parts.append(
            f'[[rules]]\nname = "rule {n:02}"\npriority = {n}\nchannels = ["{channels[n % len(channels)]}"]\n'
            f"when = {{ all = [ {leaf}, {environment} ] }}\n"
        )
    return "\n".join(parts)


def save_rules(target: Path, channels: tuple[str, ...], bot_token: str, signing_secret: str) -> None:
    """Writes the apply file."""
    target.write_text(rules(channels, bot_token, signing_secret))

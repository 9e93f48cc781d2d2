"""Slack's side of the wire, on loopback: what `slack.api_url` is pointed at in the demo and in tests.

```python
with StandInThread(SlackStandIn(clock, channels=["oncall"], interactivity_url=url)) as slack:
    slack.it.base_url  # for slack.api_url
    slack.it.messages("#oncall")[0].words  # what people read
    slack.press("#oncall", ts, "ack", "Sam")  # somebody presses a button
    slack.it.fail("chat.postMessage", "internal_error", times=2)
```
"""

from __future__ import annotations

from signalcraft.demo.slack.interactions import ANSWER_WITHIN_S, Pressed, sign
from signalcraft.demo.slack.standin import APP_TOKEN, BOT_TOKEN, PEOPLE, SIGNING_SECRET, Call, SlackStandIn
from signalcraft.demo.slack.workspace import Message, Person, SlackError, Version
from signalcraft.demo.threads import LoopThread

__all__ = [
    "ANSWER_WITHIN_S",
    "APP_TOKEN",
    "BOT_TOKEN",
    "PEOPLE",
    "SIGNING_SECRET",
    "Call",
    "Message",
    "Person",
    "Pressed",
    "SlackError",
    "SlackStandIn",
    "StandInThread",
    "Version",
    "sign",
]


class StandInThread(LoopThread[SlackStandIn]):
    """The Slack stand-in on its own thread; `it` is the stand-in."""

    def press(
        self, channel: str, ts: str, action_id: str, user: str, option: str | None = None, *,
        block_id: str | None = None, signed_with: str | None = None, signed_at_ms: int | None = None,
    ) -> Pressed:  # fmt: skip
        """`SlackStandIn.press`, waited for."""
        pressing = self.it.press(
            channel, ts, action_id, user, option,
            block_id=block_id, signed_with=signed_with, signed_at_ms=signed_at_ms,
        )  # fmt: skip
        return self.call(pressing, timeout_s=10)

    def disconnect_sockets(self, reason: str = "refresh_requested") -> None:
        """`SlackStandIn.disconnect_sockets`, waited for."""
        self.call(self.it.disconnect_sockets(reason))

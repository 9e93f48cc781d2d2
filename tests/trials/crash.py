"""kill -9 at random moments under load: what was acknowledged is there, what was owed is told, nothing is told twice
but for at most one message per channel and kill.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from signalcraft.channels import slack as slack_channel
from signalcraft.config.model import Delivery
from signalcraft.demo.slack import SlackStandIn, StandInThread
from signalcraft.domain import ids
from signalcraft.main import system_now
from tests.trials.box import Box
from tests.trials.senders import Ledger, send_until_dead
from tests.world import BOT_TOKEN, SIGNING_SECRET

CHANNELS = ("alpha", "beta", "gamma")
NEW_ISSUES_PER_ROUND = 3
OWED = (
    "select coalesce(g.title, ''), c.name, d.kind, d.state, d.attempts, coalesce(d.last_error, '') from delivery d"
    " join channel c on c.id = d.channel_id left join alert_group g on g.id = d.group_id"
    " where d.state in ('owed', 'sending') and d.kind <> 'update' order by d.id"
)
"""What somebody has yet to be told. Edits are left out: a later one says what an earlier one would have said."""


@dataclass
class Outcome:
    """What one trial saw. Every list is empty when all is well."""

    rounds: int
    acknowledged: int
    stored: int
    missing_events: list[str] = field(default_factory=list)
    wrong_counts: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    duplicates: dict[str, int] = field(default_factory=dict)
    start_seconds: list[float] = field(default_factory=list)
    slowest_drain_s: float = 0.0

    @property
    def lines(self) -> list[str]:
        """The outcome as a table, one line a figure."""
        start = sorted(self.start_seconds)
        return [
            f"kills                                   {self.rounds}",
            f"events acknowledged                     {self.acknowledged}",
            f"events stored                           {self.stored}",
            f"acknowledged events missing             {len(self.missing_events)}",
            f"groups whose count is not their events  {len(self.wrong_counts)}",
            f"owed first messages never told          {len(self.untold)}",
            f"messages told twice, by channel         {self.duplicates or 'none'} (allowed: {self.rounds} a channel)",
            f"start to ready after a kill, median     {start[len(start) // 2]:.2f} s",
            f"last owed message told after            {self.slowest_drain_s:.1f} s",
        ]


def configuration(token: str) -> str:
    """The apply file: one integration, three channels, a rule each for a third of the issues."""
    secret = "the-client-secret-of-the-tests"
    lines = [f'[[integrations]]\nname = "sentry"\nkind = "sentry"\ntoken = "{token}"\nsecret = "{secret}"\n']
    for number, name in enumerate(CHANNELS):
        lines.append(
            f'[[channels]]\nname = "{name}"\nkind = "slack"\nbot_token = "{BOT_TOKEN}"\n'
            f'signing_secret = "{SIGNING_SECRET}"\nchannel = "#{name}"\n'
        )
        lines.append(
            f'[[rules]]\nname = "rule {name}"\npriority = {number}\n'
            f'when = {{ all = [ {{ field = "title", operator = "regex", value = "Problem \\\\d*{number} " }} ] }}\n'
            f'channels = ["{name}"]\n'
        )
    return "\n".join(lines)


def run(folder: Path, rounds: int, seed: int = 1) -> Outcome:
    """Kills `rounds` times, restarts, and compares what the senders know with what is stored and told."""
    dice = random.Random(seed)
    slack = SlackStandIn(
        system_now, signing_secret=SIGNING_SECRET, tokens=(BOT_TOKEN,), channels=CHANNELS, burst=0, per_minute={}
    )
    with StandInThread(slack):
        box = Box(folder / "data", slack.base_url, folder / "serve.log")
        (folder / "signalcraft.apply.toml").write_text(configuration("tokenofthecrashtrial0000000000000"))
        box.run("apply", str(folder / "signalcraft.apply.toml"))
        ledger = Ledger()
        starts = []
        path = "/webhooks/sentry/tokenofthecrashtrial0000000000000"
        issues: list[str] = []
        for number in range(rounds):
            # The last digit decides the channel: each round brings one new problem to each.
            issues += [str((1000 + number) * 10 + n) for n in range(NEW_ISSUES_PER_ROUND)]
            starts.append(box.start())
            asyncio.run(_load_and_kill(box, path, ledger, issues, dice, number))
        starts.append(box.start())
        drain = _drained(folder / "data" / "signalcraft.db")
        assert box.stop() == 0
    outcome = compare(folder / "data" / "signalcraft.db", slack, ledger, rounds)
    outcome.start_seconds, outcome.slowest_drain_s = starts, drain
    return outcome


async def _load_and_kill(
    box: Box, path: str, ledger: Ledger, issues: list[str], dice: random.Random, number: int
) -> None:
    """Kills at a random moment, but not before it took what a fast machine takes in no time: 0, 20 or 40 events."""
    moment, enough = dice.uniform(0.05, 1.5), len(ledger.acknowledged) + 20 * (number % 3)
    load = asyncio.create_task(send_until_dead("127.0.0.1", box.port, path, ledger, issues, 60, seed=number))
    await asyncio.sleep(moment)
    while len(ledger.acknowledged) < enough and not load.done():  # noqa: ASYNC110  # the ledger rings no bell
        await asyncio.sleep(0.01)
    box.kill()
    await load


def owed(database: Path) -> list[tuple[str, str, str, str, int, str]]:
    """What is owed now, of a box that runs or not: title, channel, kind, state, tries, the last error."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(OWED).fetchall()
    finally:
        connection.close()


def _drained(database: Path) -> float:
    """Waits until nothing is owed, of what was stored and not acknowledged too; the seconds that took.

    How long that may take is what the settings say. A start takes leases back and hurries what waits for a later try,
    so a message waits for one backoff and one probe at most, and then for its turn in its channel. A lease that had to
    run out would take longer.
    """
    began = time.monotonic()
    turns = Counter(channel for _, channel, *_ in owed(database))
    promised = Delivery()
    limit = promised.backoff_max_seconds + promised.breaker_seconds
    limit += max(turns.values(), default=0) * slack_channel.GAP_MS / 1000
    while owed(database) and time.monotonic() - began < limit:
        time.sleep(0.1)
    return time.monotonic() - began


def _issue(text: str) -> str:
    return text.split("Problem ")[1].split(" ")[0] if "Problem " in text else ""


def compare(database: Path, slack: SlackStandIn, ledger: Ledger, rounds: int) -> Outcome:
    """Reads the database (the process is dead: no lock can be lost) and the stand-in's messages."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    stored = {ids.show(row[0]): row[1] for row in connection.execute("select id, group_id from event")}
    outcome = Outcome(rounds, len(ledger.acknowledged), len(stored))
    for event, (event_id, group_id) in ledger.acknowledged.items():
        if event_id not in stored or ids.show(stored[event_id]) != group_id:
            outcome.missing_events.append(event)
    events = Counter(stored.values())
    for group_id, title, count in connection.execute("select id, title, count from alert_group"):
        if events[group_id] != count:
            outcome.wrong_counts.append(f"{title}: count {count}, {events[group_id]} events")
    posts = Counter((m.channel_name, _issue(m.history[0].text)) for m in slack.everything() if m.thread_ts is None)
    # A problem that was stored and could not be acknowledged any more is owed as well.
    held = {_issue(title) for (title,) in connection.execute("select title from alert_group")}
    told = {issue for _, issue in posts}
    outcome.untold += sorted((held | set(ledger.issues)) - told)
    twice: Counter[str] = Counter()
    for (channel, _), number in posts.items():
        twice[channel] += number - 1
    outcome.duplicates = {channel: number for channel, number in twice.items() if number}
    check = connection.execute("pragma integrity_check").fetchone()[0]
    assert check == "ok", check
    connection.close()
    outcome.untold += [f"still owed: {row}" for row in owed(database)]
    return outcome


def save(outcome: Outcome, target: Path) -> None:
    """The raw figures, for the record."""
    target.write_text(json.dumps(outcome.__dict__, indent=1, default=str) + "\n")

"""`make bench`: five interleaved runs of each case, medians and ratios, written to docs/reference/benchmarks.md.

`make bench ONLY=posts`: how long telling takes, and nothing else; the rest of the page stays.
"""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

from signalcraft.demo.slack import SlackStandIn, StandInThread
from signalcraft.main import system_now
from tests.bench import first_posts, measure, requests
from tests.trials.box import Box
from tests.world import BOT_TOKEN, SIGNING_SECRET

PAGE = Path("docs/reference/benchmarks.md")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
REQUESTS = 70_000
CASES = {
    "a": ("the handler with the writer's submit replaced by a ready answer", "ready"),
    "b": ("durable, each event a new group", "real"),
    "c": ("durable, into 1,000 open groups", "real"),
}


def prepare(folder: Path, slack: SlackStandIn) -> Path:
    """A data directory with the rules of the benchmark; copied for each run."""
    template = folder / "template"
    first_posts.save_rules(folder / "rules.toml", ("one",), BOT_TOKEN, SIGNING_SECRET)
    Box(template, slack.base_url, folder / "serve.log").run("apply", str(folder / "rules.toml"))
    (folder / "wrk.lua").write_text(requests.LUA)
    requests.write(folder / "new.bin", REQUESTS, 0)
    requests.write(folder / "known.bin", REQUESTS, 1000)
    return template


def ingest(folder: Path, template: Path, slack: SlackStandIn) -> dict[str, list[measure.Run]]:
    """Five interleaved runs of the three cases."""
    opening = folder / "opening.bin"
    opening.write_bytes(_shifted((folder / "known.bin").read_bytes(), 1000))
    runs: dict[str, list[measure.Run]] = {case: [] for case in CASES}
    for number in range(ROUNDS):
        for case, (_, mode) in CASES.items():
            file = folder / ("new.bin" if case == "b" else "known.bin")
            warm = opening if case == "c" else None
            done = measure.run(template, folder, file, slack.base_url, mode, warm)
            runs[case].append(done)
            print(f"  round {number + 1} {case}: {done.rate:7.0f}/s p99 {done.p99_ms:.1f} ms {done.void}", flush=True)
    return runs


def _shifted(raw: bytes, count: int) -> bytes:
    """The first requests again with event ids of their own, signed anew: they open the groups."""
    import hashlib
    import hmac
    import re

    from tests import bodies

    out, at = [], 0
    for n in range(count):
        size = int(raw[at : at + 8])
        head, _, body = raw[at + 8 : at + 8 + size].partition(b"\r\n\r\n")
        at += 8 + size
        body = body.replace(f"{n:032x}".encode(), f"{2**100 + n:032x}".encode())
        signature = hmac.digest(bodies.SECRET.encode(), body, hashlib.sha256).hex()
        head = re.sub(rb"Sentry-Hook-Signature: \w+", b"Sentry-Hook-Signature: " + signature.encode(), head)
        request = head + b"\r\n\r\n" + body
        out.append(f"{len(request):08d}".encode() + request)
    return b"".join(out)


def posts(folder: Path, mode: str) -> first_posts.FirstPosts:
    """Commit to Slack with the stand-in's real limits on."""
    slack = SlackStandIn(system_now, signing_secret=SIGNING_SECRET, tokens=(BOT_TOKEN,), channels=first_posts.CHANNELS)
    with StandInThread(slack):
        data = folder / f"posts-{mode}"
        first_posts.save_rules(folder / "posts.toml", first_posts.CHANNELS, BOT_TOKEN, SIGNING_SECRET)
        Box(data, slack.base_url, folder / "serve.log").run("apply", str(folder / "posts.toml"))
        process, port = measure.start(data, slack.base_url, mode)
        try:
            return asyncio.run(first_posts.run(port, slack, int(os.environ.get("BENCH_SECONDS", "60"))))
        finally:
            process.terminate()
            process.communicate(timeout=90)


def idle(folder: Path, slack_url: str) -> tuple[float, float]:
    """(median seconds from exec to the first 200, MB resident when idle)."""
    box = Box(folder / "idle", slack_url, folder / "serve.log")
    starts, rss = [], 0.0
    for _ in range(5):
        starts.append(box.start())
        time.sleep(2)
        rss = box.rss_mb()
        box.stop()
    return statistics.median(starts), rss


def told(was: first_posts.FirstPosts, now: first_posts.FirstPosts) -> list[str]:
    """How long it takes until somebody is told, and how long it would take without what makes it fast."""
    lines = [
        "## Commit to Slack", "",
        "50 events a second over 200 open groups, a new group every 2 s, 5 channels, Slack's limits enforced:",
        f"{now.events} events, {len(now.delays_ms)} first posts, {now.missing} not seen;",
        f"before: {was.events} events, {len(was.delays_ms)} first posts, {was.missing} not seen.", "",
        "Before: each write in a commit of its own, and a look once a second at what is owed.",
        "Now: what waits is committed together, and each commit wakes the deliveries.", "",
        "| from the sender's 202 to the message | before | now | lower by |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, part in (("p50", 0.5), ("p99", 0.99)):
        early, late = was.percentile(part), now.percentile(part)
        lines.append(f"| {name} | {early:,.0f} ms | {late:,.0f} ms | {(early - late) / early * 100:.0f} % |")
    return [*lines, f"| 429 answers | {was.refused_429} | {now.refused_429} | |", ""]


def table(
    runs: dict[str, list[measure.Run]],
    was: first_posts.FirstPosts,
    post: first_posts.FirstPosts,
    start_s: float,
    idle_mb: float,
) -> str:
    """The report, in Markdown."""
    good = {case: [r for r in some if not r.void] for case, some in runs.items()}
    base = statistics.median([r.rate for r in good["a"]]) if good["a"] else float("nan")
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`. One run on one machine: ratios hold, absolute figures wander with its neighbours.",
        "",
        f"{os.cpu_count()} processors, Python {platform.python_version()}, {time.strftime('%F')}.",
        f"wrk, 1 thread, 64 connections, {measure.SECONDS} s a run, {ROUNDS} interleaved runs, medians.",
        "Bodies of 4 KB, each signed and with an id of its own; 20 rules, 3 with a pattern; one Slack channel.",
        "",
        "| case | events/s (min–max) | to (a) | p50 ms | p99 ms | CPU % | RSS MB | commits per event | others' CPU % |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case, (label, _) in CASES.items():
        some = good[case]
        if not some:
            lines.append(f"| ({case}) {label} | void: {runs[case][0].void} | | | | | | | |")
            continue
        named = [f for f in measure.Run.__dataclass_fields__ if f != "void"]
        m = {f: statistics.median([getattr(r, f) for r in some]) for f in named}
        rates = [r.rate for r in some]
        lines.append(
            f"| ({case}) {label} | {m['rate']:,.0f} ({min(rates):,.0f}–{max(rates):,.0f}) | {m['rate'] / base:.2f} |"
            f" {m['p50_ms']:.1f} | {m['p99_ms']:.1f} | {m['cpu_percent']:.0f} | {m['rss_mb']:.0f} |"
            f" {m['commits_per_event']:.3f} | {m['other_percent']:.0f} |"
        )
    void = [f"({case}) {r.void}" for case, some in runs.items() for r in some if r.void]
    lines += [
        "",
        f"Void runs: {'; '.join(void) or 'none'}. A commit is one fsync; a checkpoint every 1,000 pages adds two.",
        "",
    ]
    lines += [
        *told(was, post),
        "## At rest", "", "| | |", "|---|---|",
        f"| start to first 200, median of 5 | {start_s:.2f} s |", f"| resident memory, idle | {idle_mb:.0f} MB |", "",
    ]  # fmt: skip
    return "\n".join(lines)


def exchanged(page: str, section: list[str]) -> str:
    """A page with another "Commit to Slack"."""
    head, _, rest = page.partition("## Commit to Slack\n")
    return head + "\n".join(section) + "\n## At rest\n" + rest.partition("## At rest\n")[2]


def main() -> int:
    """Runs everything; 1 when every run of a case was void."""
    with tempfile.TemporaryDirectory(prefix="signalcraft-bench-") as name:
        folder = Path(name)
        if sys.argv[1:] == ["posts"]:
            PAGE.write_text(exchanged(PAGE.read_text("utf-8"), told(posts(folder, "before"), posts(folder, "real"))))
            return 0
        slack = SlackStandIn(system_now, signing_secret=SIGNING_SECRET, tokens=(BOT_TOKEN,), channels=("one",))
        with StandInThread(slack):
            template = prepare(folder, slack)
            runs = ingest(folder, template, slack)
            start_s, idle_mb = idle(folder, slack.base_url)
        text = table(runs, posts(folder, "before"), posts(folder, "real"), start_s, idle_mb)
    PAGE.write_text(text)
    print(text)
    return int(any(all(r.void for r in some) for some in runs.values()))


if __name__ == "__main__":
    sys.exit(main())

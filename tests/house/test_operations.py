"""The pages for those who operate a box cover every alert, and every risk that is listed has a test."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from signalcraft.domain.event import Event, HttpInbound
from signalcraft.services.care.alarms import CONDITIONS
from signalcraft.sources import SOURCES
from tests.house.tree import ROOT

GENERIC = SOURCES["generic"]


def test_every_alert_about_the_box_is_on_the_page_of_operations() -> None:
    page = (ROOT / "docs/how-to/operate.md").read_text("utf-8")
    for one in CONDITIONS.values():
        assert re.search(
            rf"^\| `{one.name}` \| \[.+\]\(\.\./runbooks/{re.escape(one.runbook)}\) \|$", page, re.MULTILINE
        )
    listed = set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
    assert listed == {one.name for one in CONDITIONS.values()} | {"SignalCraftDown"}


def test_every_alert_of_prometheus_leads_to_a_runbook_that_operations_links() -> None:
    page = (ROOT / "docs/how-to/operate.md").read_text("utf-8")
    rules = yaml.safe_load((ROOT / "packaging/prometheus/signalcraft.rules.yml").read_text("utf-8"))
    urls = {r["annotations"]["runbook_url"] for g in rules["groups"] for r in g["rules"] if "alert" in r}
    linked = set(re.findall(r"\.\./runbooks/([\w-]+\.md)", page))
    assert {url.rpartition("/")[2] for url in urls} - linked == set()


def test_every_runbook_is_linked_from_operations_or_the_index_of_runbooks() -> None:
    index = (ROOT / "docs/runbooks/index.md").read_text("utf-8")
    for path in (ROOT / "docs/runbooks").glob("*.md"):
        assert path.name == "index.md" or f"({path.name})" in index, path.name


def test_every_risk_has_a_test_that_is_there() -> None:
    rows = re.findall(
        r"^\| [^|]+ \| [^|]+ \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", _page("explanation/risks"), re.MULTILINE
    )
    risks = [row for row in rows if "`" in row[1]]
    assert len(risks) >= 12
    for ids, tests in risks:
        assert re.search(r"\b(PERF|MIG|BCK|SEC|CI|ERR|MON)-\d+", ids)
        for name in re.findall(r"`([^`]+)`", tests):
            assert (ROOT / "tests" / name).is_file(), name
    told = " ".join(ids for ids, _ in risks)
    assert {kind for kind in ("PERF", "MIG", "BCK", "SEC", "CI") if kind in told} == {"PERF", "MIG", "BCK", "SEC", "CI"}


def _page(name: str) -> str:
    return (ROOT / f"docs/{name}.md").read_text("utf-8")


# -- moving from another tool: the mappings read what those tools post -------------------------------------------------

ALERTMANAGER = {
    "version": "4", "status": "firing", "receiver": "hub", "groupLabels": {"alertname": "HighLatency"},
    "alerts": [
        {
            "status": "firing", "labels": {"alertname": "HighLatency", "severity": "page", "env": "prod", "job": "api"},
            "annotations": {"summary": "p99 above 2 s"}, "startsAt": "2026-03-01T10:00:00Z",
            "generatorURL": "https://prometheus.example.com/graph?g0", "fingerprint": "c4ca4238a0b92382",
        },
        {
            "status": "resolved", "labels": {"alertname": "DiskFull", "severity": "low", "env": "prod", "job": "db"},
            "annotations": {}, "fingerprint": "eccbc87e4b5ce2fe",
        },
    ],
}  # fmt: skip
UPTIME_KUMA: dict[str, Any] = {
    "heartbeat": {"monitorID": 7, "status": 0, "time": "2026-03-01 10:00:00", "msg": "timeout"},
    "monitor": {"id": 7, "name": "Shop", "url": "https://shop.example.com"},
    "msg": "[Shop] [Down] timeout",
}  # fmt: skip


def integrations() -> dict[str, dict[str, Any]]:
    text = _page("how-to/move-from-another-tool")
    found: dict[str, dict[str, Any]] = {}
    for block in re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for table in tomllib.loads(block).get("integrations", []):
            found[table["name"]] = table
    return found


def read(name: str, body: Any) -> list[Event]:
    table = integrations()[name]
    config = GENERIC.Config(mapping=table["mapping"], words=table["words"])
    raw = json.dumps(body).encode()
    return list(GENERIC.read(config, HttpInbound("POST", "", "", {"content-type": "application/json"}, raw), 0))


def test_the_mapping_for_alertmanager_reads_what_it_posts() -> None:
    firing, resolved = read("alertmanager", ALERTMANAGER)
    assert (firing.title, firing.message, firing.status) == ("HighLatency", "p99 above 2 s", "firing")
    assert firing.severity is not None
    assert firing.severity.label == "critical"
    assert (firing.environment, firing.project, firing.dedup_key) == ("prod", "api", "c4ca4238a0b92382")
    assert (resolved.title, resolved.status, resolved.dedup_key) == ("DiskFull", "resolved", "eccbc87e4b5ce2fe")


@pytest.mark.parametrize(("status", "means"), [(0, "firing"), (1, "resolved")])
def test_the_mapping_for_uptime_kuma_reads_what_it_posts(status: int, means: str) -> None:
    body = {**UPTIME_KUMA, "heartbeat": {**UPTIME_KUMA["heartbeat"], "status": status}}
    (event,) = read("uptime-kuma", body)
    assert (event.title, event.message, event.status) == ("Shop", "[Shop] [Down] timeout", means)
    assert event.severity is not None
    assert (event.severity.label, event.dedup_key) == ("high", "7")


def test_the_ceiling_is_the_benchmarks() -> None:
    """The page of capacity has figures that the last benchmark bears out: between half of them and twice."""
    bench, told = _page("reference/benchmarks"), _page("explanation/capacity")
    for case, words in (("(b)", "each a new alert group"), ("(c)", "into 1,000 open groups")):
        row = next(line for line in bench.splitlines() if line.startswith(f"| {case}"))
        measured = float(row.split("|")[2].split("(")[0].replace(",", ""))
        said = re.search(rf"{words} \| ([\d,]+) \|", told)
        assert said is not None
        assert 0.5 <= measured / float(said[1].replace(",", "")) <= 2, case
    assert "(../reference/benchmarks.md)" in told

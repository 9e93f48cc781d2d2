"""What Prometheus and Grafana get: our scrape, the alert rules, the dashboards, checked by the programs themselves."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from signalcraft.domain.group import SYSTEM
from signalcraft.http.declared import METRICS, page
from signalcraft.services.care.alarms import CONDITIONS
from tests.world import World, free_port

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "packaging/prometheus"
DASHBOARDS = sorted((ROOT / "packaging/grafana").glob("*.json"))
RUNBOOKS = ROOT / "docs/runbooks"
NAME = re.compile(r"\b(?:signalcraft|process)_[a-z0-9_]+\b")
SUFFIXES = ("_bucket", "_sum", "_count")


def program(name: str) -> str:
    """Debian's package prometheus has both; `make test` installs it where it may."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(
            f"!! {name} is not installed (Debian's package prometheus): NOT CHECKED: metrics, rules, dashboards"
        )
    return found


def promtool(*args: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        [program("promtool"), *args], input=stdin, capture_output=True, text=True, timeout=60, cwd=PROMETHEUS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A box that has done a bit of everything."""
    with World(tmp_path_factory.mktemp("busy") / "data") as world:
        world.rule("environment == prod", "#oncall", escalate_after=5, escalate_to="#leads")
        for n in range(3):
            world.receives("sentry", "event_alert", environment="prod", level="fatal", issue=str(n))
        world.sends("sentry", b"{}", {"Sentry-Hook-Resource": "event_alert"})
        world.after(minutes=6)
        world._call(world.house.canary.check())
        world._call(world.house.selfwatch.tick())
        world.get("/api/alert-groups")
        yield world


def scrape(world: World) -> str:
    answer = world.api.get("/metrics")
    assert answer.status_code == 200
    return answer.text


def known(name: str) -> bool:
    return name in METRICS or any(
        name.endswith(end) and METRICS.get(name.removesuffix(end)) is not None for end in SUFFIXES
    )


def used(expression: str) -> set[str]:
    """The metrics of a PromQL expression; label values and strings left out."""
    return set(NAME.findall(re.sub(r'"[^"]*"', '""', expression)))


def rules() -> list[dict[str, str]]:
    """The alert rules. The file is flat enough to be read without a YAML library."""
    found = []
    for block in (PROMETHEUS / "signalcraft.rules.yml").read_text("utf-8").split("      - alert: ")[1:]:
        fields = dict(re.findall(r"^ +(expr|for|runbook_url|summary): '?(.*?)'?$", block, re.MULTILINE))
        found.append({"alert": block.split("\n", 1)[0], **fields})
    return found


# -- the scrape -------------------------------------------------------------------------------------------------------


def test_promtool_finds_nothing_wrong_with_our_scrape(busy: World) -> None:
    """Names, units, help texts, counters that end in _total: https://prometheus.io/docs/practices/naming/."""
    assert promtool("check", "metrics", stdin=scrape(busy)).strip() == ""


def test_what_is_scraped_is_declared_and_as_it_is_declared(busy: World) -> None:
    wrong = []
    for family in families(scrape(busy)):
        name = family.name + ("_total" if family.type == "counter" else "")
        if name.endswith("_created"):
            continue
        one = METRICS.get(name)
        ours = name.startswith("signalcraft_")
        if one is None or one.sort != family.type or (ours and one.what != family.documentation):
            wrong.append((name, family.type, family.documentation))
        elif any(set(s.labels) - {"le"} != set(one.labels) for s in family.samples):
            wrong.append((name, "labels", sorted(family.samples[0].labels)))
    assert wrong == []


def test_what_the_pipeline_did_is_in_it(busy: World) -> None:
    """MON-7 and MON-8: each part of the way moves its own counter."""
    found = {
        (s.name, *(v for _, v in sorted(s.labels.items()))): s.value for f in families(scrape(busy)) for s in f.samples
    }
    assert found["signalcraft_rule_evaluations_total",] == 3
    assert found["signalcraft_rule_matches_total",] == 3
    assert found["signalcraft_alert_groups_opened_total",] == 3
    assert found["signalcraft_escalations_total", "told"] == 3
    assert found["signalcraft_notify_latency_seconds_count", "slack"] == 3
    assert found["signalcraft_ingest_duration_seconds_count",] == 3
    assert found["signalcraft_http_request_duration_seconds_count", "/api/alert-groups"] >= 1
    assert found["signalcraft_self_check_duration_seconds_count",] == 1
    assert found["signalcraft_self_check_ok",] == 1
    assert found["signalcraft_writer_commit_duration_seconds_count",] > 0
    assert found["signalcraft_read_duration_seconds_count",] > 0
    assert found["signalcraft_integrations", "sentry"] == 1
    assert found["signalcraft_channels", "slack"] == 2
    assert found["signalcraft_routing_rules",] == 1
    assert found["signalcraft_disk_free_bytes",] > 0
    assert not any("canary" in label or "self-check" in label for key in found for label in key[1:])


def test_the_page_of_the_metrics_is_drawn_from_the_list() -> None:
    assert (ROOT / "docs/reference/metrics.md").read_text("utf-8") == page()


def test_a_scrape_stays_small_and_quick_when_every_route_was_asked(busy: World) -> None:
    """At most 5,000 series with every route, method and status of the description; less than 100 ms."""
    described = busy.get("/api/openapi.json")["paths"]
    edge, measures = busy.program.app.edge, busy.house.measures  # type: ignore[union-attr]
    for path, methods in described.items():
        for method in methods:
            for status in (200, 400, 401, 403, 404, 422, 429, 500, 503):
                edge.requests[path, method.upper(), status] += 1
        measures.answered(path, 200, 0.01)
    text = scrape(busy)
    assert sum(not line.startswith("#") for line in text.splitlines()) < 5_000
    took = []
    for _ in range(10):
        # The processor's time, ours and the box's together: what else runs on this machine is not asked about.
        began = time.process_time()
        scrape(busy)
        took.append(time.process_time() - began)
    assert min(took) < 0.1, took


def test_the_real_prometheus_scrapes_it_and_answers(busy: World, tmp_path: Path) -> None:
    made = busy._call(busy.house.accounts.create_key(1, "prometheus", ["metrics:read"], None, SYSTEM))
    (tmp_path / "key").write_text(made.key)
    text = (PROMETHEUS / "signalcraft.scrape.yml").read_text("utf-8")
    text = text.replace("15s", "1s").replace("/etc/prometheus/signalcraft.key", str(tmp_path / "key"))
    text = text.replace("localhost:8080", f"127.0.0.1:{busy.api.base_url.port}")
    (tmp_path / "prometheus.yml").write_text(text)
    shutil.copy(PROMETHEUS / "signalcraft.rules.yml", tmp_path)
    promtool("check", "config", str(tmp_path / "prometheus.yml"))
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(
            [program("prometheus"), f"--config.file={tmp_path / 'prometheus.yml'}",
             f"--storage.tsdb.path={tmp_path / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        assert asked(port, "up{job='signalcraft'}") == 1, (tmp_path / "log").read_text()
        assert asked(port, "sum(signalcraft_events_total{outcome='accepted'})") == 3
        assert asked(port, "sum(signalcraft_notify_latency_seconds_count)") == 3
        loaded = httpx.get(f"http://127.0.0.1:{port}/api/v1/rules", trust_env=False).json()["data"]["groups"][0][
            "rules"
        ]
        assert {one["name"] for one in loaded} == {one["alert"] for one in rules()}
    finally:
        running.terminate()
        running.wait(20)


def asked(port: int, query: str, patience_s: float = 40) -> float | None:
    """The one value of a query, once it is there."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        try:
            answer = httpx.get(
                f"http://127.0.0.1:{port}/api/v1/query", params={"query": query}, trust_env=False, timeout=5
            ).json()
            if answer["data"]["result"]:
                return float(answer["data"]["result"][0]["value"][1])
        except (httpx.TransportError, ValueError):
            pass  # it is starting
        time.sleep(0.3)
    return None


# -- the rules --------------------------------------------------------------------------------------------------------


def test_promtool_checks_and_tests_the_rules() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", "signalcraft.rules.yml")
    assert "SUCCESS" in promtool("test", "rules", "signalcraft.test.yml")


def test_every_rule_is_tested_both_ways_and_speaks_of_metrics_that_are_there() -> None:
    tests = (PROMETHEUS / "signalcraft.test.yml").read_text("utf-8")
    for rule in rules():
        assert f"alertname: {rule['alert']}\n" in tests, f"{rule['alert']} never fires in a test"
        assert f"alertname: {rule['alert']}, eval_time" in tests, f"{rule['alert']} is never silent in a test"
        assert [name for name in used(rule["expr"]) if not known(name)] == [], rule["alert"]


def test_every_rule_and_every_condition_has_its_runbook_and_the_box_serves_it(busy: World) -> None:
    pages = {path.name for path in RUNBOOKS.glob("*.md")}
    index = (RUNBOOKS / "index.md").read_text("utf-8")
    wanted = {one["runbook_url"].rpartition("/")[2] for one in rules()} | {one.runbook for one in CONDITIONS.values()}
    assert wanted - pages == set()
    assert {name for name in pages - {"index.md"} if f"({name})" not in index} == set()
    for name in wanted:
        answer = busy.api.get(f"/docs/runbooks/{name}", headers={"Authorization": ""})
        assert answer.status_code == 200, name
        assert answer.text == (RUNBOOKS / name).read_text("utf-8")
    assert busy.api.get("/docs/runbooks/..%2f..%2fREADME.md").status_code == 404
    for one in CONDITIONS.values():
        assert one.name in (RUNBOOKS / one.runbook).read_text("utf-8"), one.name


# -- the dashboards ---------------------------------------------------------------------------------------------------


def test_there_are_dashboards_for_health_noise_delivery_and_service_levels() -> None:
    assert [path.stem.removeprefix("signalcraft-") for path in DASHBOARDS] == [
        "delivery", "health", "noise", "service-levels",
    ]  # fmt: skip


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_whole(path: Path) -> None:
    """What Grafana needs to import one (https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/)."""
    board = json.loads(path.read_text("utf-8"))
    assert board["uid"] == path.stem
    assert board["title"].startswith("SignalCraft")
    assert isinstance(board["schemaVersion"], int)
    assert {one["name"] for one in board["templating"]["list"]} == {"datasource", "job", "instance"}
    panels = board["panels"]
    assert len({one["id"] for one in panels}) == len(panels)
    for one in panels:
        place = one["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
        if one["type"] != "row":
            assert one["type"] in ("timeseries", "stat")
            assert one["title"]
            assert one["targets"]
            assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert len({target["refId"] for target in one["targets"]}) == len(one["targets"])
    assert [(a["title"], b["title"]) for a, b in combinations(panels, 2) if overlap(a["gridPos"], b["gridPos"])] == []


def overlap(a: dict[str, int], b: dict[str, int]) -> bool:
    across = a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"]
    return across and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_question_of_a_dashboard_can_be_asked(path: Path, tmp_path: Path) -> None:
    """PromQL that promtool parses, of metrics that are declared."""
    expressions = [target["expr"] for panel in panels_of(path) for target in panel["targets"]]
    asked_of = set().union(*(used(one) for one in expressions))
    assert [name for name in asked_of if not known(name)] == []
    lines = [json.dumps(one.replace("$job", "signalcraft").replace("$instance", ".*")) for one in expressions]
    file = tmp_path / "asked.yml"
    file.write_text(
        "groups:\n - name: asked\n   rules:\n"
        + "".join(f"    - {{record: asked_{n}, expr: {line}}}\n" for n, line in enumerate(lines))
    )
    assert f"{len(lines)} rules found" in promtool("check", "rules", str(file))


def panels_of(path: Path) -> list[dict[str, Any]]:
    return [one for one in json.loads(path.read_text("utf-8"))["panels"] if one["type"] != "row"]

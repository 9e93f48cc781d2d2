"""MON-15, MON-17: who asks from outside and how often, and the one page that says whether it is as good as promised."""

from __future__ import annotations

import json
import re

from tests.packaging.test_prometheus import PROMETHEUS, ROOT, promtool, rules

BOARD = ROOT / "packaging/grafana/signalcraft-service-levels.json"
SIX = {
    "Up": {"up", "signalcraft_start_time_seconds"},
    "Response times": {"signalcraft_http_request_duration_seconds_bucket"},
    "Errors": {"signalcraft_http_requests_total"},
    "Resources": {"process_cpu_seconds_total", "process_resident_memory_bytes", "signalcraft_disk_free_bytes"},
    "Cache": {"signalcraft_cache_hits_total", "signalcraft_cache_misses_total"},
    "Security": {"signalcraft_errors_total", "signalcraft_limit_exceeded_total"},
}


def test_one_page_shows_the_six_things_that_were_promised() -> None:
    asked: dict[str, str] = {}
    part = ""
    for panel in json.loads(BOARD.read_text("utf-8"))["panels"]:
        if panel["type"] == "row":
            part = panel["title"]
        asked[part] = asked.get(part, "") + " ".join(target["expr"] for target in panel.get("targets", ()))
    assert [re.split(r" \(", part)[0] for part in asked] == list(SIX)
    for (part, expressions), wanted in zip(asked.items(), SIX.values(), strict=True):
        assert wanted <= set(re.findall(r"[a-z_]{2,}", expressions)), part


def test_what_is_critical_is_asked_each_minute_and_the_rest_every_five() -> None:
    """And an outage is noticed within two of them. The files are flat enough to be read without a YAML library."""
    promtool("check", "config", "signalcraft.probe.yml")
    jobs = {}
    for block in (PROMETHEUS / "signalcraft.probe.yml").read_text("utf-8").split("  - job_name: ")[1:]:
        (interval,) = re.findall(r"scrape_interval: (\w+)", block)
        assert re.findall(r"scrape_timeout: (\w+)", block) == ["30s"]
        jobs[block.split("\n", 1)[0]] = interval, re.findall(r'"https://[^/]+(/[^"]*)"', block)
    assert jobs == {
        "signalcraft-critical": ("1m", ["/health/live", "/health/ready"]),
        "signalcraft-standard": ("5m", ["/", "/api/openapi.json"]),
    }
    (rule,) = [one for one in rules() if one["alert"] == "SignalCraftUnreachable"]
    assert rule["for"] == "1m", "with an interval of a minute: two missing answers"
    assert set(jobs) == {f"signalcraft-{word}" for word in re.findall(r"critical|standard", rule["expr"])}

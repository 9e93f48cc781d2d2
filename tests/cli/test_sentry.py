"""What `send sentry` writes is what our own reader of Sentry's webhooks understands."""

from __future__ import annotations

import pytest

from signalcraft.cli.sentry import ACTIONS, Wanted, body, headers, issue_of
from signalcraft.domain.event import HttpInbound
from signalcraft.errors import BadSignature
from signalcraft.sources import sentry

NOW_MS = 1_772_442_000_000


def wanted(resource: str = "event_alert", action: str = "triggered", **more: object) -> Wanted:
    said = {
        "title": "Payments: are down",
        "environment": "prod",
        "level": "fatal",
        "project": "shop",
        "issue": 77,
        **more,
    }
    return Wanted(resource=resource, action=action, **said)  # type: ignore[arg-type]


def inbound(what: Wanted, secret: str = "s3cret-s3cret") -> HttpInbound:
    raw = body(what, NOW_MS)
    return HttpInbound("POST", "", "", {k.lower(): v for k, v in headers(what, raw, secret, NOW_MS).items()}, raw)


@pytest.mark.parametrize(("resource", "action"), [(r, a) for r, actions in ACTIONS.items() for a in actions])
def test_every_resource_and_action_is_signed_and_read(resource: str, action: str) -> None:
    config = sentry.Config(secret="s3cret-s3cret")
    said = inbound(wanted(resource, action))
    sentry.verify(config, said, NOW_MS)
    (event,) = sentry.read(config, said, NOW_MS)
    assert event.action == f"{resource}.{action}"
    assert event.project == "shop"
    if resource != "metric_alert":
        assert event.dedup_key == "77"
    if action != "assigned":
        assert event.title == "Payments: are down"
    assert event.status == ("resolved" if action in ("resolved", "ignored", "archived") else event.status)


def test_an_event_says_what_was_asked_for() -> None:
    (event,) = sentry.read(sentry.Config(), inbound(wanted(message="call somebody", tags={"region": "eu"})), NOW_MS)
    assert (event.environment, event.tags["region"]) == ("prod", "eu")
    assert event.severity is not None
    assert event.severity.label == "critical"
    (event,) = sentry.read(sentry.Config(), inbound(wanted(environment="")), NOW_MS)
    assert event.environment is None
    assert "environment" not in event.tags


def test_the_wrong_secret_does_not_pass_and_none_leaves_it_unsigned() -> None:
    with pytest.raises(BadSignature):
        sentry.verify(sentry.Config(secret="another one"), inbound(wanted()), NOW_MS)
    assert "sentry-hook-signature" not in inbound(wanted(), secret="").headers


def test_the_same_problem_has_the_same_number() -> None:
    assert issue_of("shop", "a") == issue_of("shop", "a") != issue_of("shop", "b")
    one, other = (sentry.read(sentry.Config(), inbound(wanted()), NOW_MS)[0] for _ in range(2))
    assert one.dedup_key == other.dedup_key
    assert one.source_event_id != other.source_event_id

"""Routing rules as they are kept: made, changed, moved, switched, tried out; what is refused, and what is in use."""

from __future__ import annotations

from typing import Any

import pytest

from signalcraft.domain import ids
from signalcraft.domain.event import Event
from signalcraft.domain.matcher import Facts
from signalcraft.domain.routing import RULES_MAX, Explanation, prepare, route
from signalcraft.domain.severity import Severity
from signalcraft.errors import Conflict, Invalid, NotFound
from signalcraft.services.configure import rules
from signalcraft.storage import events
from signalcraft.storage import rules as rule_rows
from tests.services.desk import Desk

PROD = {"all": [{"field": "environment", "operator": "equals", "value": "prod"}]}


@pytest.fixture
def desk(desk: Desk) -> Desk:
    desk.channel()
    desk.channel("leads")
    return desk


def in_use(desk: Desk) -> list[str]:
    return [rule.name for rule in desk.snapshot.workspaces[1].rules]


def update(desk: Desk, rule: Any, whole: bool = False, **fields: Any) -> list[str]:
    return desk.change(lambda edit: rules.update(edit, rule.id, rules.Draft(**fields), whole=whole))


def seen(desk: Desk, rule: Any) -> rules.Seen:
    return desk.look(lambda reader: rules.seen(reader, 1, rule_rows.get(reader, 1, rule.id).rule()))


def test_a_new_rule_is_in_use_when_it_is_answered(desk: Desk) -> None:
    rule = desk.rule("prod", when=PROD, escalate_after_minutes=15, escalate_to=["leads"], mention="none")
    (compiled,) = desk.snapshot.workspaces[1].rules
    assert compiled.id == rule.id
    assert [desk.snapshot.channels[i].name for i in compiled.channels] == ["oncall"]
    prepared = prepare(desk.snapshot.workspaces[1].rules, Event(title="x"), "sentry")
    assert route(prepared, Facts(environment="Prod"))
    assert not route(prepared, Facts(environment="test"))


def test_a_rule_is_shown_as_it_was_written(desk: Desk) -> None:
    fields = {
        "priority": 7,
        "enabled": False,
        "when": {"any": [{"field": "tags.team", "operator": "in", "value": ["a", 5]}, PROD]},
        "channels": ["leads", "oncall"],
        "mention": "S0TEAM",
        "stop": True,
        "escalate_after_minutes": 15,
        "escalate_to": ["leads"],
        "repeat_minutes": 60,
        "runbook_url": "https://example.com/runbook",
        "runbook": "# First\n\nLook at the *pool*.",
    }
    rule = desk.rule("everything", **fields)
    shown = seen(desk, rule)
    assert {name: getattr(shown, name) for name in fields} == fields
    assert shown.id == ids.show(rule.id)


def test_channels_may_be_named_by_id(desk: Desk) -> None:
    by_name = desk.rule("by name")
    by_id = desk.rule("by id", channels=[ids.show(by_name.channels[0])])
    assert by_id.channels == by_name.channels


def test_new_rules_are_asked_last(desk: Desk) -> None:
    for name in ("a", "b"):
        desk.rule(name)
    desk.rule("first", priority=-5)
    desk.rule("c")
    assert in_use(desk) == ["first", "a", "b", "c"]


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({"channels": ["oncal"]}, ["channels[0]"]),
        ({"channels": []}, ["channels"]),
        ({"channels": ["oncall"], "escalate_to": ["nobody"], "escalate_after_minutes": 5}, ["escalate_to[0]"]),
        ({"when": {"all": [{"field": "x", "operator": "equals", "value": 1}]}}, ["when.all[0].field"]),
        ({"channels": ["x"], "repeat_minutes": 0, "mention": "!"}, ["channels[0]", "repeat_minutes", "mention"]),
    ],
)
def test_what_no_rule_can_be(desk: Desk, fields: dict[str, Any], paths: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        desk.rule("bad", **fields)
    assert [path for path, _ in caught.value.errors] == paths
    assert in_use(desk) == []


def test_names_are_unique_and_there(desk: Desk) -> None:
    desk.rule("a")
    other = desk.rule("b")
    for name in ("a", "", " b"):
        with pytest.raises((Conflict, Invalid)):
            desk.rule(name)
    with pytest.raises(Conflict):
        update(desk, other, name="a")
    with pytest.raises(Invalid, match="1 to 100"):
        desk.change(lambda edit: rules.create(edit, rules.Draft(channels=["oncall"])))


def test_a_patch_changes_what_it_names_and_a_whole_update_all(desk: Desk) -> None:
    rule = desk.rule("a", when=PROD, stop=True, repeat_minutes=5)
    assert update(desk, rule, stop=False) == ["stop: true → false"]
    assert update(desk, rule, repeat_minutes=None) == ["repeat_minutes: 5 → null"]
    assert update(desk, rule, stop=False) == []
    changes = update(desk, rule, whole=True, name="a", channels=["leads"])
    assert [line.partition(":")[0] for line in changes] == ["when", "channels"]
    assert seen(desk, rule).priority == 10
    (compiled,) = desk.snapshot.workspaces[1].rules
    assert compiled.channels == (desk.snapshot.workspaces[1].rules[0].channels)
    assert route(prepare((compiled,), Event(title="x"), "s"), Facts(environment="test"))


def test_a_rule_is_switched_off_and_on(desk: Desk) -> None:
    rule = desk.rule("a")
    desk.change(lambda edit: rules.set_enabled(edit, rule.id, False))
    assert in_use(desk) == []
    desk.change(lambda edit: rules.set_enabled(edit, rule.id, False))
    desk.change(lambda edit: rules.set_enabled(edit, rule.id, True))
    assert in_use(desk) == ["a"]
    assert [verb for verb, _ in desk.journal()][-3:] == ["rule.created", "rule.disabled", "rule.enabled"]


def test_a_deleted_rule_routes_nothing(desk: Desk) -> None:
    rule = desk.rule("a")
    desk.change(lambda edit: rules.delete(edit, rule.id))
    assert in_use(desk) == []
    with pytest.raises(NotFound):
        desk.change(lambda edit: rules.delete(edit, rule.id))


def test_rules_are_moved(desk: Desk) -> None:
    made = {name: ids.show(desk.rule(name).id) for name in "abcd"}
    desk.change(lambda edit: rules.reorder(edit, [made["c"], made["a"]]))
    assert in_use(desk) == ["c", "a", "b", "d"]
    lines = len(desk.journal())
    desk.change(lambda edit: rules.reorder(edit, [made["c"]]))
    assert len(desk.journal()) == lines  # nothing moved
    for bad in ([made["a"], made["a"]], [made["a"], "nonsense"]):
        with pytest.raises(Invalid) as caught:
            desk.change(lambda edit, bad=bad: rules.reorder(edit, bad))
        assert caught.value.errors[0][0] == "ids[1]"
    assert in_use(desk) == ["c", "a", "b", "d"]


def test_there_is_an_end_to_rules(desk: Desk) -> None:
    def many(edit: Any) -> None:
        for i in range(RULES_MAX):
            rules.create(edit, rules.Draft(name=f"rule {i}", channels=["oncall"]))

    desk.change(many)
    with pytest.raises(Conflict, match="at most 200"):
        desk.rule("one more")


def test_a_rule_that_cannot_be_used_stops_nothing(desk: Desk) -> None:
    rule = desk.rule("from the future")
    desk.rule("fine")
    body = '{"when":{"all":[{"field":"weather","operator":"equals","value":"rain"}]},"channels":[1]}'
    desk.db.call(lambda tx: tx.run("update rule set body = ? where id = ?", (body, rule.id)))
    with desk.db.reading() as reader:
        desk.registry.reload(reader)
    assert in_use(desk) == ["fine"]
    (problem,) = desk.registry.problems
    assert "from the future" in problem
    assert "weather" in problem


def test_an_entry_of_an_unknown_kind_stops_nothing(desk: Desk) -> None:
    row, once = desk.integration()
    desk.integration("other", token="another-token")
    desk.db.call(lambda tx: tx.run("update integration set kind = 'telepathy' where id = ?", (row.id,)))
    desk.db.call(lambda tx: tx.run("update channel set secrets = x'00' where name = 'leads'"))
    with desk.db.reading() as reader:
        desk.registry.reload(reader)
    assert desk.by_token(once.token) is None
    assert desk.by_token("another-token") is not None
    assert [live.name for live in desk.snapshot.channels.values()] == ["oncall"]
    assert len(desk.registry.problems) == 2
    assert "telepathy" in str(desk.registry.problems)


# -- dry run ----------------------------------------------------------------------------------------------------------

SERIOUS = {
    "all": [
        {"field": "environment", "operator": "equals", "value": "prod"},
        {"field": "severity", "operator": "gte", "value": "high"},
    ]
}


def tried(desk: Desk, **how: Any) -> Explanation:
    return desk.look(lambda reader: rules.try_out(reader, 1, **how))


def test_a_dry_run_of_words(desk: Desk) -> None:
    said = rules.Said(environment="prod", severity="medium", tags={"n": 5})
    explanation = tried(desk, when=SERIOUS, said=said)
    assert not explanation.matched
    assert [(c.path, c.expected, c.actual, c.result) for c in explanation.conditions] == [
        ("all[0]", "prod", "prod", True),
        ("all[1]", "high", "medium", False),
    ]
    assert tried(desk, when={"all": [{"field": "tags.n", "operator": "gt", "value": 4}]}, said=said).matched
    assert tried(desk, said=said).matched


def test_a_dry_run_of_a_stored_rule_and_event(desk: Desk) -> None:
    rule = desk.rule("a", when=SERIOUS)
    event = Event(title="x", environment="prod", severity=Severity.CRITICAL, status="firing")
    desk.db.call(lambda tx: events.insert(tx, 77, 1, 5, "sentry", None, None, event, desk.now_ms))
    assert tried(desk, rule_id=rule.id, event_id=77).matched
    with pytest.raises(NotFound):
        tried(desk, rule_id=rule.id, event_id=78)
    with pytest.raises(NotFound):
        tried(desk, rule_id=78, event_id=77)
    with pytest.raises(Invalid) as caught:
        tried(desk, when=SERIOUS, said=rules.Said(severity="bad"))
    assert caught.value.path == "event.severity"

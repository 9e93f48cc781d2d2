"""The file of apply and export: names identify, all or nothing, secrets stay, and what was exported changes nothing."""

from __future__ import annotations

import base64
import tomllib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalcraft.errors import Conflict, Fault, Invalid, NotFound
from signalcraft.services import applyfile, tomltext
from tests.domain.conditions import conditions
from tests.services.desk import Desk

FILE = """
[workspace]
default_channels = ["oncall"]
fallback_channel = "mail"

[[integrations]]
name = "sentry-prod"
kind = "sentry"
token = "the-token-of-sentry"
secret = "canary-client-secret"
require_signature = true

[[integrations]]
name = "scripts"
kind = "generic"

[[channels]]
name = "oncall"
kind = "slack"
bot_token = "xoxb-canary"
signing_secret = "canary-signing"
channel = "C0ONCALL"

[[channels]]
name = "leads"
kind = "webhook"
url = "https://example.com/leads"

[[channels]]
name = "mail"
kind = "email"
host = "mail.example.com"
sender = "SignalCraft <alerts@example.com>"
recipients = ["a@example.com", "b@example.com"]

[[rules]]
name = "production and serious"
priority = 10
when = { all = [ { field = "environment", operator = "in", value = ["prod", "production"] },
                 { field = "severity", operator = "gte", value = "high" } ] }
channels = ["oncall"]
escalate_after_minutes = 15
escalate_to = ["leads"]

[[rules]]
name = "the rest"
channels = ["leads"]
"""


def actions(applied: applyfile.Applied) -> list[tuple[str, str, str]]:
    return [(step.action, step.what, step.name) for step in applied.steps]


def test_a_file_makes_everything_at_once(desk: Desk) -> None:
    applied = desk.apply(FILE)
    assert actions(applied) == [
        ("create", "channel", "oncall"),
        ("create", "channel", "leads"),
        ("create", "channel", "mail"),
        ("create", "integration", "sentry-prod"),
        ("create", "integration", "scripts"),
        ("create", "rule", "production and serious"),
        ("create", "rule", "the rest"),
        ("update", "workspace", "default"),
    ]
    live = desk.by_token("the-token-of-sentry")
    assert live is not None
    assert live.config.secret == "canary-client-secret"
    workspace = desk.snapshot.workspaces[1]
    assert [rule.name for rule in workspace.rules] == ["production and serious", "the rest"]
    assert workspace.rules[1].priority == 20
    assert len(workspace.default_channels) == 1
    # What the file says is no news; what was made is told.
    assert [(made.what, made.name) for made in applied.made] == [("channel", "leads"), ("integration", "scripts")]
    scripts = applied.made[1]
    assert scripts.token is not None
    assert scripts.webhook_url == f"https://alerts.example.com/webhooks/generic/{scripts.token}"
    assert desk.by_token(scripts.token, "generic") is not None


def test_the_same_file_again_changes_nothing(desk: Desk) -> None:
    desk.apply(FILE)
    before = desk.everything()
    again = desk.apply(FILE)
    assert {step.action for step in again.steps} == {"keep"}
    assert again.made == []
    assert desk.everything() == before


def test_what_was_exported_changes_nothing(desk: Desk) -> None:
    desk.apply(FILE)
    text = desk.export()
    assert "canary" not in text
    assert 'secret = "kept"' in text
    before = desk.everything()
    again = desk.apply(text, prune=True)
    assert {step.action for step in again.steps} == {"keep"}
    assert desk.everything() == before
    live = desk.by_token("the-token-of-sentry")
    assert live is not None
    assert live.config.secret == "canary-client-secret"


def test_what_was_exported_makes_the_same_elsewhere(desk: Desk, tmp_path: Any) -> None:
    """But for its secrets, which it says are to be written out."""
    desk.apply(FILE)
    text = desk.export()
    (tmp_path / "other").mkdir()
    with Desk(tmp_path / "other") as other:
        with pytest.raises(Invalid) as caught:
            other.apply(text)
        assert caught.value.path == "channels[0].secret"  # leads: by name
        fresh = f"whsec_{base64.b64encode(b'x' * 32).decode()}"
        other.apply(
            text.replace('secret = "kept"', f'secret = "{fresh}"').replace('_token = "kept"', '_token = "xoxb-1"')
        )
        assert other.export() == text


def test_a_rehearsal_says_what_would_happen_and_does_nothing(desk: Desk) -> None:
    desk.apply(FILE)
    before = desk.everything()
    changed = FILE.replace("C0ONCALL", "C0OTHER").replace("xoxb-canary", "xoxb-next").replace("15", "30")
    plan = desk.apply(changed, rehearse=True)
    changes = {step.name: step.changes for step in plan.steps if step.action == "update"}
    assert changes == {
        "oncall": ['channel: "C0ONCALL" → "C0OTHER"', "bot_token: changed"],
        "production and serious": ["escalate_after_minutes: 15 → 30"],
    }
    assert desk.everything() == before
    assert desk.apply(changed) == plan


def test_what_is_left_out_goes_back_to_its_default_but_secrets_and_tokens_stay(desk: Desk) -> None:
    desk.apply(FILE)
    short = """
[[integrations]]
name = "sentry-prod"
kind = "sentry"

[[rules]]
name = "production and serious"
channels = ["leads"]
"""
    applied = desk.apply(short)
    assert applied.made == []
    assert applied.steps[0].changes == ["require_signature: true → null"]
    live = desk.by_token("the-token-of-sentry")
    assert live is not None
    assert live.config.secret == "canary-client-secret"
    assert [line.partition(":")[0] for line in applied.steps[1].changes] == [
        "when",
        "channels",
        "escalate_after_minutes",
        "escalate_to",
    ]
    assert len(desk.snapshot.channels) == 3  # what is not in the file is left alone


def test_pruning_deletes_what_is_not_in_the_file(desk: Desk) -> None:
    desk.apply(FILE)
    small = """
[workspace]
default_channels = ["leads"]
fallback_channel = ""

[[channels]]
name = "leads"
kind = "webhook"
url = "https://example.com/leads"
"""
    applied = desk.apply(small, prune=True)
    assert [a for a in actions(applied) if a[0] == "delete"] == [
        ("delete", "rule", "production and serious"),
        ("delete", "rule", "the rest"),
        ("delete", "integration", "scripts"),
        ("delete", "integration", "sentry-prod"),
        ("delete", "channel", "mail"),
        ("delete", "channel", "oncall"),
    ]
    assert desk.by_token("the-token-of-sentry") is None
    assert [live.name for live in desk.snapshot.channels.values()] == ["leads"]


def test_pruning_a_channel_that_the_workspace_needs_is_refused_whole(desk: Desk) -> None:
    desk.apply(FILE)
    before = desk.everything()
    with pytest.raises(Conflict, match="fallback channel"):
        desk.apply('[[channels]]\nname = "oncall"\nkind = "slack"\nchannel = "C1"\nbot_token = "kept"', prune=True)
    assert desk.everything() == before


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        ("[[", "toml", "not TOML"),
        ("a = " + "[" * 9000 + "]" * 9000, "toml", "too deeply"),
        ("# " + "x" * 1_000_000, "toml", "more than"),
        ("\n".join(f"[[rules]]\nname = '{i}'" for i in range(1001)), "rules", "at most 1000"),
        (
            "[[rules]]\nname='x'\nwhen={all=[{field='count', operator='gt', value=1" + "0" * 40 + "}]}",
            "rules[0].when.all[0].value",
            "number",
        ),
        ("[[rules]]\nname='x'\npriority=1" + "0" * 40, "rules[0].priority", "priority"),
        ("[[rule]]\nname='x'", "rule", "did you mean rules?"),
        ("[rules]\nname='x'", "rules", "list of tables"),
        ("[[rules]]\npriority=5", "rules[0].name", "has a name"),
        ("[[channels]]\nname='a'\n[[channels]]\nname='a'", "channels[1].name", "twice"),
        ("[[rules]]\nname='x'\nchanels=['a']", "rules[0].chanels", "did you mean channels?"),
        ("[[rules]]\nname='x'\nchannels=['a']", "rules[0].channels[0]", "no such channel"),
        ("[[rules]]\nname='x'\nchannels='a'", "rules[0].channels", "Expected `array`"),
        ("[[rules]]\nname='x'\nchannels=[]\nwhen={all=[{}, 5]}", "rules[0].channels", "at least one"),
        ("[[channels]]\nname='a'", "channels[0].kind", "needed"),
        ("[[channels]]\nname='a'\nkind='slack'\nchanel='C'", "channels[0].chanel", "did you mean channel?"),
        ("[[channels]]\nname='a'\nkind='slack'\ntoken='x'", "channels[0].token", "no such setting"),
        ("[[integrations]]\nname='a'\nkind='sentry'\nsecret='kept'", "integrations[0].secret", "no stored secret"),
        ("[[integrations]]\nname='a'\nkind='sentry'\nsecret_env='X'", "integrations[0].secret_env", "cannot be sent"),
        ("[[integrations]]\nname='a'\nkind='sentry'\ntoken='x'", "integrations[0].token", "8 to 200"),
        ("[[integrations]]\nname='a'\nkind='sentry'\nconfig=5", "integrations[0].config", "a table"),
        ("[workspace]\ndefault_chanels=[]", "workspace.default_chanels", "did you mean default_channels?"),
        ("[workspace]\nfallback_channel='x'", "workspace.fallback_channel", "no such channel"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_nothing_is_done(desk: Desk, text: str, path: str, says: str) -> None:
    before = desk.everything()
    good = '[[integrations]]\nname = "good"\nkind = "generic"\n' if "integrations" not in text else ""
    with pytest.raises(Fault) as caught:
        desk.apply(good + text)
    assert path in [p for p, _ in caught.value.errors]
    assert says in str(caught.value.errors)
    assert desk.everything() == before


# -- resolving --------------------------------------------------------------------------------------------------------


def read_file(path: str) -> str:
    if path != "/run/secrets/it":
        raise NotFound(f"there is no file {path}")
    return "from the file\n"


def read_env(name: str) -> str:
    return {"IT": "from the environment"}[name]


def test_secrets_are_read_where_the_command_runs() -> None:
    doc = {
        "integrations": [{"name": "a", "secret_file": "/run/secrets/it", "token_env": "IT", "profile": "x"}],
        "channels": [{"name": "b", "bot_token_env": "IT", "channel": "C1"}],
        "rules": [{"name": "c", "secret_file": "stays"}],
    }
    assert applyfile.resolve(doc, read_file, read_env) == {
        "integrations": [{"name": "a", "secret": "from the file", "token": "from the environment", "profile": "x"}],
        "channels": [{"name": "b", "bot_token": "from the environment", "channel": "C1"}],
        "rules": [{"name": "c", "secret_file": "stays"}],
    }


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"secret_file": "/nowhere"}, "no file /nowhere"),
        ({"secret_file": 5}, "must be a text"),
        ({"secret_file": "/run/secrets/it", "secret": "x"}, "given twice"),
        ({"secret_file": "/run/secrets/it", "secret_env": "IT"}, "given twice"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(table: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid) as caught:
        applyfile.resolve({"integrations": [{"name": "a", **table}]}, read_file, read_env)
    assert says in caught.value.detail
    assert caught.value.path.startswith("integrations[0].secret_")


# -- properties -------------------------------------------------------------------------------------------------------

names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12)
quoted = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20)


@st.composite
def setups(draw: st.DrawFn) -> dict[str, Any]:
    lines = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    some = st.lists(st.sampled_from(lines), min_size=1, max_size=3, unique=True)
    chosen: list[dict[str, Any]] = []
    for name in draw(st.lists(names, max_size=4, unique=True)):
        rule: dict[str, Any] = {"name": name, "channels": draw(some), "when": draw(conditions)}
        rule |= draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "priority": st.integers(-50, 50),
                    "enabled": st.booleans(),
                    "stop": st.booleans(),
                    "mention": st.sampled_from(["none", "here", "S0TEAM"]),
                    "repeat_minutes": st.integers(1, 99),
                    "runbook_url": st.just("https://example.com/"),
                    "runbook": st.text(max_size=60),
                },
            )
        )
        if draw(st.booleans()):
            rule |= {"escalate_after_minutes": draw(st.integers(1, 99)), "escalate_to": draw(some)}
        chosen.append(rule)
    return {
        "workspace": {"default_channels": draw(some), "fallback_channel": draw(st.sampled_from(lines))},
        "channels": [
            {"name": n, "kind": "webhook", "url": "https://example.com/", "headers": {"X-It": "5"}} for n in lines
        ],
        "integrations": [
            {"name": n, "kind": draw(st.sampled_from(["sentry", "generic"])), "enabled": draw(st.booleans())}
            for n in draw(st.lists(names, max_size=3, unique=True))
        ],
        "rules": chosen,
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(setup=setups())
def test_export_then_apply_is_an_empty_plan(tmp_path_factory: pytest.TempPathFactory, setup: dict[str, Any]) -> None:
    with Desk(tmp_path_factory.mktemp("box")) as desk:
        desk.change(lambda edit: applyfile.apply(edit, setup))
        text = desk.export()
        assert {step.action for step in desk.apply(text, prune=True).steps} == {"keep"}
        assert desk.export() == text


@settings(deadline=None)
@given(
    st.recursive(
        quoted | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(quoted, inner, max_size=3),
        max_leaves=8,
    )
)
def test_every_value_is_written_as_toml(value: Any) -> None:
    line = "\n".join(tomltext.lines({"it": value, "1 odd\nkey": value}))
    assert tomllib.loads(line) == {"it": value, "1 odd\nkey": value}

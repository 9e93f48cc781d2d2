"""How each route that changes something is asked, with one of everything that it may be about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar.handlers import HTTPRouteHandler

from signalcraft.domain import ids
from signalcraft.http.app import routes
from signalcraft.http.asked import READS
from signalcraft.http.browser import SAFE
from tests.http.asking import asking
from tests.http.browsing import OTHER_PASSWORD, PASSWORD, Browser, person, token_of
from tests.http.softkey import SoftKey, enrolled
from tests.http.stage import AGENT as AGENT
from tests.http.stage import Stage as Stage

MUTATING = {
    f"{method} {path}"
    for route in routes()
    if isinstance(route, HTTPRouteHandler)
    for path in route.paths
    for method in route.http_methods - SAFE
    if path not in READS
}


def _group(verb: str, body: dict[str, Any] | None = None, status: str = "open") -> Callable[[Stage], Any]:
    def prepared(stage: Stage) -> Any:
        group = stage.group(status)
        return lambda: stage.ask("POST", f"/api/alert-groups/{group}/{verb}", body or {})

    return prepared


def _thing(method: str, path: str, make: str, body: Any = None) -> Callable[[Stage], Any]:
    def prepared(stage: Stage) -> Any:
        number = getattr(stage, make)()
        return lambda: stage.ask(method, path.format(id=number), body)

    return prepared


def _new(path: str, body: dict[str, Any]) -> Callable[[Stage], Any]:
    return lambda stage: lambda: stage.ask("POST", path, {"name": stage.name(), **body})


def _rule_body(stage: Stage) -> dict[str, Any]:
    return {"name": stage.name(), "channels": [stage.ask("GET", f"/api/channels/{stage.channel()}").json()["name"]]}


def _rule(method: str) -> Callable[[Stage], Any]:
    def prepared(stage: Stage) -> Any:
        number, body = stage.rule(), _rule_body(stage)
        return lambda: stage.ask(method, f"/api/routing-rules/{number}", body)

    return prepared


def _rule_new(stage: Stage) -> Any:
    body = _rule_body(stage)
    return lambda: stage.ask("POST", "/api/routing-rules", body)


def _reorder(stage: Stage) -> Any:
    stage.rule()
    last = stage.rule()
    return lambda: stage.ask("POST", "/api/routing-rules/reorder", {"ids": [last]})


def _enable(stage: Stage) -> Any:
    number = stage.rule()
    stage.ask("POST", f"/api/routing-rules/{number}/disable")
    return lambda: stage.ask("POST", f"/api/routing-rules/{number}/enable")


def _workspace(stage: Stage) -> Any:
    name = stage.ask("GET", f"/api/channels/{stage.channel()}").json()["name"]
    return lambda: stage.ask("PATCH", "/api/workspace", {"default_channels": [name]})


def _retention(stage: Stage) -> Any:
    days = int(stage.ask("GET", "/api/retention").json()["policy"]["group_days"]) + 1
    return lambda: stage.ask("PATCH", "/api/retention", {"group_days": days})


def _apply(stage: Stage) -> Any:
    lines = [f'[[channels]]\nname = "{stage.name()}"\nkind = "webhook"\nurl = "https://example.com/{i}"' for i in "ab"]
    return lambda: stage.ask("POST", "/api/config/apply", {"toml": "\n".join(lines)})


def _bulk(stage: Stage) -> Any:
    some = [stage.group(), stage.group()]
    return lambda: stage.ask("POST", "/api/alert-groups/bulk", {"ids": some, "verb": "ack"})


def _comment(method: str) -> Callable[[Stage], Any]:
    def prepared(stage: Stage) -> Any:
        path = f"/api/alert-groups/{stage.group()}/comments"
        number = stage.ask("POST", path, {"body": "first"}).json()["id"]
        return lambda: stage.ask(method, f"{path}/{number}", None if method == "DELETE" else {"body": "second"})

    return prepared


def _unshare(stage: Stage) -> Any:
    path = f"/api/alert-groups/{stage.group()}"
    number = stage.ask("POST", f"{path}/share", {"hours": 1}).json()["id"]
    return lambda: stage.ask("DELETE", f"{path}/shares/{number}")


def _drop(stage: Stage) -> Any:
    number = stage.delivery("failed")
    return lambda: stage.ask("POST", f"/api/deliveries/{number}/drop")


def _retry(stage: Stage) -> Any:
    number = stage.delivery("failed")
    return lambda: stage.ask("POST", f"/api/deliveries/{number}/retry")


def _retry_many(stage: Stage) -> Any:
    numbers = [stage.delivery("failed"), stage.delivery("failed")]
    return lambda: stage.ask("POST", "/api/deliveries/retry", {"ids": numbers})


def _replay(stage: Stage) -> Any:
    number = stage.held()
    body = b'{"title": "now it can be read", "severity": "low"}'
    import zstandard

    packed = zstandard.compress(body)
    stage.write(lambda tx: tx.run("update inbox set codec = 1, body = ? where id = ?", (packed, ids.parse(number))))
    return lambda: stage.ask("POST", f"/api/quarantine/{number}/replay")


def _replay_all(stage: Stage) -> Any:
    number = stage.held()
    _replay(stage)
    integration = stage.ask("GET", f"/api/quarantine/{number}").json()["integration_id"]
    return lambda: stage.ask("POST", "/api/quarantine/replay", {"integration": integration})


def _setup(stage: Stage) -> Any:
    # As long as nobody owns it: the other tests' owner steps back for a moment.
    stage.write(lambda tx: tx.run("update membership set role = 'admin' where role = 'owner'"))
    stage.world.house.signin.sessions.forget()
    code = stage.world._call(stage.world.house.people.new_setup_code())
    body = {"code": code, "email": f"{stage.name()}@example.com", "name": "O", "password": PASSWORD}
    return lambda: stage.ask("POST", "/api/auth/setup", body)


def _sign_in(stage: Stage) -> Any:
    email = f"{stage.name()}@example.com"
    person(stage.world, email)
    it = stage.stack.enter_context(Browser(stage.world, **{"User-Agent": AGENT}))
    return lambda: it.signs_in(email)


def _own(method: str, path: str, body: Any = None, *, totp: bool = False) -> Callable[[Stage], Any]:
    def prepared(stage: Stage) -> Any:
        it = stage.browser()
        if totp:
            it.enrols()
        return lambda: it.ask(method, path, body)

    return prepared


def _confirm(stage: Stage) -> Any:
    import base64

    it = stage.browser()
    secret = base64.b32decode(it.post("/api/auth/totp/enrol")["secret"])
    return lambda: it.ask("POST", "/api/auth/totp/confirm", {"code": it.code(secret)})


def _passkey(method: str, path: str, body: Any = None) -> Callable[[Stage], Any]:
    def prepared(stage: Stage) -> Any:
        it = stage.browser()
        _, number = enrolled(it)
        return lambda: it.ask(method, path.format(id=number), body)

    return prepared


def _passkey_made(stage: Stage) -> Any:
    it = stage.browser()
    made = SoftKey(it).made(it.post("/api/auth/passkeys/options")["options"])
    return lambda: it.ask("POST", "/api/auth/passkeys", {"name": "soft", "credential": made})


def _passkey_signed(path: str) -> Callable[[Stage], Any]:
    def prepared(stage: Stage) -> Any:
        it = stage.browser()
        key, _ = enrolled(it)
        signed = key.signed(it.post(f"{path}/options")["options"])
        return lambda: it.ask("POST", path, {"credential": signed})

    return prepared


def _unlink(stage: Stage) -> Any:
    from signalcraft.storage import identities

    it = stage.browser()
    number, now_ms = ids.parse(it.who["person"]["id"]), stage.world.clock.at_ms
    link = identities.Identity(
        id=number, person_id=number, issuer="https://login.example.com", subject=str(number), email="",
        created_ms=now_ms, last_used_ms=now_ms,
    )  # fmt: skip
    stage.write(lambda tx: identities.insert(tx, link))
    return lambda: it.ask("DELETE", f"/api/auth/identities/{ids.show(number)}")


def _session(stage: Stage) -> Any:
    it = stage.browser()
    number = it.who["session"]["id"]
    return lambda: it.ask("DELETE", f"/api/sessions/{number}")


def _reset(stage: Stage) -> Any:
    number = stage.somebody()
    token = token_of(stage.ask("POST", f"/api/people/{number}/reset-link", {}).json()["url"])
    return lambda: stage.ask("POST", "/api/auth/reset", {"token": token, "password": OTHER_PASSWORD})


def _revoke_invitation(stage: Stage) -> Any:
    number, _, _ = stage.invitation()
    return lambda: stage.ask("DELETE", f"/api/invitations/{number}")


def _accept(stage: Stage) -> Any:
    _, email, token = stage.invitation()
    body = {"token": token, "email": email, "name": "New", "password": PASSWORD}
    return lambda: asking(stage.world, **{"User-Agent": AGENT}).post("/api/invitations/accept", json=body)


def _revoke_key(stage: Stage) -> Any:
    number = stage.made("/api/api-keys", {"scopes": ["alerts:read"]})
    return lambda: stage.ask("DELETE", f"/api/api-keys/{number}")


HOOK = {"kind": "webhook", "config": {"url": "https://example.com/hook"}}
RECIPES: dict[str, Callable[[Stage], Any]] = {
    "POST /api/alert-groups/{id:str}/ack": _group("ack"),
    "POST /api/alert-groups/{id:str}/snooze": _group("snooze", {"minutes": 5}),
    "POST /api/alert-groups/{id:str}/unsnooze": _group("unsnooze", status="snoozed"),
    "POST /api/alert-groups/{id:str}/resolve": _group("resolve", {"note": "done"}),
    "POST /api/alert-groups/{id:str}/reopen": _group("reopen", status="resolved"),
    "POST /api/alert-groups/{id:str}/assign": _group("assign", {"assignee": None}),
    "POST /api/alert-groups/bulk": _bulk,
    "POST /api/drill": _new("/api/drill", {}),
    "POST /api/views": _new("/api/views", {"search": "status:open", "shared": True}),
    "PATCH /api/views/{id:str}": _thing("PATCH", "/api/views/{id}", "view", {"name": "Other"}),
    "DELETE /api/views/{id:str}": _thing("DELETE", "/api/views/{id}", "view"),
    "POST /api/alert-groups/{id:str}/comments": _group("comments", {"body": "looking"}),
    "PATCH /api/alert-groups/{id:str}/comments/{comment:str}": _comment("PATCH"),
    "DELETE /api/alert-groups/{id:str}/comments/{comment:str}": _comment("DELETE"),
    "POST /api/alert-groups/{id:str}/share": _group("share", {"hours": 1}),
    "DELETE /api/alert-groups/{id:str}/shares/{share:str}": _unshare,
    "POST /api/deliveries/{id:str}/retry": _retry,
    "POST /api/deliveries/retry": _retry_many,
    "POST /api/deliveries/{id:str}/drop": _drop,
    "POST /api/quarantine/{id:str}/replay": _replay,
    "POST /api/quarantine/replay": _replay_all,
    "POST /api/quarantine/{id:str}/drop": _thing("POST", "/api/quarantine/{id}/drop", "held"),
    "POST /api/routing-rules": _rule_new,
    "PUT /api/routing-rules/{id:str}": _rule("PUT"),
    "PATCH /api/routing-rules/{id:str}": _rule("PATCH"),
    "DELETE /api/routing-rules/{id:str}": _thing("DELETE", "/api/routing-rules/{id}", "rule"),
    "POST /api/routing-rules/{id:str}/duplicate": _thing("POST", "/api/routing-rules/{id}/duplicate", "rule"),
    "POST /api/routing-rules/{id:str}/enable": _enable,
    "POST /api/routing-rules/{id:str}/disable": _thing("POST", "/api/routing-rules/{id}/disable", "rule"),
    "POST /api/routing-rules/reorder": _reorder,
    "POST /api/integrations": _new("/api/integrations", {"kind": "generic"}),
    "PUT /api/integrations/{id:str}": _thing(
        "PUT", "/api/integrations/{id}", "integration", {"name": "put", "kind": "sentry", "config": {}}
    ),
    "PATCH /api/integrations/{id:str}": _thing("PATCH", "/api/integrations/{id}", "integration", {"enabled": False}),
    "DELETE /api/integrations/{id:str}": _thing("DELETE", "/api/integrations/{id}", "integration"),
    "POST /api/integrations/{id:str}/rotate": _thing("POST", "/api/integrations/{id}/rotate", "integration", {}),
    "POST /api/integrations/{id:str}/test": _thing("POST", "/api/integrations/{id}/test", "integration", {}),
    "POST /api/channels": _new("/api/channels", HOOK),
    "PUT /api/channels/{id:str}": _thing("PUT", "/api/channels/{id}", "channel", {"name": "a channel put", **HOOK}),
    "PATCH /api/channels/{id:str}": _thing("PATCH", "/api/channels/{id}", "channel", {"enabled": False}),
    "DELETE /api/channels/{id:str}": _thing("DELETE", "/api/channels/{id}", "channel"),
    "POST /api/channels/{id:str}/rotate": _thing("POST", "/api/channels/{id}/rotate", "channel", {}),
    "POST /api/channels/{id:str}/test": _thing("POST", "/api/channels/{id}/test", "channel"),
    "PATCH /api/workspace": _workspace,
    "POST /api/config/apply": _apply,
    "PATCH /api/retention": _retention,
    "POST /api/api-keys": _new("/api/api-keys", {"scopes": ["alerts:read"]}),
    "DELETE /api/api-keys/{id:str}": _revoke_key,
    "POST /api/auth/setup": _setup,
    "POST /api/auth/sign-in": _sign_in,
    "POST /api/auth/sign-out": _own("POST", "/api/auth/sign-out"),
    "PATCH /api/auth/me": _own("PATCH", "/api/auth/me", {"name": "Other"}),
    "POST /api/auth/password": _own("POST", "/api/auth/password", {"current": PASSWORD, "new": OTHER_PASSWORD}),
    "POST /api/auth/step-up": _own("POST", "/api/auth/step-up", {"password": PASSWORD}),
    "POST /api/auth/reset": _reset,
    "POST /api/auth/totp/enrol": _own("POST", "/api/auth/totp/enrol"),
    "POST /api/auth/totp/confirm": _confirm,
    "DELETE /api/auth/totp": _own("DELETE", "/api/auth/totp", totp=True),
    "POST /api/auth/passkeys": _passkey_made,
    "PATCH /api/auth/passkeys/{id:str}": _passkey("PATCH", "/api/auth/passkeys/{id}", {"name": "Other"}),
    "DELETE /api/auth/passkeys/{id:str}": _passkey("DELETE", "/api/auth/passkeys/{id}"),
    "POST /api/auth/sign-in/passkey": _passkey_signed("/api/auth/sign-in/passkey"),
    "POST /api/auth/step-up/passkey": _passkey_signed("/api/auth/step-up/passkey"),
    "DELETE /api/auth/identities/{id:str}": _unlink,
    "POST /api/auth/recovery-codes": _own("POST", "/api/auth/recovery-codes", totp=True),
    "DELETE /api/sessions/{id:str}": _session,
    "DELETE /api/sessions": _own("DELETE", "/api/sessions"),
    "PATCH /api/people/{id:str}": _thing("PATCH", "/api/people/{id}", "somebody", {"role": "viewer", "disabled": True}),
    "DELETE /api/people/{id:str}": _thing("DELETE", "/api/people/{id}", "somebody"),
    "POST /api/people/{id:str}/reset-link": _thing("POST", "/api/people/{id}/reset-link", "somebody", {}),
    "POST /api/people/{id:str}/export": _thing("POST", "/api/people/{id}/export", "somebody"),
    "POST /api/people/{id:str}/erase": _thing("POST", "/api/people/{id}/erase", "somebody"),
    "POST /api/people/{id:str}/unlock": _thing("POST", "/api/people/{id}/unlock", "somebody"),
    "POST /api/invitations": lambda stage: (
        lambda: stage.ask("POST", "/api/invitations", {"email": f"{stage.name()}@example.com", "role": "member"})
    ),
    "DELETE /api/invitations/{id:str}": _revoke_invitation,
    "POST /api/invitations/accept": _accept,
    "POST /api/metrics/rebuild": lambda stage: lambda: stage.ask("POST", "/api/metrics/rebuild"),
    "POST /api/query": lambda stage: lambda: stage.ask("POST", "/api/query", {"sql": "select 1"}),
}
ELSEWHERE = {
    "POST /webhooks/slack/actions": "test_a_press_in_slack_and_a_signed_link_write_a_row_each",
    "POST /answer/{token:str}": "test_a_press_in_slack_and_a_signed_link_write_a_row_each",
    "POST /api/hold/resume": "tests/stories/test_held.py",
    "POST /api/archive/restore": "tests/http/test_retention.py",
    "POST /control/retention/run": "tests/cli/test_retention.py",
    "POST /control/archive/verify": "tests/cli/test_retention.py",
    "POST /api/backups": "tests/stories/test_backups.py",
    "POST /control/upgrades": "tests/stories/test_deployments.py",
    "POST /control/backups": "tests/cli/test_backup.py",
    "POST /control/backups/verify": "tests/cli/test_backup.py",
    "POST /control/backups/prune": "tests/cli/test_backup.py",
    "POST /control/digest": "tests/stories/test_digest.py",
    "POST /control/people": "tests/cli/test_audit.py",
    "POST /control/people/{id:str}/password": "tests/cli/test_audit.py",
    "POST /control/integrations/{name:str}/webhook": "tests/cli/test_audit.py",
    "POST /control/keys/rotate": "tests/cli/test_audit.py",
    "POST /control/keys/escrow": "tests/cli/test_audit.py",
    "POST /control/config/export": "tests/cli/test_audit.py",
    "POST /control/person/export": "tests/cli/test_person.py",
    "POST /control/person/erase": "tests/cli/test_person.py",
}
"""Asked otherwise than by HTTP with JSON: the test that counts their rows."""

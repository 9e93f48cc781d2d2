"""One good request for every operation of the OpenAPI document: its example, with things that exist put in."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import httpx

from signalcraft.domain import totp
from tests.http.browsing import Browser
from tests.http.test_answers import form, payload, press
from tests.security.ground import NOWHERE, PASSWORD, UNLIMITED, Ground, token_of
from tests.world import SIGNING_SECRET, World

NEW_PASSWORD: Final = "another-Tractor-lunar-9"
UNREACHED: Final = {
    "add_passkey": "needs an authenticator: tests of passkeys use Chromium's",
    "sign_in_by_passkey": "the same",
    "step_up_by_passkey": "the same",
    "begin_passkey_step_up": "the same",
    "rename_passkey": "the same",
    "remove_passkey": "the same",
    "begin_oidc": "answers 302 to an identity provider: tests of single sign-on have one",
    "end_oidc": "the same",
    "unlink_identity": "the same",
    "get_drill_report": "needs a drill that ended: tests/services/care/test_drill.py has one",
    "restore_archive": "needs a month in the archive: tests/http/test_retention.py has one",
    "resume": "needs a box that was restored and is held: tests/stories/test_held.py has one",
    "replay_quarantine": "needs a webhook of a known integration in quarantine: tests/http/test_quarantine.py has one",
    "replay_quarantined": "needs a webhook that could not be read and now can: tests/http/test_quarantine.py has one",
}
"""Operations that no request of ours brings to a success, and why."""


class Good(NamedTuple):
    """What to send: the path, the body (None for none), the query, and who asks (None: the key)."""

    path: str
    body: Any = None
    query: str = ""
    browser: Browser | None = None


def good(ground: Ground, operation: dict[str, Any], path: str, *, by_key: bool) -> Good:
    """The request for an operation."""
    name = operation["operationId"]
    content = operation.get("requestBody", {}).get("content", {})
    body = next((shown["example"] for shown in content.values()), None)
    made = MADE.get(name)
    if made is not None:
        return made(ground, path, body)
    if name in UNREACHED:
        path = path.replace("{id}", "0" * 13)
    elif "{id}" in path:
        path = path.replace("{id}", ground.fresh(path.partition("/{id}")[0]))
    if isinstance(body, dict) and "name" in body and name.startswith(("create", "replace")):
        body = {**body, "name": f"{body['name']} {next(ground.numbers)}"}
    return Good(path, body, browser=None if by_key else ground.me)


def for_key(operation: dict[str, Any]) -> bool:
    """Whether an API key may ask it; nobody need, where it is open to everybody."""
    return "security" not in operation or any("key" in way for way in operation["security"])


def send(ground: Ground, operation: dict[str, Any], method: str, request: Good) -> httpx.Response:
    """Sends it."""
    url = request.path + request.query
    if request.browser is not None:
        return request.browser.ask(method.upper(), url, request.body)
    if isinstance(request.body, bytes):
        return ground.world.api.request(method.upper(), url, content=request.body)
    return ground.world.api.request(method.upper(), url, json=request.body)


# -- those that need more than an id ----------------------------------------------------------------------------------


def _after(*verbs: str) -> Callable[[Ground, str, Any], Good]:
    def made(ground: Ground, path: str, body: Any) -> Good:
        group = ground.fresh("/api/alert-groups")
        for verb in verbs:
            said = {"minutes": 60} if verb == "snooze" else {}
            ground.world.post(f"/api/alert-groups/{group}/{verb}", said)
        return Good(path.replace("{id}", group), body)

    return made


def _named(ground: Ground, path: str, body: Any) -> Good:
    return Good(path, {**body, "name": f"a good one {next(ground.numbers)}", "config": {"url": NOWHERE}})


def _replaced(ground: Ground, path: str, body: Any) -> Good:
    _, more, _, _ = _named(ground, path, body)
    return Good(path.replace("{id}", ground.fresh("/api/channels")), more)


def _account(body_of: Callable[[Browser], Any] = lambda _: None) -> Callable[[Ground, str, Any], Good]:
    """Asked by a person of their own, who may lose their session by it."""

    def made(ground: Ground, path: str, body: Any) -> Good:
        browser = ground.browser()
        return Good(path, body_of(browser), browser=browser)

    return made


def _confirm(browser: Browser) -> dict[str, str]:
    import base64

    secret = base64.b32decode(browser.post("/api/auth/totp/enrol")["secret"])
    return {"code": totp.code_at(secret, browser.world.clock.at_ms // totp.STEP_MS)}


def _with_factor(browser: Browser) -> None:
    browser.enrols()


def _reset(ground: Ground, path: str, body: Any) -> Good:
    it = ground.world.post(f"/api/people/{ground.fresh('/api/people')}/reset-link", {})
    return Good(
        path,
        {"token": token_of(it["url"]), "password": NEW_PASSWORD},
        browser=ground.enter_context(Browser(ground.world)),
    )


def _preview(ground: Ground, path: str, body: Any) -> Good:
    return Good(
        path, {"token": token_of(ground.invitation()["url"])}, browser=ground.enter_context(Browser(ground.world))
    )


def _accept(ground: Ground, path: str, body: Any) -> Good:
    it = ground.invitation()
    said = {"token": token_of(it["url"]), "email": it["email"], "name": "New", "password": PASSWORD}
    return Good(path, said, browser=ground.enter_context(Browser(ground.world)))


def _sign_in(ground: Ground, path: str, body: Any) -> Good:
    said = {"email": ground.me.who["person"]["email"], "password": PASSWORD}
    return Good(path, said, browser=ground.enter_context(Browser(ground.world)))


def _set_up(ground: Ground, path: str, body: Any) -> Good:
    """A box of its own, that nobody owns yet."""
    world = ground.enter_context(World(ground.world.data_dir.parent / "second", **UNLIMITED))
    code = world._call(world.house.people.new_setup_code())
    said = {"code": code, "email": "first@example.com", "name": "First", "password": PASSWORD}
    return Good(path, said, browser=ground.enter_context(Browser(world)))


def _link(ground: Ground, path: str, body: Any) -> Good:
    return Good(path.replace("{token}", ground.link()))


def _comment(ground: Ground, path: str, body: Any) -> Good:
    group = ground.fresh("/api/alert-groups")
    made = ground.world.post(f"/api/alert-groups/{group}/comments", {"body": "first"})
    return Good(path.replace("{id}", group).replace("{comment}", made["id"]), body)


def _shared(ground: Ground, path: str, body: Any) -> Good:
    group = ground.fresh("/api/alert-groups")
    made = ground.world.post(f"/api/alert-groups/{group}/share", {"hours": 1})
    path = path.replace("{id}", group).replace("{share}", made["id"])
    return Good(path.replace("{token}", made["url"].rpartition("/")[2]), body)


def _order(ground: Ground, path: str, body: Any) -> Good:
    ground.fresh("/api/routing-rules")
    return Good(path, {"ids": [one["id"] for one in ground.world.get("/api/routing-rules")["items"]]})


def _webhook(ground: Ground, path: str, body: Any) -> Good:
    ground.mend()
    return Good(httpx.URL(ground.generic["webhook_url"]).path, json.dumps(body).encode())


def _press(ground: Ground, path: str, body: Any) -> Good:
    return Good(path, form(payload(ground.fresh("/api/alert-groups"))))


MADE: Final[dict[str, Callable[[Ground, str, Any], Good]]] = {
    "unsnooze_alert_group": _after("snooze"),
    "reopen_alert_group": _after("resolve"),
    "create_channel": _named,
    "replace_channel": _replaced,
    "reorder_routing_rules": _order,
    "change_my_password": _account(lambda _: {"current": PASSWORD, "new": NEW_PASSWORD}),
    "sign_out": _account(),
    "revoke_other_sessions": _account(),
    "enrol_totp": _account(),
    "confirm_totp": _account(_confirm),
    "end_totp": _account(_with_factor),
    "renew_recovery_codes": _account(_with_factor),
    "step_up": _account(lambda _: {"password": PASSWORD}),
    "rename_me": _account(lambda _: {"name": "Another name"}),
    "reset_password": _reset,
    "set_up": _set_up,
    "preview_invitation": _preview,
    "accept_invitation": _accept,
    "sign_in": _sign_in,
    "show_answer_link": _link,
    "use_answer_link": _link,
    "change_comment": _comment,
    "delete_comment": _comment,
    "revoke_share": _shared,
    "show_shared": _shared,
    "receive_webhook": _webhook,
    "slack_actions": _press,
    "get_alert_group_sparklines": lambda ground, path, body: Good(
        path, query=f"?ids={ground.fresh('/api/alert-groups')}"
    ),
    "get_api_page_file": lambda ground, path, body: Good(path.replace("{name}", "page.js")),
}

__all__ = ["SIGNING_SECRET", "UNREACHED", "Good", "for_key", "good", "press", "send"]

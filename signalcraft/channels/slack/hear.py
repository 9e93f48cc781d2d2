"""What people press in Slack: block_actions payloads, over HTTP with Slack's signature or over Socket Mode.

Signature: https://docs.slack.dev/authentication/verifying-requests-from-slack
Payload: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
"""

from __future__ import annotations

import hashlib
import hmac
import re
import urllib.parse
from typing import Any, Final, Literal

import msgspec

from signalcraft.channels.slack.text import fit
from signalcraft.domain.delivery import Act, HttpCall
from signalcraft.domain.event import HttpInbound
from signalcraft.errors import BadSignature, Unreadable

TOLERANCE_S: Final = 300
SNOOZE_MINUTES: Final = 60
"""What the plain Snooze button means."""
SNOOZE_MAX_MINUTES: Final = 60 * 24 * 30
NAME_MAX: Final = 80

_STAMP = re.compile(r"\d{1,12}", re.ASCII)
_MINUTES = re.compile(r"\d{1,6}", re.ASCII)


def hear(config: Any, inbound: HttpInbound, now_ms: int) -> list[Act]:
    """What was pressed; an empty list for payloads that ask nothing of us (a link button, a dialog).

    Raises BadSignature where the signature is missing, wrong, or more than five minutes old or ahead, and Unreadable
    for a signed body that is not Slack's form.
    """
    _verify(config.signing_secret, inbound, now_ms)
    try:
        form = urllib.parse.parse_qs(
            inbound.body.decode("utf-8"), keep_blank_values=True, max_num_fields=20, errors="strict"
        )
    except ValueError as fault:
        raise Unreadable("the body is not a form") from fault
    if "ssl_check" in form:
        return []
    found = form.get("payload", [])
    if len(found) != 1:
        raise Unreadable("the form has no single field `payload`")
    try:
        payload = msgspec.json.decode(found[0])
    except (msgspec.DecodeError, RecursionError) as fault:
        raise Unreadable("the field `payload` is not JSON") from fault
    if not isinstance(payload, dict):
        raise Unreadable("the payload is not an object")
    return parse_payload(payload)


def _verify(secret: str, inbound: HttpInbound, now_ms: int) -> None:
    stamp = inbound.headers.get("x-slack-request-timestamp", "")
    given = inbound.headers.get("x-slack-signature", "")
    if not secret:
        raise BadSignature("this channel has no signing secret")
    if not _STAMP.fullmatch(stamp) or not given:
        raise BadSignature("the request carries no Slack signature")
    # The signature is over the raw form, not over what it decodes to.
    base = b"v0:" + stamp.encode("ascii") + b":" + inbound.body
    expected = "v0=" + hmac.new(secret.encode("utf-8"), base, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode("ascii"), given.encode("utf-8", "replace")):
        raise BadSignature("the Slack signature is wrong")
    if abs(now_ms - int(stamp) * 1000) > TOLERANCE_S * 1000:
        raise BadSignature("the request is more than five minutes old, or a clock is wrong")


def parse_payload(payload: dict[str, Any]) -> list[Act]:
    """The acts of one interaction payload: HTTP's form and Socket Mode's envelope carry the same. Raises Unreadable."""
    if payload.get("type") != "block_actions":
        return []
    user, actions = payload.get("user"), payload.get("actions")
    if not isinstance(user, dict) or not isinstance(actions, list):
        raise Unreadable("the payload names no user or no actions")
    who_id = user.get("id")
    if not isinstance(who_id, str) or not who_id:
        raise Unreadable("the payload's user has no id")
    name = next((n for n in (user.get("username"), user.get("name")) if isinstance(n, str) and n.strip()), who_id)
    answer_url = payload.get("response_url")
    acts = []
    for action in actions:
        if not isinstance(action, dict):
            raise Unreadable("an action is not an object")
        said = _said(action)
        if said is None:
            continue
        verb, group_id, minutes, until_nine = said
        acts.append(
            Act(
                verb=verb,
                group_id=group_id,
                who_id=who_id[:NAME_MAX],
                who_name=name.strip()[:NAME_MAX],
                via="slack",
                minutes=minutes,
                until_nine=until_nine,
                answer_url=answer_url if isinstance(answer_url, str) else "",
            )
        )
    return acts


_Verb = Literal["ack", "snooze", "resolve", "unsnooze"]
_VERBS: Final[dict[str, _Verb]] = {
    "ack": "ack",
    "snooze": "snooze",
    "snooze_for": "snooze",
    "resolve": "resolve",
    "unsnooze": "unsnooze",
}


def _said(action: dict[str, Any]) -> tuple[_Verb, str, int | None, bool] | None:
    """(verb, group id, minutes, until nine) of one action; None for one that is not ours."""
    action_id = action.get("action_id")
    verb = _VERBS.get(action_id) if isinstance(action_id, str) else None
    if verb is None:
        return None
    value = action.get("value")
    if value is None and isinstance(action.get("selected_option"), dict):
        value = action["selected_option"].get("value")
    if not isinstance(value, str) or not value or len(value) > 200:
        raise Unreadable(f"the button {action_id} names no alert group")
    group_id, _, wish = value.partition(":")
    if verb != "snooze":
        return verb, group_id, None, False
    if wish == "nine":
        return verb, group_id, None, True
    if not wish:
        return verb, group_id, SNOOZE_MINUTES, False
    if not _MINUTES.fullmatch(wish) or not 0 < int(wish) <= SNOOZE_MAX_MINUTES:
        raise Unreadable("the menu names no length of time that we offer")
    return verb, group_id, int(wish), False


def answer(config: Any, act: Act, text: str) -> HttpCall:
    """The call that tells the person who pressed, and nobody else. For acts with an `answer_url` only.

    The address comes with the payload, so it is held to public ones, unless it lies where the operator's Slack lies.
    """
    api_url = getattr(config, "api_url", "")
    api_host = urllib.parse.urlsplit(api_url).hostname if api_url else None
    try:
        host = urllib.parse.urlsplit(act.answer_url).hostname
    except ValueError:
        host = None
    return HttpCall(
        method="POST",
        url=act.answer_url,
        headers={"Content-Type": "application/json; charset=utf-8"},
        body=msgspec.json.encode(
            {"response_type": "ephemeral", "replace_original": False, "text": fit(text, 2900) or "Done."}
        ),
        private_ok=host is not None and host == api_host,
    )

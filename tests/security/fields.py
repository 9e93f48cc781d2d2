"""Every text field of the API: bodies and queries that hold a given text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def bodies(text: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every body of the API with a text in it: method, path, body."""
    leaf = {"field": "title", "operator": "equals", "value": text}
    rule = {"name": text[:100], "when": {"all": [leaf]}, "channels": ["hook"]}
    yield "POST", "/api/routing-rules", {**rule, "enabled": False}
    yield "POST", "/api/routing-rules", {**rule, "name": "m", "mention": text, "runbook_url": text, "enabled": False}
    yield "POST", "/api/routing-rules", {**rule, "name": "c", "channels": [text], "escalate_to": [text]}
    yield "POST", "/api/routing-rules", {**rule, "when": {"all": [{**leaf, "operator": "regex"}]}, "enabled": False}
    yield "POST", "/api/routing-rules", {**rule, "when": {"all": [{**leaf, "field": text}]}}
    yield (
        "POST",
        "/api/routing-rules/test",
        {"rule": rule, "event": {"title": text, "message": text, "tags": {text: text}}},
    )
    yield "POST", "/api/integrations", {"name": text[:100], "kind": "generic", "config": {}}
    yield "POST", "/api/integrations", {"name": "t", "kind": "generic", "token": text, "config": {"secret": text}}
    yield "POST", "/api/integrations", {"name": "k", "kind": text, "config": {text: text}}
    yield "POST", "/api/channels", {"name": text[:100], "kind": "webhook", "config": {"url": "http://127.0.0.1:9/"}}
    headers = {"url": "http://127.0.0.1:9/", "authorization": text, "headers": {"X-Team": text, text: "x"}}
    yield "POST", "/api/channels", {"name": "h", "kind": "webhook", "config": headers}
    mail = {"host": text, "sender": text, "recipients": [text], "username": text, "password": text}
    yield "POST", "/api/channels", {"name": "e", "kind": "email", "config": mail}
    slack = {"bot_token": text, "channel": text, "signing_secret": text}
    yield "POST", "/api/channels", {"name": "s", "kind": "slack", "config": slack}
    yield "POST", "/api/api-keys", {"name": text[:100], "scopes": ["alerts:read"]}
    yield "POST", "/api/api-keys", {"name": "s", "scopes": [text], "expires_at": text}
    yield "POST", "/api/invitations", {"email": text, "role": "member"}
    yield "POST", "/api/invitations", {"email": f"{text[:60]}@example.com", "role": "member"}
    yield (
        "POST",
        "/api/config/apply",
        {"toml": f"[[integrations]]\nname = {json.dumps(text)}\nkind = 'generic'\n", "dry_run": True},
    )
    yield "POST", "/api/config/apply", {"toml": text, "dry_run": True}
    yield "PATCH", "/api/workspace", {"default_channels": [text]}
    yield "POST", "/api/auth/sign-in", {"email": text, "password": text, "code": text[:40]}
    yield "POST", "/api/invitations/accept", {"token": text, "email": text, "password": text, "name": text}
    yield "POST", "/api/auth/setup", {"code": text[:40], "email": text, "password": text, "name": text}


QUERIES = (
    "/api/alert-groups?project={}", "/api/alert-groups?environment={}", "/api/alert-groups?q={}",
    "/api/alert-groups?search={}", "/api/alert-groups/sparklines?ids={}",
    "/api/alert-groups?status={}", "/api/alert-groups?cursor={}", "/api/events?group={}", "/api/events?project={}",
    "/api/deliveries?state={}", "/api/quarantine?state={}", "/api/dashboard/overview?range={}", "/api/events/{}",
    "/api/alert-groups/{}", "/api/channels/{}", "/api/people/{}", "/api/docs/{}", "/answer/{}", "/api/{}", "/{}",
)  # fmt: skip

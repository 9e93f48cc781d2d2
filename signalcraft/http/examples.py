"""Examples for the OpenAPI document: what a body, an answer, a parameter looks like in practice.

An example is made from its schema, field by field: a whole body of ours where one is written down here (by operation or
by type), else a value by type and field, else by the field's name. What none of them knows has no example, and a test
says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from signalcraft.http.example_types import AT, ID, OF_TYPE

_MISSING: Final = object()

BODIES: Final[dict[str, Any]] = {
    "acknowledge_alert_group": {"note": "Looking at it"},
    "resolve_alert_group": {"note": "Rolled back"},
    "assign_alert_group": {"assignee": "on call"},
    "write_comment": {"body": "The pool is **empty** again"},
    "change_comment": {"body": "The pool *was* empty"},
    "share_alert_group": {"hours": 24},
    "snooze_alert_group": {"minutes": 60},
    "answer_alert_groups": {"ids": [ID], "verb": "snooze", "minutes": 60},
    "create_view": {"name": "Production now", "search": "environment:production status:open", "shared": True},
    "change_view": {"name": "Production tonight"},
    "create_api_key": {"name": "the deploy script", "scopes": ["alerts:read"], "expires_at": None},
    "apply_configuration": {"toml": '[[integrations]]\nname = "shop"\nkind = "generic"\n', "dry_run": True},
    "create_channel": {"name": "ops hook", "kind": "webhook", "config": {"url": "https://hooks.example.com/alerts"}},
    "replace_channel": {"name": "ops hook", "kind": "webhook", "config": {"url": "https://hooks.example.com/new"}},
    "change_channel": {"enabled": False},
    "rotate_channel": {"overlap_minutes": 60},
    "create_integration": {"name": "checkout", "kind": "generic", "config": {}},
    "replace_integration": {"name": "checkout", "kind": "generic", "config": {}},
    "change_integration": {"enabled": False},
    "rotate_integration": {"overlap_minutes": 60, "what": "token"},
    "invite": {"email": "new@example.com", "role": "member"},
    "change_person": {"role": "viewer"},
    "make_reset_link": {"second_factor": False},
    "create_routing_rule": {
        "name": "production is for on call",
        "priority": 10,
        "when": {"all": [{"field": "environment", "operator": "equals", "value": "production"}]},
        "channels": ["ops hook"],
    },
    "replace_routing_rule": {"name": "all of it", "priority": 20, "when": {}, "channels": ["ops hook"]},
    "change_routing_rule": {"priority": 30},
    "reorder_routing_rules": {"ids": [ID]},
    "test_routing_rule": {
        "rule": {
            "name": "a trial",
            "when": {"all": [{"field": "severity", "operator": "gte", "value": "high"}]},
            "channels": ["ops hook"],
        },
        "event": {"title": "Checkout is down", "severity": "critical"},
    },
    "preview_routing_rule": {
        "rule": {"when": {"all": [{"field": "severity", "operator": "gte", "value": "high"}]}},
        "last": 200,
    },
    "convert_routing_rule": {"toml": '[[rules]]\nname = "all of it"\nchannels = ["ops hook"]\n'},
    "try_quarantined": {"config": {"mapping": {"title": "incident.name"}}},
    "replay_quarantine": {"integration": "checkout"},
    "change_workspace": {"default_channels": ["ops hook"]},
    "retry_deliveries": {"channel": "ops hook"},
    "rename_me": {"name": "On call"},
    "receive_webhook": {"title": "Checkout is down", "severity": "critical", "environment": "production"},
}
"""Whole bodies, by operation."""

FIELDS: Final[dict[str, Any]] = {
    "accepted_at": None, "access": ["alerts:read", "alerts:write"], "acknowledged": 12, "acknowledged_at": None,
    "acknowledged_by": None, "action": "create", "actual": "production", "address": "203.0.113.7", "also": [],
    "applied": True, "asked": True, "attempts": 1, "attestationObject": "o2NmbXRkbm9uZQ", "authenticatorData": "SZYN5Y",
    "broken_at": None, "broken_seq": None, "broken_why": None, "chain": "9f86d081884c7d65", "changes": ["enabled"],
    "channel": "ops hook", "channels": ["ops hook"], "clientDataJSON": "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0",
    "code": "123456", "config": {}, "configuration": None, "count": 3, "credential_id": "AbCd", "csrf_token": "EXAMPLE",
    "current": "EXAMPLE password", "data": {}, "dedup_key": None, "detail": "It works.", "disabled_at": None,
    "dry_run": True, "email": "oncall@example.com", "environment": "production", "episode": 1, "erased": 0,
    "errors": [], "event": None, "events": 40, "expected": "production", "failures": 0, "field": "environment",
    "fingerprint": "9f86d081884c7d659a2feaa0c55ad015", "place": "http.keys.list_keys:62", "release": "0.1.0",
    "trace": "", "level": "error",
    "first_seq": 1, "group_key": "generic:checkout is down", "groups": 4, "has_account": False, "head": "9f86d081884c",
    "headers": {"content-type": "application/json"}, "hint": None, "holds": True, "integration": "checkout",
    "issuer": "https://id.example.com", "key": "sc_EXAMPLE", "kind": "generic", "label": "Generic JSON",
    "last_error": None, "last_used_at": None, "link": "https://shop.example.com/runs/7", "locked_until": None,
    "memory": None, "mention": None, "message": "The checkout answers 502.", "method": "password",
    "methods": ["password"], "mtta_seconds": 75.0, "mttr_seconds": 1800.0, "name": "checkout", "new": "EXAMPLE phrase",
    "next": None, "next_attempt_at": None, "note": "Looking at it", "oidc_label": None, "operator": "equals",
    "operators": ["equals"], "options": {"challenge": "EXAMPLE"}, "owner": None, "password": "EXAMPLE password",
    "path": "", "payload": None, "prefix": "sc_EXAM", "previous_until": None, "priority": 10, "project": "shop",
    "query": "", "range": "24h",
    "raw": '{"title": ', "raw_base64": "eyJ0aXRsZSI6IA==", "rawId": "AbCdEf", "reason": "",
    "recovery_codes": ["EXAMPLE-1"], "recovery_codes_left": 10, "refused": [], "request_id": "5f0c1a-1c",
    "resolution_note": None, "resolved": 9, "resolved_at": None, "resolved_by": None, "result": True,
    "revoked_at": None,
    "role": "member", "route": "/api/auth/sign-in", "rule": None, "runbook": None, "runbook_url": None,
    "rows": 120, "scopes": ["alerts:read"], "second_factor": False, "secret": None, "secrets": [], "sent_at": AT,
    "seq": 120,
    "severities": ["critical", "high"], "severity": "critical", "signature": "MEUCIQ", "snoozed_until": None,
    "source": "generic", "source_event_id": None, "state": "sent", "status": "open", "statuses": ["open"],
    "stored_bytes": 512, "subject": "248289761001", "suspicious": 0, "tags": {"region": "eu"}, "thing": None,
    "times": 6, "title": "Checkout is down", "token": "EXAMPLE-token", "token_hint": "…mple",
    "toml": '[[integrations]]\nname = "shop"\n',
    "transport": "tls", "transports": ["internal"], "type": "public-key", "uri": "otpauth://totp/SignalCraft",
    "url": "https://alerts.example.com/join#EXAMPLE", "userHandle": None, "user_agent": "Mozilla/5.0",
    "users_affected": 12, "velocity_per_hour": 3.0, "verb": "acknowledged", "version": "0.1.0", "warnings": [],
    "webhook_url": "https://alerts.example.com/webhooks/generic/EXAMPLE-token", "when": {}, "what": "integration",
    "why": None, "workspace": "default", "configured": True, "config_schema": {"type": "object"},
    "by_status": {"open": 4, "resolved": 9}, "components": {"storage": {"status": "ok", "detail": "It writes."}},
    "escalate_to": [], "escalate_after_minutes": 15, "repeat_minutes": None, "default_channels": ["ops hook"],
    "fallback_channel": None, "expires_at": "2026-06-02T09:00:00Z", "actor": "on call", "id": ID, "as_of": AT,
    "invited_by": "on call", "since": "2026-03-01T09:00:00Z", "until": AT, "from": "2026-03-01T09:00:00Z",
}  # fmt: skip
"""By the name of the field. Secrets say EXAMPLE: none is one."""

TEXTS: Final = {
    "text/event-stream": 'id: 0dv8m2k4c0001\nevent: group\ndata: {"id": "0dv8m2k4c0001", "verb": "opened"}\n\n',
    "text/html": '<!doctype html><html lang="en"><title>Checkout is down</title>…',
    "text/plain": "…",
    "text/javascript": '"use strict";\n',
    "text/css": "body { margin: 0; }\n",
    "text/csv": "seq,at,verb\n120,2026-03-02T09:00:00Z,channel_changed\n",
    "application/x-ndjson": '{"seq": 120, "at": "2026-03-02T09:00:00Z", "verb": "channel_changed"}\n',
    "application/octet-stream": '{"title": "Checkout is down"}',
}
"""Answers that are no JSON, by media type."""

OTHER_ANSWERS: Final[dict[str, Any]] = {
    "get_openapi": {"openapi": "3.1.0", "info": {"title": "SignalCraft"}, "paths": {}},
    "get_error_codes": "| code | status | meaning |\n|---|---|---|\n| `not_found` | 404 | No such thing. |\n",
    "get_metrics": "# TYPE signalcraft_events_total counter\nsignalcraft_events_total 40\n",
    "get_prometheus_metrics": "# TYPE signalcraft_events_total counter\nsignalcraft_events_total 40\n",
    "slack_actions": "",
    "receive_webhook": {
        "status": "accepted",
        "events": [{"event_id": ID, "group_id": "0dv8m2k4c0002", "duplicate": False, "sampled": False}],
    },
}
"""By operation."""


class Missing(LookupError):
    """Nothing here knows an example: its text says for what."""


def add(operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    """Puts an example beside every schema of an operation's body, answers and path, where one is known."""
    name = operation["operationId"]
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        _put(content, lambda media_type=media_type, content=content: _body(name, media_type, content, schemas))
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            for media_type, content in answer.get("content", {}).items():
                _put(content, lambda media_type=media_type, content=content: _told(name, media_type, content, schemas))
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter["example"] = {"source": "generic", "name": "page.js"}.get(
                parameter["name"], "EXAMPLE-token" if parameter["name"] == "token" else ID
            )


def _put(content: dict[str, Any], make: Any) -> None:
    try:
        content["example"] = make()
    except Missing as missing:
        content["x-no-example"] = str(missing)  # a test finds it, with the name of what is missing


def _body(operation: str, media_type: str, content: Any, schemas: Mapping[str, Any]) -> Any:
    found = BODIES.get(operation, _MISSING)
    return of(content["schema"], schemas) if found is _MISSING else found


def _told(operation: str, media_type: str, content: Any, schemas: Mapping[str, Any]) -> Any:
    found = OTHER_ANSWERS.get(operation, _MISSING)
    if found is not _MISSING:
        return found
    if media_type != "application/json":
        return TEXTS.get(media_type, "…")
    return of(content["schema"], schemas)


def of(schema: Mapping[str, Any], schemas: Mapping[str, Any], owner: str = "", field: str = "") -> Any:
    """An example of a schema: `owner` and `field` say where it stands. Raises Missing."""
    known = OF_TYPE.get((owner, field), _MISSING)
    if known is _MISSING and not _is_struct(schema):
        known = FIELDS.get(field, _MISSING)
    if known is not _MISSING and _fits(known, schema):
        return known
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _object(schemas[name], schemas, name)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            real = [one for one in schema[several] if one.get("type") != "null"]
            return of(real[0], schemas, owner, field)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    return _by_type(schema, schemas, owner, field)


def _is_struct(schema: Mapping[str, Any]) -> bool:
    inner = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), schema, schema.get("items", {})]
    return any("$ref" in one for one in inner)


def _object(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str) -> Any:
    if "properties" not in schema:
        return of(schema, schemas, name)
    return {field: of(inner, schemas, name, field) for field, inner in schema["properties"].items()}


def _by_type(schema: Mapping[str, Any], schemas: Mapping[str, Any], owner: str, field: str) -> Any:
    kind = schema.get("type")
    if kind == "array":
        return [of(schema["items"], schemas, owner, field.removesuffix("s"))]
    if kind == "object":
        return _object(schema, schemas, owner) if "properties" in schema else {}
    if kind == "boolean":
        return schema.get("default", False)
    if kind in ("integer", "number"):
        return schema.get("default", max(1, schema.get("minimum", 1)))
    if kind == "string":
        if field == "at" or field.endswith(("_at", "_until")):
            return AT
        if field in ("id", "ids") or field.endswith("_id"):
            return ID
    if kind == "null":
        return None
    raise Missing(f"{owner}.{field}")


_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list,),
    "object": (dict,), "null": (type(None),),
}  # fmt: skip


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a value is of a schema's outermost type: a name may mean two things in two places."""
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return any(_fits(value, one) for one in schema[several])
    if "enum" in schema:
        return value in schema["enum"]
    if "$ref" in schema:
        return value is None or isinstance(value, dict)
    kinds = _KINDS.get(schema.get("type", ""), (object,))
    return isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds or object in kinds)

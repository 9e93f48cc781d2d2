"""The OpenAPI document: drawn from the routes, with the faults, scopes and the webhook door that Litestar cannot know.

`python -m signalcraft.http openapi` prints it; docs/reference/openapi.json holds it; `/api/openapi.json` serves it.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Contact, License, Server
from litestar.routes import HTTPRoute

from signalcraft import __version__
from signalcraft.domain import roles
from signalcraft.http import apidocs, examples, problems
from signalcraft.http.auth import access_of, asks_step_up

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_TAGS: Final = {
    "alert groups": "What people work on: events of one problem, folded.",
    "events": "Every statement that a sender made.",
    "deliveries": "The ledger of messages that are owed, sent, failed or dropped.",
    "routing rules": "Who is told of an alert.",
    "integrations": "Who may send alerts here.",
    "channels": "Where people are told.",
    "quarantine": "Webhooks that could not be read.",
    "configuration": "The whole configuration at once, what kinds there are, and the workspace's own settings.",
    "dashboard": "What happened lately.",
    "live": "What happens, as it happens.",
    "api keys": "Who may ask.",
    "sign-in": "How people with a browser become somebody: a session in a cookie, a token against forged requests.",
    "people": "Who belongs to the workspace, and who may join it.",
    "audit": "Who did what, and what was refused.",
    "answers": "How people answer from outside. No API key: each is authenticated by its own signature.",
    "webhooks": "How alerts come in. No API key: the token in the path authenticates.",
    "health": "For load balancers, service managers and Prometheus.",
    "reference": "This document, and its page for people.",
}
_FAULTS: Final = {
    "Malformed": (400, "The body is not JSON, or the request breaks HTTP."),
    "NotSignedIn": (401, "Neither a session nor an API key, or one that is wrong, over, revoked or expired."),
    "Forbidden": (
        403,
        "The role or the API key does not allow it; or `code` says what is missing: csrf, step_up_needed, needs_tls.",
    ),
    "NotFound": (404, "No such thing in this workspace."),
    "Conflict": (409, "It makes no sense in the present state; `detail` says the state."),
    "Gone": (410, "It was there once: a link that was used, taken back, or has run out."),
    "TooSlow": (408, "The body did not arrive in time."),
    "ChangedMeanwhile": (412, "Somebody changed it since it was read (If-Match)."),
    "TooLarge": (413, "The body is larger than http.body_bytes_max."),
    "AddressTooLong": (414, "The address is longer than 8 KB, query included."),
    "WrongType": (415, "The body is of another type than JSON."),
    "Invalid": (422, "A field or parameter is wrong; `errors` names it."),
    "TooMany": (429, "Too many requests; Retry-After says when to come back."),
    "HeadersTooLarge": (431, "More header lines, or longer ones, than the settings allow."),
    "Internal": (500, "Something went wrong on our side; the log has it under the request id."),
    "Unavailable": (502, "The identity provider does not answer, or not as it should."),
    "Busy": (503, "Nothing can be written just now; Retry-After says when to come back."),
}
_HEALTH: Final = ("/health", "/health/live", "/health/ready", "/health/startup", "/live", "/ready")
_MORE: Final = {
    ("post", "/webhooks/slack/actions"): ("NotSignedIn", "TooLarge", "Invalid"),
    ("get", "/api/live"): ("Busy",),
    ("get", "/api/events"): ("NotFound",),
    ("get", "/api/deliveries"): ("NotFound",),
    ("post", "/api/deliveries/retry"): ("NotFound",),
    ("post", "/api/archive/restore"): ("NotFound",),
    ("post", "/api/hold/resume"): ("NotFound",),
    ("post", "/api/routing-rules/test"): ("NotFound",),
    ("post", "/api/routing-rules/preview"): ("NotFound",),
    ("put", "/api/routing-rules/{id}"): ("ChangedMeanwhile",),
    ("patch", "/api/routing-rules/{id}"): ("ChangedMeanwhile",),
    ("post", "/api/auth/setup"): ("NotSignedIn", "Forbidden", "Invalid", "TooMany"),
    ("post", "/api/auth/sign-in"): ("NotSignedIn", "Forbidden", "Invalid", "TooMany"),
    ("get", "/api/auth/oidc/start"): ("Forbidden", "NotFound", "Invalid", "Unavailable"),
    ("get", "/api/auth/oidc/callback"): (
        *("NotSignedIn", "Forbidden", "NotFound", "Gone", "TooMany", "Unavailable", "Busy"),
    ),
    ("post", "/api/auth/passkeys"): ("Gone",),
    ("post", "/api/auth/sign-in/passkey/options"): ("Forbidden",),
    ("post", "/api/auth/sign-in/passkey"): ("NotSignedIn", "Forbidden", "Gone", "Invalid", "TooMany"),
    ("post", "/api/auth/step-up/passkey"): ("Gone",),
    ("post", "/api/auth/reset"): ("Forbidden", "NotFound", "Gone", "Invalid"),
    ("post", "/api/invitations/preview"): ("Forbidden", "NotFound", "Gone", "Invalid"),
    ("post", "/api/invitations/accept"): ("NotSignedIn", "Forbidden", "NotFound", "Gone", "Invalid", "TooMany"),
}


_MEDIA: Final = {
    "show_answer_link": ("text/html",),
    "use_answer_link": ("text/html",),
    "show_shared": ("text/html",),
    "get_api_page_file": ("text/javascript", "text/css"),
    "slack_actions": ("text/plain",),
    "export_audit": ("text/csv", "application/x-ndjson"),
}
"""What an operation answers with, where the answer says it and the route does not."""
_PAGES: Final = {
    "404": "The link is not one of ours, or its alert group is no more: a page says so.",
    "410": "The link has expired: a page says so.",
}
"""The answers of a signed or shared link are pages for people, refusals too."""


@functools.cache
def document() -> bytes:
    """The document as JSON, indented, ending in a newline: the same bytes for the same program."""
    from signalcraft.http.app import build, routes

    config = OpenAPIConfig(
        title="SignalCraft",
        version=__version__,
        description=(
            "One self-hosted program that takes in every alert a team has and tells the right people. Times are RFC"
            " 3339 in UTC, ids are strings that sort by time, faults are RFC 9457 problems."
        ),
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        contact=Contact(name="SignalCraft"),
        servers=[Server(url="/")],
        path="/-",
        render_plugins=[],
        use_handler_docstrings=True,
    )
    app = build(routes(), 1, document=config)
    drawn: dict[str, Any] = app.openapi_schema.to_schema()
    handlers = {(route.path_format, handler.http_method): handler for route, handler in _handlers(app.routes)}
    paths = drawn["paths"]
    for path, item in paths.items():
        for method in _METHODS:
            if method in item:
                _finish(item[method], handlers[path, method.upper()], path, method)
    paths["/webhooks/{source}/{token}"] = {"post": _webhook()}
    codes = sorted(code for code, _, _ in problems.codes())
    drawn["paths"] = dict(sorted(paths.items()))
    components = drawn.setdefault("components", {})
    components["schemas"] = _schemas(one for (path, _), one in handlers.items() if path in paths)
    components["schemas"]["Problem"]["properties"]["code"]["enum"] = codes
    components["responses"] = {name: _response(status, text) for name, (status, text) in _FAULTS.items()}
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "An API key: sc_…"},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "__Host-signalcraft",
            "description": "A person's session: what a sign-in gives.",
        },
        "csrf": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRF-Token",
            "description": "The session's token against forged requests: `csrf_token` of GET /api/auth/me.",
        },
    }
    for item in paths.values():
        for operation in item.values():
            examples.add(operation, components["schemas"])
    drawn["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
    return json.dumps(drawn, indent=1, ensure_ascii=False).encode() + b"\n"


def _handlers(routes: Any) -> Iterator[tuple[HTTPRoute, Any]]:
    for route in routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                for method in handler.http_methods:
                    if method != "OPTIONS":
                        yield route, _OneMethod(handler, method)


class _OneMethod:
    def __init__(self, handler: HTTPRouteHandler, http_method: str) -> None:
        self.handler = handler
        self.http_method = http_method


def _finish(operation: dict[str, Any], one: _OneMethod, path: str, method: str) -> None:
    operation.pop("deprecated", None)
    operation["summary"] = one.handler.summary
    needed = scopes_of(one.handler)
    _say_access(operation, one.handler)
    if needed is not None:
        session: dict[str, list[str]] = {"session": []} if method == "get" else {"session": [], "csrf": []}
        operation["security"] = [*([{"key": list(needed)}] if needed else []), session]
        operation["description"] = f"{operation.get('description', '')}\n\n{_who(one.handler)}".strip()
    field = one.handler.parsed_data_field
    if field is not None and "requestBody" in operation:
        operation["requestBody"]["required"] = not field.is_optional
    for parameter in operation.get("parameters", ()):
        for noise in ("deprecated", "allowEmptyValue", "allowReserved"):
            parameter.pop(noise, None)
    _say_answers(operation, needed is not None, path, method, field is not None)


def _say_answers(operation: dict[str, Any], keyed: bool, path: str, method: str, body: bool) -> None:
    for answer in operation["responses"].values():
        answer.pop("headers", None)
    operation["responses"].pop("400", None)
    for name in (*_faults(keyed, path, method, body), *_MORE.get((method, path), ())):
        operation["responses"][str(_FAULTS[name][0])] = {"$ref": f"#/components/responses/{name}"}
    if path in _HEALTH:
        operation["responses"]["503"] = {**operation["responses"]["200"], "description": "It is not."}
    for answer in operation["responses"].values():
        content = answer.get("content", {})
        if content and operation["operationId"] in _MEDIA:
            answer["content"] = {one: {"schema": {"type": "string"}} for one in _MEDIA[operation["operationId"]]}
        elif content.get("application/json") == {"schema": {"type": "null"}}:
            del answer["content"]
    if operation["operationId"] == "get_openapi":
        operation["responses"]["200"]["content"] = {"application/json": {"schema": {"type": "object"}}}
    if path in ("/answer/{token}", "/share/{token}"):
        page = {"text/html": {"schema": {"type": "string"}}}
        operation["responses"] |= {status: {"description": text, "content": page} for status, text in _PAGES.items()}
    operation["responses"] = dict(sorted(operation["responses"].items()))


def scopes_of(handler: HTTPRouteHandler) -> tuple[str, ...] | None:
    """The scopes that an API key needs for a route; () where no key will do, None where nobody needs any."""
    access = access_of(handler)
    if access.resource == "public":
        return None
    scope = roles.scope_for(access)
    return () if scope is None else (scope,)


def _say_access(operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    """The same as the words of the description, for programs."""
    access = access_of(handler)
    operation["x-access"] = "public" if access.resource == "public" else str(access)
    if access.resource not in ("public", "account"):
        operation["x-roles"] = [role for role in roles.ROLES if access in roles.of_role(role)]
    if asks_step_up(handler):
        operation["x-step-up"] = True


def _who(handler: HTTPRouteHandler) -> str:
    """Who gets through, in words."""
    access = access_of(handler)
    if access.resource == "account":
        words = "For whoever is signed in, about themselves. Not for API keys."
    else:
        may = [role for role in roles.ROLES if access in roles.of_role(role)]
        words = f"Roles: {', '.join(may)}. Scope of an API key: `{roles.scope_for(access)}`."
    return f"{words} Asks people for their password again." if asks_step_up(handler) else words


def _faults(keyed: bool, path: str, method: str, body: bool) -> list[str]:
    names = ["NotSignedIn", "Forbidden", "TooMany"] if keyed else []
    if "{" in path:
        names.append("NotFound")
    if keyed:
        names.append("Invalid")
    if body:
        names += ["Malformed", "TooSlow", "TooLarge", "WrongType"]
    if method != "get":
        names += ["Conflict", "Busy"]
    return [*names, "AddressTooLong", "HeadersTooLarge", "Internal"]


def _response(status: int, text: str) -> dict[str, Any]:
    """An answer of every operation that says so, with a problem of each code that it may carry."""
    schema = {"$ref": "#/components/schemas/Problem"}
    shown = {
        code: {"summary": meaning, "value": problems.example(code, of_status, meaning)}
        for code, of_status, meaning in problems.codes()
        if of_status == status
    }
    answer = {"description": text, "content": {problems.MEDIA_TYPE: {"schema": schema, "examples": shown}}}
    if status in (429, 503):
        seconds = {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}}
        return {**answer, "headers": {"Retry-After": seconds}}
    return answer


def _schemas(handlers: Iterable[_OneMethod]) -> dict[str, Any]:
    """Every struct that goes in or out, as msgspec itself reads and writes it, with its docstring."""
    types: list[Any] = [problems.Problem]
    for one in handlers:
        answer = one.handler.parsed_return_field
        types += [inner.annotation for inner in answer.inner_types] or [answer.annotation]
        if one.handler.parsed_data_field is not None:
            types.append(one.handler.parsed_data_field.annotation)
    wanted = [t for t in types if t not in (None, type(None)) and not issubclass(_plain(t), Response | bytes | str)]
    _, found = msgspec.json.schema_components(wanted, ref_template="#/components/schemas/{name}")
    return dict(sorted(found.items()))


def _plain(annotation: Any) -> type:
    return annotation if isinstance(annotation, type) else object


def _webhook() -> dict[str, Any]:
    text = {"type": "string"}
    event = {
        "type": "object",
        "properties": {
            "event_id": text,
            "group_id": {"oneOf": [text, {"type": "null"}]},
            "duplicate": {"type": "boolean"},
            "sampled": {"type": "boolean"},
        },
        "required": ["event_id", "group_id", "duplicate", "sampled"],
    }
    accepted = {
        "type": "object",
        "properties": {"status": {"const": "accepted"}, "events": {"type": "array", "items": event}},
        "required": ["status", "events"],
    }
    faults = ("NotSignedIn", "NotFound", "TooSlow", "TooLarge", "WrongType", "Invalid", "TooMany", "Internal", "Busy")
    return {
        "tags": ["webhooks"],
        "summary": "A sender's webhook",
        "operationId": "receive_webhook",
        "x-access": "public",
        "description": (
            "Answered after the events are on disk. A vendor's own path may follow the token. A body that cannot be"
            " read is kept in quarantine and answered 422 with `quarantine_id`; a wrong signature is 401."
        ),
        "parameters": [
            {"name": "source", "in": "path", "required": True, "schema": text},
            {"name": "token", "in": "path", "required": True, "schema": text},
        ],
        "requestBody": {"content": {"*/*": {"schema": {}}}, "required": True},
        "responses": {
            "202": {"description": "Every event is on disk.", "content": {"application/json": {"schema": accepted}}},
            **{str(_FAULTS[name][0]): {"$ref": f"#/components/responses/{name}"} for name in faults},
        },
    }


@get(
    "/api/openapi.json",
    summary="The OpenAPI document",
    operation_id="get_openapi",
    tags=["reference"],
    media_type="application/json",
)
async def get_document() -> Response[bytes]:
    """OpenAPI 3.1 of this very program. Needs no key."""
    body = await asyncio.to_thread(document)
    return Response(body, media_type="application/json", headers={"cache-control": "public, max-age=300"})


@get(
    problems.DOCS,
    summary="The error codes",
    operation_id="get_error_codes",
    tags=["reference"],
    media_type="text/plain",
)
async def get_errors() -> Response[str]:
    """What each `code` of a problem means, as text. Needs no key."""
    return Response(problems.errors_page(), media_type="text/plain", headers={"cache-control": "public, max-age=300"})


ROUTES = [get_document, get_errors, *apidocs.ROUTES]

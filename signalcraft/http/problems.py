"""Every fault leaves as one RFC 9457 problem: application/problem+json with our code, the request's id and the fields.

https://www.rfc-editor.org/rfc/rfc9457.html
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from signalcraft import logs
from signalcraft.errors import BadSignature, Fault, Invalid, NotFound, TooLarge, TooMany

if TYPE_CHECKING:
    # Imported where it is used: the layer before the router needs this room, and stands before the framework is there.
    from litestar import Request, Response
    from litestar.exceptions import ValidationException

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
DOCS: Final = "/api/errors"
_PATH_AT_END: Final = re.compile(r"^(.*?)(?: - at `(?:key in )?\$(.*)`)?$", re.DOTALL)
_FIELD: Final = re.compile(r"(?:unknown|required) field `([^`]*)`")


class Malformed(Fault):
    """A body that is not JSON, or a request that HTTP does not allow."""

    code = "malformed"
    status = 400


class MethodNotAllowed(Fault):
    """The path exists, but not with this method; the header Allow names those it has."""

    code = "method_not_allowed"
    status = 405


class TooSlow(Fault):
    """The body did not arrive in time."""

    code = "too_slow"
    status = 408


class FieldProblem(Struct, frozen=True):
    """One thing that is wrong with what was sent. `path`: the field (`when.all[0].value`) or the query parameter."""

    path: str
    message: str


class Problem(Struct, frozen=True):
    """What went wrong, for programs (`code`) and people (`detail`). `request_id` is in our log too."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldProblem]
    docs: str


def problem_of(fault: Fault, request_id: str) -> Problem:
    """A fault as the document that leaves."""
    return Problem(
        type=f"urn:signalcraft:problem:{fault.code}",
        title=title(fault.code),
        status=fault.status,
        detail=fault.detail,
        code=fault.code,
        request_id=request_id,
        errors=[FieldProblem(path, message) for path, message in fault.errors],
        docs=f"{DOCS}#{fault.code}",
    )


def problem_body(fault: Fault, request_id: str, extra: Mapping[str, Any] | None = None) -> bytes:
    """The same as JSON bytes, with further members of our own."""
    problem = problem_of(fault, request_id)
    if not extra:
        return msgspec.json.encode(problem)
    return msgspec.json.encode({**msgspec.to_builtins(problem), **extra})


def title(code: str) -> str:
    """The code as words: "Not found"."""
    return code.replace("_", " ").capitalize()


def headers_of(fault: Fault) -> dict[str, str]:
    """What a fault says in headers: Retry-After, WWW-Authenticate (RFC 6750)."""
    headers: dict[str, str] = {}
    retry_after_s = getattr(fault, "retry_after_s", None)
    if retry_after_s is not None:
        headers["retry-after"] = str(retry_after_s)
    if isinstance(fault, TooMany) and fault.limit:
        headers |= {"ratelimit-limit": str(fault.limit), "ratelimit-remaining": "0"}
        headers["ratelimit-reset"] = str(retry_after_s)
    challenge = getattr(fault, "challenge", None)
    if fault.status == 401 and challenge is None and not isinstance(fault, BadSignature):
        challenge = 'Bearer realm="SignalCraft"'
    if challenge is not None:
        headers["www-authenticate"] = challenge
    return headers


def answer(request: Request[Any, Any, Any], problem: Exception) -> Response[bytes]:
    """The one exception map: whatever a route or the router raises becomes a problem, and nothing else."""
    from litestar import Response

    headers: dict[str, str] = {}
    fault = _known(problem, headers)
    request_id = str(request.scope.get("state", {}).get("request_id", ""))
    if fault is None:
        house = getattr(request.app.state, "house", None)
        fault = unexpected(problem, told=house is not None and house.settings.profile == "development")
    headers |= headers_of(fault)
    if isinstance(fault, TooLarge | TooSlow):
        headers["connection"] = "close"  # the rest of the body is not read
    body = problem_body(fault, request_id, getattr(fault, "extra", None))
    return Response(body, status_code=fault.status, media_type=MEDIA_TYPE, headers=headers)


def unexpected(problem: Exception, *, told: bool) -> Fault:
    """What is told of a fault of our own. The cause stays in the log, with the same request id.

    `told`: to developers it is told (`profile = "development"`, which serves nobody but loopback), without secrets.
    """
    log.error("a request failed unexpectedly", exc_info=problem)
    if told:
        return Fault(logs.redact(f"{type(problem).__name__}: {problem}")[:500])
    return Fault("something went wrong on our side; the log has it under this request id")


def _known(problem: Exception, headers: dict[str, str]) -> Fault | None:
    from litestar.exceptions import (
        HTTPException,
        InternalServerException,
        MethodNotAllowedException,
        NotFoundException,
        ValidationException,
    )
    from litestar.exceptions.http_exceptions import RequestEntityTooLarge

    if isinstance(problem, Fault):
        return problem
    if isinstance(problem, ValidationException):
        return _invalid(problem)
    if isinstance(problem, NotFoundException):
        return NotFound("there is nothing at this path")
    if isinstance(problem, MethodNotAllowedException):
        allowed = str((problem.headers or {}).get("allow", "")).split(", ")
        headers["allow"] = ", ".join(with_head(allowed))
        return MethodNotAllowed("this path does not take that method")
    if isinstance(problem, RequestEntityTooLarge):
        return TooLarge("the body is larger than http.body_bytes_max")
    if isinstance(problem, InternalServerException) and "disconnected" in problem.detail:
        return TooSlow("the client hung up before its body was whole")
    if isinstance(problem, HTTPException) and problem.status_code < 500:
        return Malformed(problem.detail or "the request cannot be read")
    return None


def with_head(methods: Iterable[str]) -> list[str]:
    """The methods of a path in order; whatever answers GET answers HEAD."""
    found = {m for m in methods if m}
    return sorted(found | {"HEAD"} if "GET" in found else found)


def _invalid(problem: ValidationException) -> Fault:
    found = problem.extra if isinstance(problem.extra, list) else []
    errors = []
    for one in found:
        key = str(one.get("key", ""))
        if key == "data":
            errors.append(("", "a JSON body is needed"))
        else:
            errors.append((key, _plain(str(one.get("message", "")))))
    if not errors:
        return Invalid(problem.detail)
    path, message = errors[0]
    return Invalid(f"{path}: {message}" if path else message, errors=tuple(errors))


def invalid_json(problem: msgspec.ValidationError) -> Invalid:
    """msgspec's "Expected `int`, got `str` - at `$.minutes`" as an Invalid that names the field."""
    match = _PATH_AT_END.match(str(problem))
    message, path = (match[1], match[2] or "") if match else (str(problem), "")
    field = _FIELD.search(message)
    if field:
        path = f"{path}.{field[1]}"
        message = "is needed" if "required" in message else "there is no such field"
    path = path.removeprefix(".").replace("[...]", "[]")
    return Invalid(f"{path}: {_plain(message)}" if path else _plain(message), errors=((path, _plain(message)),))


def _plain(message: str) -> str:
    return message.replace("`", "")


def codes() -> list[tuple[str, int, str]]:
    """(code, HTTP status, meaning) of every fault that can leave, by status and code."""
    found: dict[str, tuple[str, int, str]] = {}
    for fault in _faults(Fault):
        if "code" in vars(fault) and (fault.code not in found or not found[fault.code][2]):
            meaning = " ".join((fault.__doc__ or "").split())
            found[fault.code] = (fault.code, fault.status, meaning)
    found.pop("bad_setting", None)  # it stops the start; nothing listens then
    found["internal"] = ("internal", 500, "Something went wrong on our side; the log has it under the request id.")
    return sorted(found.values(), key=lambda one: (one[1], one[0]))


def example(code: str, status: int, meaning: str) -> dict[str, Any]:
    """A problem of a code, as the OpenAPI document shows it."""
    problem = Problem(
        type=f"urn:signalcraft:problem:{code}",
        title=title(code),
        status=status,
        detail=meaning,
        code=code,
        request_id="5f0c1a-1c",
        errors=[FieldProblem("minutes", "Expected int, got str")] if code == "invalid" else [],
        docs=f"{DOCS}#{code}",
    )
    shown: dict[str, Any] = msgspec.to_builtins(problem)
    return shown


def _faults(base: type[Fault]) -> Iterator[type[Fault]]:
    for fault in base.__subclasses__():
        if fault.__module__.startswith("signalcraft."):
            yield fault
        yield from _faults(fault)


def errors_page() -> str:
    """docs/reference/errors.md: drawn from the faults themselves."""
    rows = "\n".join(f'| <a id="{code}"></a>`{code}` | {status} | {meaning} |' for code, status, meaning in codes())
    return f"""# Errors

<!-- Generated: python -m signalcraft.http errors > docs/reference/errors.md -->

Every answer that is not a success is `application/problem+json` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457.html)):

```json
{{
  "type": "urn:signalcraft:problem:invalid",
  "title": "Invalid",
  "status": 422,
  "detail": "minutes: Expected int, got str",
  "code": "invalid",
  "request_id": "5f0c1a-1c",
  "errors": [{{"path": "minutes", "message": "Expected int, got str"}}],
  "docs": "/api/errors#invalid"
}}
```

`code` never changes; `detail` is for people and may. `request_id` is in the header `X-Request-ID` and in the log too;
send your own in that header and it is kept. `errors` names the fields or query parameters that are wrong. Answers 429
and 503 carry `Retry-After` in seconds, 401 carries `WWW-Authenticate`, 405 carries `Allow`. A webhook that was put in
quarantine adds `quarantine_id`.

| code | status | meaning |
|---|---|---|
{rows}
"""

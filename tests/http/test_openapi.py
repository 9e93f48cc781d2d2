"""The OpenAPI document and the page of error codes: fresh, whole, and true."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from litestar.handlers import HTTPRouteHandler

from signalcraft.domain import roles
from signalcraft.http import __main__ as printed
from signalcraft.http import openapi, problems
from signalcraft.http.app import routes
from signalcraft.http.auth import access_of, asks_step_up
from tests.conftest import ROOT
from tests.http.asking import asking
from tests.world import World

REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return dict(json.loads(openapi.document()))


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, one) for path, item in document["paths"].items() for method, one in item.items()]


def test_the_committed_document_is_fresh() -> None:
    """If it fails: make gen."""
    assert (REFERENCE / "openapi.json").read_bytes() == openapi.document()


def test_the_committed_error_page_is_fresh() -> None:
    """If it fails: make gen."""
    routes()
    assert (REFERENCE / "errors.md").read_text(encoding="utf-8") == problems.errors_page()


def test_the_box_serves_both_without_a_key(world: World, document: dict[str, Any]) -> None:
    answer = asking(world).get("/api/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == document
    page = asking(world).get("/api/errors")
    assert page.headers["content-type"] == "text/plain; charset=utf-8"
    assert "`not_found` | 404" in page.text


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    names = []
    tags = {tag["name"] for tag in document["tags"]}
    for path, method, one in operations(document):
        where = f"{method} {path}"
        assert one["summary"], where
        assert one["description"], where
        assert set(one["tags"]) <= tags, where
        assert any(code.startswith(("2", "3")) for code in one["responses"]), where
        names.append(one["operationId"])
        for name in re.findall(r"{(\w+)}", path):
            assert name in [p["name"] for p in one["parameters"] if p["in"] == "path"], where
    assert len(names) == len(set(names))


def test_every_operation_with_a_key_says_which_faults_it_has(document: dict[str, Any]) -> None:
    for path, method, one in operations(document):
        if "security" not in one:
            continue
        assert {"401", "403", "429", "500"} <= one["responses"].keys(), path
        assert ("csrf" in one["security"][-1]) == (method != "get"), path
        if "{" in path:
            assert "404" in one["responses"], path
        if "requestBody" in one:
            assert {"400", "408", "413", "415", "422"} <= one["responses"].keys(), f"{method} {path}"


def lacks(one: dict[str, Any]) -> Iterator[str]:
    """What an operation does not say."""
    yield from (part for part in ("summary", "description", "operationId", "tags", "x-access") if not one.get(part))
    access = one.get("x-access", "")
    if access == "public":
        if "security" in one:
            yield "it is open to everybody, but asks for something"
    else:
        if not any("session" in way for way in one.get("security", ())):
            yield "how a person gets in"
        if not access.startswith("account:") and not (one.get("x-roles") and "Roles: " in one.get("description", "")):
            yield "the roles"
    answers = one["responses"]
    if not any(status.startswith(("2", "3")) for status in answers):
        yield "an answer that is none of a fault"
    if "500" not in answers:
        yield "that we may fail"
    for content in [one.get("requestBody", {}), *(a for s, a in answers.items() if s.startswith("2"))]:
        for media_type, shown in content.get("content", {}).items():
            if "example" not in shown:
                yield f"an example of {media_type}: {shown.get('x-no-example')}"
    for status, answer in answers.items():
        if status >= "400" and "$ref" not in answer and not answer.get("content"):
            yield f"what {status} looks like"


def test_no_route_lacks_a_summary_who_may_its_errors_or_an_example(document: dict[str, Any]) -> None:
    """A new struct has a field that signalcraft/http/examples.py knows no example of? It is named here: add one."""
    found = [f"{method} {path}: {what}" for path, method, one in operations(document) for what in lacks(one)]
    assert found == []


@pytest.mark.parametrize(
    "part", ["summary", "description", "x-access", "security", "x-roles", "example", "answer example", "500"]
)
def test_a_route_that_lacks_something_is_found(document: dict[str, Any], part: str) -> None:
    one = json.loads(json.dumps(document["paths"]["/api/routing-rules"]["post"]))
    assert list(lacks(one)) == []
    if part == "example":
        del one["requestBody"]["content"]["application/json"]["example"]
    elif part == "answer example":
        del one["responses"]["201"]["content"]["application/json"]["example"]
    else:
        del one["responses" if part == "500" else part]
        one.setdefault("responses", {"201": {}})
    assert list(lacks(one)) != []


def test_every_example_is_what_its_schema_says(document: dict[str, Any]) -> None:
    schemas = {"components": document["components"]}
    seen = 0
    for path, method, one in operations(document):
        for content in [one.get("requestBody", {}), *one["responses"].values()]:
            for media_type, shown in content.get("content", {}).items():
                if media_type == "application/json" and "example" in shown:
                    validator = jsonschema_rs.validator_for({**shown["schema"], **schemas})
                    wrong = [
                        f"{error.instance_path}: {error.message}" for error in validator.iter_errors(shown["example"])
                    ]
                    assert wrong == [], f"{method} {path}"
                    seen += 1
    assert seen > 100


def test_every_code_of_a_problem_is_told_and_shown(document: dict[str, Any]) -> None:
    """A code that changes changes the document, which is committed."""
    codes = {code: status for code, status, _ in problems.codes()}
    assert document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"] == sorted(codes)
    shown: set[str] = set()
    for name, answer in document["components"]["responses"].items():
        examples = answer["content"]["application/problem+json"]["examples"]
        assert examples, name
        for code, example in examples.items():
            assert example["value"]["code"] == code
            assert example["value"]["status"] == codes[code]
        shown |= examples.keys()
    assert codes.keys() - shown <= {"method_not_allowed"}  # of no route


def test_who_may_is_told_as_the_table_says(document: dict[str, Any]) -> None:
    for route in routes():
        for path in route.paths if isinstance(route, HTTPRouteHandler) else ():
            shown = document["paths"].get(re.sub(r":\w+}", "}", path))
            if shown is None:
                continue  # for the owner of the box, or for browsers
            for method in route.http_methods - {"OPTIONS", "HEAD"}:
                one, access = shown[method.lower()], access_of(route)
                assert one["x-access"] == ("public" if access.resource == "public" else str(access))
                if "x-roles" in one:
                    assert one["x-roles"] == [role for role in roles.ROLES if access in roles.of_role(role)]
                assert one.get("x-step-up", False) == asks_step_up(route)


def test_every_reference_leads_somewhere_and_nothing_is_left_over(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    for kind in ("schemas", "responses"):
        named = set(re.findall(rf'"#/components/{kind}/([^"]+)"', text))
        assert named <= document["components"][kind].keys()
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', text)) == document["components"]["schemas"].keys()


def test_the_paths_of_the_contract_are_there(document: dict[str, Any]) -> None:
    """Other people's programs use exactly these."""
    wanted = {
        "get": ["/api/events", "/api/events/{id}", "/api/events/{id}/payload", "/api/alert-groups",
                "/api/alert-groups/{id}", "/api/alert-groups/{id}/events", "/api/alert-groups/{id}/timeline",
                "/api/alert-groups/{id}/deliveries", "/api/alert-groups/{id}/why", "/api/routing-rules",
                "/api/integrations", "/api/channels", "/api/deliveries", "/api/quarantine",
                "/api/dashboard/overview", "/api/live", "/api/openapi.json", "/health", "/health/live",
                "/health/ready", "/health/startup", "/live", "/ready", "/metrics", "/metrics/prometheus"],
        "post": ["/webhooks/{source}/{token}", "/webhooks/slack/actions", "/api/alert-groups/{id}/ack",
                 "/api/alert-groups/{id}/snooze", "/api/alert-groups/{id}/unsnooze", "/api/alert-groups/{id}/resolve",
                 "/api/alert-groups/{id}/reopen", "/api/alert-groups/{id}/assign", "/api/routing-rules",
                 "/api/routing-rules/{id}/enable", "/api/routing-rules/{id}/disable", "/api/routing-rules/reorder",
                 "/api/routing-rules/test", "/api/integrations", "/api/integrations/{id}/test",
                 "/api/integrations/{id}/rotate", "/api/channels", "/api/channels/{id}/test",
                 "/api/channels/{id}/rotate", "/api/deliveries/{id}/retry", "/api/deliveries/{id}/drop",
                 "/api/quarantine/{id}/replay", "/api/quarantine/{id}/drop"],
    }  # fmt: skip
    for method, paths in wanted.items():
        for path in paths:
            assert method in document["paths"].get(path, {}), f"{method} {path}"


def test_the_owners_own_routes_are_not_told(document: dict[str, Any]) -> None:
    assert not [path for path in document["paths"] if path.startswith("/control")]


def test_a_body_is_described_as_it_is_read(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["AckIn"]["additionalProperties"] is False
    assert schemas["SnoozeIn"]["properties"]["minutes"]["anyOf"][0]["minimum"] == 1
    ack = document["paths"]["/api/alert-groups/{id}/ack"]["post"]
    assert ack["requestBody"]["required"] is False
    snooze = document["paths"]["/api/alert-groups/{id}/snooze"]["post"]
    assert snooze["requestBody"]["required"] is True


def test_every_code_is_explained() -> None:
    found = problems.codes()
    assert len({code for code, _, _ in found}) == len(found)
    for code, status, meaning in found:
        assert 400 <= status < 600, code
        assert meaning.endswith((".", "?")), code


@pytest.mark.parametrize(("what", "starts"), [("openapi", "{"), ("errors", "# Errors")])
def test_both_are_printed(capfdbinary: pytest.CaptureFixture[bytes], what: str, starts: str) -> None:
    assert printed.main(what) == 0
    import sys

    sys.stdout.flush()
    assert capfdbinary.readouterr().out.startswith(starts.encode())
    assert printed.main("") == 2

"""schemathesis over the whole OpenAPI document: good requests, allowed and forbidden ones, every answer checked."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.core.failures import Failure, FailureGroup

from tests.security.ground import Ground
from tests.security.requests import UNREACHED, for_key, good, press, send

WAIVED: Final = {
    "positive_data_acceptance": "ids, names, tokens, passwords, rules and states have a meaning that no schema tells",
    "ignored_auth": "tests/http/test_access.py asks every route as everybody",
    "object_level_authorization": "the same test, with another workspace's owner",
    "unsupported_method": "no other methods are generated; tests/http/test_edge.py asks for 405 and Allow",
    "allow_header_conformance": "the same",
    "use_after_free": "needs sequences of requests; each resource's own test reads what was deleted",
    "ensure_resource_availability": "the same, with what was made",
    "missing_required_header": "no operation has a required header",
}
"""Checks of schemathesis that are not made, each with its reason."""
SPARED: Final = {
    "follow": "an answer without an end; tests/http/test_live.py reads it",
    "receive_webhook": "any bytes are a body; test_webhook_bodies.py sends them",
    "slack_actions": "the same: without a signature nothing is read",
}
"""Operations that are not fuzzed here (all are asked once)."""


def names() -> set[str]:
    """Every check that schemathesis has."""
    return {check.__name__ for check in CHECKS.get_all()}


@dataclass
class Report:
    """What came of it. `failures`: (operation, what) → the first example; `asked`: how many requests."""

    asked: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    succeeded: set[str] = field(default_factory=set)
    operations: set[str] = field(default_factory=set)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, operation: str, status: int) -> None:
        """One answer."""
        self.asked += 1
        self.statuses[status] += 1
        if 200 <= status < 400:
            self.succeeded.add(operation)

    def fail(self, operation: str, failure: Failure, about: str) -> None:
        """One answer that is wrong."""
        self.failures.setdefault((operation, failure.title), f"{failure.message[:600]}\n    {about[:600]}")

    def __str__(self) -> str:
        share = 100 * len(self.succeeded) / max(1, len(self.operations))
        wrong = "".join(f"\n{operation}: {what}: {about}" for (operation, what), about in self.failures.items())
        missed = sorted(self.operations - self.succeeded)
        return (
            f"{self.asked} requests to {len(self.operations)} operations, {share:.1f} % of them succeeded at least once"
            f"\nanswers by status: {dict(sorted(self.statuses.items()))}\nnever a success: {missed}"
            f"\n{len(self.failures)} failures{wrong}"
        )


class Attack:
    """Asks every operation of the document that the box serves."""

    def __init__(self, ground: Ground, wanted: int, start: int = 1) -> None:
        self.ground = ground
        self.start = start
        document = ground.world.get("/api/openapi.json")
        self.by_key = {one["operationId"]: for_key(one) for item in document["paths"].values() for one in item.values()}
        for item in document["paths"].values():
            for one in item.values():
                one.pop("security", None)  # credentials are ours to send, not to be made up
        self.schema = schemathesis.openapi.from_dict(document)
        self.operations = [found.ok() for found in self.schema.get_all_operations()]
        self.session = requests.Session()
        self.session.trust_env = False
        self.report = Report(operations={self._name(one) for one in self.operations})
        checks = {check.__name__: check for check in CHECKS.get_all()}
        self.waived = [checks[name] for name in WAIVED if name in checks]
        self.wanted = wanted
        self.each = max(4, wanted // (2 * len(self.operations)))

    @staticmethod
    def _name(operation: Any) -> str:
        return str(operation.definition.raw["operationId"])

    def run(self) -> Report:
        """All of it."""
        for operation in self.operations:
            self.once(operation)
        fuzzed = [one for one in self.operations if self._name(one) not in SPARED]
        for operation in fuzzed:
            self.ground.mend()
            self.many(operation, GenerationMode.POSITIVE)
        while self.report.asked < self.wanted:  # what has neither body nor query has only so many forms
            self.start += 1
            for operation in fuzzed:
                if operation.body or operation.query:
                    self.ground.mend()
                    self.many(operation, GenerationMode.NEGATIVE)
                    if self.start % 2 == 0:
                        self.many(operation, GenerationMode.POSITIVE)
        self.session.close()
        return self.report

    def once(self, operation: Any) -> None:
        """The good request."""
        name, raw = self._name(operation), operation.definition.raw
        request = good(self.ground, raw, operation.path, by_key=self.by_key[name])
        if name == "follow":
            with self.ground.world.api.stream("GET", request.path) as stream:
                self.report.add(name, stream.status_code)
            return
        if name == "slack_actions":
            answer = press(self.ground.world, request.body)
        else:
            answer = send(self.ground, raw, operation.method, request)
        self.report.add(name, answer.status_code)
        if answer.status_code >= 400 and name not in UNREACHED:
            self.report.failures.setdefault((name, "not a good request"), answer.text[:300])
        try:
            operation.validate_response(answer)
        except (Failure, FailureGroup) as failure:
            for one in getattr(failure, "exceptions", [failure]):
                self.report.fail(name, one, str(request))

    def many(self, operation: Any, mode: GenerationMode) -> None:
        """What the document allows, or what it does not."""
        name = self._name(operation)
        known = self._known(operation.path)
        count = 0

        @seed(self.start)
        @settings(
            max_examples=self.each, phases=[Phase.generate], database=None, deadline=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            nonlocal count
            count += 1
            if count % 3 and known:  # most ask about something that is there
                case.path_parameters.update(known[count % len(known)])
            self._ask(name, case, self.by_key[name])

        try:
            ask()
        except Unsatisfiable:
            pass  # nothing is forbidden here: any text may stand in its path

    def _known(self, path: str) -> list[dict[str, str]]:
        collection, _, _ = path.partition("/{id}")
        if "{id}" in path and collection in self.ground.makers:
            return [{"id": self.ground.fresh(collection)} for _ in range(2)]
        return [{"token": self.ground.link()}] if path.startswith("/answer/") else []

    def _ask(self, name: str, case: Any, by_key: bool) -> None:
        headers = {"Authorization": self.ground.key}
        if not by_key:
            me = self.ground.me
            cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in me.client.cookies.jar)
            headers = {"Cookie": cookies, "X-CSRF-Token": me.who["csrf_token"]}
        case.cookies.clear()
        case.headers = {
            k: v for k, v in (case.headers or {}).items() if k.lower() not in ("authorization", "x-csrf-token")
        }
        answer = case.call(base_url=self.ground.base, session=self.session, headers=headers, allow_redirects=False)
        self.session.cookies.clear()
        self.report.add(name, answer.status_code)
        try:
            case.validate_response(answer, excluded_checks=self.waived)
        except (Failure, FailureGroup) as failure:
            about = f"{case.method} {answer.request.url} {answer.request.body!r}"
            for one in getattr(failure, "exceptions", [failure]):
                if not of_the_query(one, str(answer.request.url)):
                    self.report.fail(name, one, about)


def of_the_query(failure: Failure, url: str) -> bool:
    """Whether a forbidden query is none when it is read: there are only texts in it, and one is a list of one.

    What stands there several times counts once, as elsewhere on the web.
    """
    if failure.title != "Schema-violating request accepted" or " in query" not in failure.message:
        return False
    if "violates `oneOf`" in failure.message:
        return True
    became = re.findall(r"violates `type` at /properties/\w+/(oneOf/\d+ \(was \w+, became number\))?", failure.message)
    if became and all(became):  # 0.0 is a text to a list of texts, and 1.0 is a whole number
        return True
    asked = parse_qs(urlsplit(url).query, keep_blank_values=True)
    violated = set(re.findall(r"violates `\w+` at /properties/(\w+)", failure.message))
    if violated and all(asked.get(name) == [""] for name in violated):  # a filter without a value is none
        return True
    return any(len(values) > 1 for values in asked.values())

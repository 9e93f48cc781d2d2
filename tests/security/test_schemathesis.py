"""Two thousand requests that the API's description allows or forbids: no fault of ours, every answer as described."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.security.asked import SPARED, WAIVED, Attack, Report, names
from tests.security.ground import Ground
from tests.security.requests import UNREACHED


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    with Ground(tmp_path_factory.mktemp("ground")) as ground:
        report = Attack(ground, 2_000).run()
    print(report)
    return report


def test_two_thousand_requests_find_no_fault_of_ours(report: Report) -> None:
    assert report.asked >= 2_000
    assert [status for status in report.statuses if status >= 500 and status != 503] == [], str(report)


def test_every_answer_is_as_the_document_says(report: Report) -> None:
    assert report.failures == {}, str(report)


def test_nine_operations_of_ten_succeed(report: Report) -> None:
    missed = report.operations - report.succeeded
    assert missed <= UNREACHED.keys(), str(report)
    assert len(report.succeeded) >= 0.9 * len(report.operations), str(report)


def test_every_check_is_made_or_waived_with_a_reason() -> None:
    made = {
        "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
        "response_schema_conformance", "negative_data_rejection",
    }  # fmt: skip
    assert names() == made | WAIVED.keys()
    assert all(reason for reason in [*WAIVED.values(), *SPARED.values(), *UNREACHED.values()])


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    """An answer that the document does not know, and one of another form."""
    with Ground(tmp_path) as ground:
        attack = Attack(ground, 1)
        operation = next(one for one in attack.operations if one.label == "GET /api/workspace")
        operation.definition.raw["responses"]["200"]["content"]["application/json"]["schema"] = {"type": "array"}
        attack.once(operation)
        assert {what for _, what in attack.report.failures} == {"Response violates schema"}

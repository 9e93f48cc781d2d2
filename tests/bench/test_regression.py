"""A regression by more than a tenth is seen, by ratios and not by absolute figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.regression import ratios, slower

ROOT = Path(__file__).parents[2]


def page(**figures: tuple[int, float]) -> str:
    rows = [
        f"| ({case}) a case | {rate:,} (1–2) | {ratio:.2f} | 1.0 | 2.0 | 80 | 74 | 0.000 | 92 |"
        for case, (rate, ratio) in figures.items()
    ]
    return "\n".join(["# Benchmarks", "", *rows, ""])


BEFORE = page(a=(2137, 1.0), b=(1158, 0.54), c=(1377, 0.64))


@pytest.mark.parametrize(
    ("now", "wrong"),
    [
        (BEFORE, []),
        (page(a=(900, 1.0), b=(480, 0.53), c=(560, 0.62)), []),  # a slower machine is none
        (page(a=(2137, 1.0), b=(1060, 0.49), c=(1377, 0.64)), []),
        (page(a=(2137, 1.0), b=(1030, 0.48), c=(1377, 0.64)), ["(b) reaches 0.48 of (a); it was 0.54"]),
        (page(a=(2137, 1.0), b=(1158, 0.54)), ["(c) is measured no more"]),
    ],
)
def test_a_ratio_that_falls_by_more_than_a_tenth_is_a_regression(now: str, wrong: list[str]) -> None:
    assert slower(BEFORE, now) == wrong


def test_the_page_that_is_committed_can_be_read() -> None:
    assert set(ratios((ROOT / "docs/reference/benchmarks.md").read_text("utf-8"))) == {"b", "c"}
    with pytest.raises(ValueError, match="no figures"):
        slower("# nothing", BEFORE)

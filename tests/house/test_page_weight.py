"""PERF-17: what the dashboard shows is light: no picture that a browser has to wait for."""

from __future__ import annotations

import gzip
import json
import re

from tests.house.test_web import FIRST_PAGE, STATIC, needed

PAGE_MAX = 500 * 1024
PICTURES = (".svg", ".webp", ".png", ".jpg", ".jpeg", ".gif", ".avif", ".ico")
PICTURE_MAX = 20 * 1024


def test_the_first_page_weighs_less_than_half_a_megabyte() -> None:
    """Page, code, styles, fonts and every picture there is, as they are sent."""
    manifest = json.loads((STATIC / ".vite/manifest.json").read_text("utf-8"))
    chunks = [manifest[key] for key in needed(manifest, ["index.html", FIRST_PAGE])]
    wanted = {chunk["file"] for chunk in chunks}
    wanted |= {name for chunk in chunks for name in (*chunk.get("css", ()), *chunk.get("assets", ()))}
    html = (STATIC / "index.html").read_text("utf-8")
    wanted |= set(re.findall(r'(?:src|href)="/(assets/[^"]+)"', html)) | {"index.html"}
    wanted |= {str(file.relative_to(STATIC)) for file in STATIC.rglob("*") if file.suffix in PICTURES}
    sizes = {name: len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in wanted}
    print(f"{sum(sizes.values()):,} bytes")
    assert len(sizes) > 5
    assert sum(sizes.values()) < PAGE_MAX, sizes


def test_pictures_are_drawings_or_webp_and_small() -> None:
    pictures = [file for file in STATIC.rglob("*") if file.suffix in PICTURES]
    assert pictures
    assert [file.name for file in pictures if file.suffix not in (".svg", ".webp", ".ico", ".png")] == []
    assert [file.name for file in pictures if file.stat().st_size > PICTURE_MAX] == []

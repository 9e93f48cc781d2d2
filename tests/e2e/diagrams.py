"""Draws the Mermaid diagrams of the documentation as pictures: `python -m tests.e2e.diagrams path/to/mermaid.min.js`.

Forges draw them by themselves; the program serves its documentation without a script, so it needs the pictures. Mermaid
(some hundred packages) is no part of the build: whoever changes a diagram names a copy of its one file. Without a
picture the page shows the diagram's text.
"""

from __future__ import annotations

import sys
from pathlib import Path

from signalcraft.http.manual.drawing import diagram
from tests.chromium import launched
from tests.house.test_blocks import of
from tests.house.tree import ROOT

SETTINGS = """{startOnLoad: false, securityLevel: 'strict', theme: 'neutral', htmlLabels: false,
 flowchart: {htmlLabels: false, useMaxWidth: true}, fontFamily: 'system-ui, sans-serif', deterministicIds: true}"""


def main(script: Path) -> int:
    """Writes every picture, and removes those of diagrams that are no more. 1 where Mermaid refuses a diagram."""
    folder = ROOT / "docs/images/diagrams"
    folder.mkdir(parents=True, exist_ok=True)
    wanted, refused = {}, []
    with launched("the diagrams of the documentation") as browser:
        page = browser.new_page()
        page.set_content("<!doctype html><body></body>")
        page.add_script_tag(path=script)
        page.evaluate(f"mermaid.initialize({SETTINGS})")
        for number, block in enumerate(of("mermaid")):
            try:
                svg = page.evaluate(
                    "async ([id, text]) => (await mermaid.render(id, text)).svg", [f"d{number}", block.text]
                )
            except Exception as problem:
                refused.append(f"{block.where}: {problem}")
                continue
            wanted[ROOT / "docs" / diagram(block.text)] = svg
    for path in folder.glob("*.svg"):
        if path not in wanted:
            path.unlink()
    for path, svg in wanted.items():
        path.write_text(svg + "\n", "utf-8")
    sys.stdout.write("\n".join([f"{len(wanted)} pictures", *refused, ""]))
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""`make gate`: runs what proves readiness, prints one table and writes it down. Exit code 1 where anything is wanting.

`--quick` runs again only what has not gone well on these files; `--rows` runs nothing and looks at the page alone;
`--kept` runs nothing and tells what is on record. `ran NAME` is for a make target at its end.
"""

from __future__ import annotations

import sys
import time

from tests.gate import checks, results, rows, verdicts

_PAGE = rows.ROOT / "docs/reference/gate.md"


def main(words: list[str]) -> int:
    """The exit code."""
    if words[:1] == ["ran"]:
        why = checks.ran_now(words[1])
        if why:
            print(f"Not on record for `make gate`: {why}.")
        return 0
    page = rows.read(rows.PAGE.read_text("utf-8"))
    faults = rows.wrong(page)
    if "--rows" in words:
        for fault in faults:
            print(f"{fault.id:<8} {fault.why}")
        print(f"{len(page)} rows, {len(faults)} of them open or wrong")
        return bool(faults)
    if "--kept" in words:
        on = checks.key()
        ran = [checks.kept(one.name, on) or checks.Ran(one.name, None) for one in checks.CHECKS]
    else:
        ran = checks.all_of("--quick" in words)
    outcomes = results.suite(checks.REPORT) if checks.REPORT.is_file() and ran[0].code is not None else {}
    trials = results.trials()
    found = verdicts.of_rows(page, faults, outcomes, trials)
    said = f"On {time.strftime('%Y-%m-%d', time.gmtime())}, files `{checks.key()}`."
    text = verdicts.page(ran, found, trials, said)
    _PAGE.write_text(text, "utf-8")
    print(text)
    return 0 if verdicts.ready(ran, found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

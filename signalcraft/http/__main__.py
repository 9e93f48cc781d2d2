"""Prints what is generated for docs/reference: `python -m signalcraft.http openapi`, `… errors` or `… metrics`."""

from __future__ import annotations

import sys

from signalcraft.http import app, declared, openapi, problems


def main(what: str) -> int:
    """Prints one of them; 2 for any other word."""
    if what == "openapi":
        sys.stdout.buffer.write(openapi.document())
    elif what == "errors":
        app.routes()  # every fault is known once every route is
        sys.stdout.write(problems.errors_page())
    elif what == "metrics":
        sys.stdout.write(declared.page())
    else:
        sys.stderr.write("python -m signalcraft.http openapi|errors|metrics\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or [""]))

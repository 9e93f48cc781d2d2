"""How deep a JSON body goes, without reading it: decoding a deep one costs a stack."""

from __future__ import annotations

import re
from typing import Final

from signalcraft.http.problems import Malformed

# A string that does not end goes to the end: nothing in it is looked at twice.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


def refuse_deep(body: bytes, levels: int) -> None:
    """Raises Malformed where lists and objects lie in more levels than that. Most bodies cost two counts."""
    if body.count(b"[") + body.count(b"{") <= levels:
        return
    depth = 0
    for match in _TOKEN.finditer(body):
        first = match[0][:1]
        if first in b"[{":
            depth += 1
            if depth > levels:
                raise Malformed(f"the body is not JSON that we read: more than {levels} levels of lists and objects")
        elif first != b'"':
            depth -= 1

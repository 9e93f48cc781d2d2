"""Why a routing rule does not hold: the one question that decided it."""

from __future__ import annotations

from collections.abc import Mapping

from signalcraft.domain.matcher import Condition, Leaf
from signalcraft.domain.routing import Asked, Explanation


def decided_by(when: Condition, explanation: Explanation) -> Asked | None:
    """The first question that keeps a condition from holding; None where it holds.

    Of questions of which one must hold (`any`) and none does, it is the first. `explanation`: of the same condition.
    """
    return _failing(when, "", {one.path: one for one in explanation.conditions})


def _failing(condition: Condition, path: str, asked: Mapping[str, Asked]) -> Asked | None:
    def of(block: str, i: int, member: Leaf | Condition) -> Asked | None:
        here = f"{path}.{block}[{i}]" if path else f"{block}[{i}]"
        if isinstance(member, Condition):
            return _failing(member, here, asked)
        return None if asked[here].result else asked[here]

    for i, member in enumerate(condition.all):
        found = of("all", i, member)
        if found is not None:
            return found
    first: Asked | None = None
    for i, member in enumerate(condition.any):
        found = of("any", i, member)
        if found is None:
            return None
        first = first or found
    return first

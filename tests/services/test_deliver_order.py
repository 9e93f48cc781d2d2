"""What goes first, and what was lost on its way."""

from __future__ import annotations

from tests.services.office import Office


def test_of_what_is_due_at_once_the_post_goes_before_the_edits(office: Office) -> None:
    told = [office.opens() for _ in range(3)]
    office.after(minutes=1)
    for group in told:
        office.again(group)
    office.now_ms += 2_000  # now the edits are due, and a post with them
    office.opens()
    start = len(office.outside.calls)
    office.rest()
    assert [call.what for call in office.outside.calls[start:]] == ["post", "edit", "edit", "edit"]


def test_a_delivery_whose_try_never_came_back_is_owed_again_when_its_lease_ran_out(office: Office) -> None:
    """Nobody is under way with it, and the process lives on."""
    office.opens()
    lease_ms = office.now_ms + 30_000
    office.db.call(lambda tx: tx.run("update delivery set state = 'sending', lease_ms = ?", (lease_ms,)))
    office.now_ms = lease_ms
    office.step()
    assert office.ledger() == [("first", "sending")]
    office.now_ms = lease_ms + 1
    office.step()
    office.rest()
    assert office.ledger() == [("first", "sent")]

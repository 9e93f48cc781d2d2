"""The settings of how long things are kept."""

from __future__ import annotations

from typing import Annotated

from signalcraft.config.section import Section, says

_DAYS = {"ge": 1, "le": 36_500}


class Retention(Section, frozen=True):
    """How long things are kept, each workspace may say otherwise. The audit log has `audit.keep_days`."""

    at: Annotated[str, says("When the night's clean-up begins, in workspace.timezone.", form="clock")] = "02:00"
    group_days: Annotated[
        int, says("Days after which a resolved alert group goes, with its events and its history.", **_DAYS)
    ] = 90
    delivery_days: Annotated[
        int, says("Days after which a message that was sent, failed or dropped is forgotten.", **_DAYS)
    ] = 30
    escalation_days: Annotated[
        int, says("Days after which an escalation that was carried out or called off is forgotten.", **_DAYS)
    ] = 7
    payload_days: Annotated[
        int, says("Days after which the bytes of a webhook go; what was read from them stays.", **_DAYS)
    ] = 30
    archive: Annotated[
        bool,
        says("Writes everything into monthly Parquet files in `archive` of the data directory before it is deleted."),
    ] = True
    archive_days: Annotated[
        int, says("Days for which months in the archive are kept; 0: until somebody deletes them.", ge=0, le=36_500)
    ] = 0
    restored_days: Annotated[
        int, says("Days for which a month that was put back from the archive is left alone.", **_DAYS)
    ] = 30

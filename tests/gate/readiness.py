"""VAL-8: the checklist of readiness, 25 boxes in five parts, each ticked by the rows that are its evidence."""

from __future__ import annotations

from typing import Final, NamedTuple


class Box(NamedTuple):
    """One box. `rows`: what has to hold for it to be ticked."""

    part: str
    what: str
    rows: tuple[str, ...]


_PARTS: Final = {
    "Infrastructure": {
        "The machine, its firewall and its bucket are described in files": ("INF-1", "INF-8"),
        "Nothing is reachable but what is meant": ("INF-6",),
        "Domain and certificate are in place and renewed": ("SEC-23", "INF-14"),
        "The database and its replica are on a disk of their own user": ("INF-2", "BCK-1"),
        "The service is sandboxed and bounded": ("INF-4", "INF-9"),
    },
    "Application": {
        "Every capability has its test and all of them pass": ("PRE-1", "CI-1"),
        "Health, readiness, liveness and start are told": ("MON-1", "MON-2", "MON-3", "MON-4"),
        "It is fast enough for a hundred people": ("PERF-1", "PERF-3", "PERF-4"),
        "Its settings are checked and its secrets are known": ("CFG-1", "CFG-4"),
        "The schema is migrated with a way back": ("MIG-2", "MIG-5"),
    },
    "Security": {
        "No known hole": ("SEC-18", "SEC-19"),
        "Headers on every answer": ("SEC-10", "SEC-8"),
        "Nobody gets where they may not": ("SEC-17",),
        "Secrets are sealed and told nowhere": ("SEC-1", "SEC-2"),
        "Who floods or guesses is held off": ("SEC-3", "SEC-15", "SEC-24"),
    },
    "Monitoring": {
        "Metrics of the program, the pipeline and the box": ("MON-7", "MON-8", "MON-16"),
        "What is wrong raises an alert": ("MON-12", "MON-13"),
        "Dashboards": ("MON-14", "MON-17"),
        "Somebody is called, and then somebody else": ("MON-19",),
        "All of it was tried from end to end": ("MON-22",),
    },
    "Operations": {
        "Backups are made, and proven by restoring them": ("BCK-1", "BCK-3"),
        "There is a plan for the worst, and it was followed": ("BCK-6", "BCK-10"),
        "A runbook for each alert": ("MON-20",),
        "A release can be taken back": ("CI-9",),
        "How to run it is written down": ("DOC-4", "DOC-8"),
    },
}
BOXES: Final = tuple(Box(part, what, rows) for part, boxes in _PARTS.items() for what, rows in boxes.items())

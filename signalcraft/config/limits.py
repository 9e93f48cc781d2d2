"""The settings of how much is taken at once."""

from __future__ import annotations

from typing import Annotated, Literal

from signalcraft.config.section import Section, says


class Limits(Section, frozen=True):
    """How much is taken at once. Everything above is said aloud, never dropped in silence."""

    webhooks_per_minute: Annotated[
        int, says("Webhooks a minute and workspace before `overflow` applies; 0: no limit.", ge=0)
    ] = 100
    overflow: Annotated[
        Literal["aggregate", "reject"],
        says(
            "aggregate: above the limit every event still counts and acts, only the raw bytes of repeats "
            "already told are not kept; reject: 429 with Retry-After.",
        ),
    ] = "aggregate"
    api_per_minute: Annotated[
        int, says("API requests a minute and user or key, beyond a burst of 300; 0: no limit.", ge=0)
    ] = 60
    global_per_15_minutes: Annotated[
        int,
        says(
            "Requests in 15 minutes and address, webhooks, health, metrics, static files and the event stream "
            "left out; 0: no limit.",
            ge=0,
        ),
    ] = 1000
    search_per_minute: Annotated[
        int, says("Searches (`?q=`) a minute and user or key, so many at once; 0: no limit.", ge=0)
    ] = 60
    upload_per_minute: Annotated[
        int, says("Uploads of whole files (`apply`) a minute and user or key, so many at once; 0: no limit.", ge=0)
    ] = 10
    sign_in_per_minute: Annotated[
        int,
        says(
            "Failed sign-ins in a minute and address; the address then waits a minute, next time two, at most 15; "
            "0: no limit.",
            ge=0,
        ),
    ] = 5
    sign_in_failures_per_15_minutes: Annotated[
        int,
        says(
            "Failed sign-ins in 15 minutes and account; it is then locked for 15 minutes, next time for 30, at most a "
            "day; 0: never locked.",
            ge=0,
        ),
    ] = 10
    queue_max: Annotated[
        int,
        says(
            "Webhooks that may wait for the writer; beyond them the answer is 503 with Retry-After.",
            ge=16,
            le=1_000_000,
        ),
    ] = 4096
    events_per_post: Annotated[
        int, says("Events read from one webhook; a longer list is answered 413.", ge=1, le=100_000)
    ] = 5000

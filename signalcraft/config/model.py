"""Every setting, once: its name, type, default, limits and what it is for.

What the operator of the box sets stands here; what a team sets (integrations, channels, rules) is in the database.
A section's docstring and a setting's description are what the sample file and the reference page say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import field

from signalcraft.config.backup import Backup, at_odds
from signalcraft.config.drill import Drill
from signalcraft.config.http import Http
from signalcraft.config.limits import Limits
from signalcraft.config.monitoring import Digest, Heartbeat, Monitoring
from signalcraft.config.oidc import Oidc
from signalcraft.config.replica import Replica, unfit
from signalcraft.config.retention import Retention
from signalcraft.config.safety import unsafe
from signalcraft.config.secret import Secret
from signalcraft.config.section import Section, says


class Data(Section, frozen=True):
    """Where everything is kept."""

    dir: Annotated[
        str,
        says(
            "The data directory. Empty: systemd's state directory ($STATE_DIRECTORY); else "
            "/var/lib/signalcraft where that can be written; else ~/.local/share/signalcraft.",
            form="directory",
        ),
    ] = ""

    @property
    def path(self) -> Path:
        """The data directory as loaded: absolute, not necessarily there yet."""
        return Path(self.dir)


class Log(Section, frozen=True):
    """What the program says on standard error, and into files where one is named."""

    level: Annotated[Literal["debug", "info", "warning", "error"], says("The least level that is written.")] = "info"
    format: Annotated[
        Literal["auto", "json", "text"],
        says("json: one object a line; text: for people; auto: text on a terminal, else json (in a file always)."),
    ] = "auto"
    requests: Annotated[
        Literal["failed", "all"],
        says(
            "failed: a line for each request answered with 400 or more; all: for every one but webhooks, health and "
            "metrics."
        ),
    ] = "failed"
    traces: Annotated[
        float,
        says(
            "Of a hundred requests, so many leave a trace in the log: what they read, wrote and asked of others, and "
            "how long each took. Slow and failed ones always do.",
            ge=0,
            le=100,
        ),
    ] = 0.0
    file: Annotated[
        str,
        says(
            "A file for the log, besides standard error; `NAME.error.log` beside it holds errors alone. Each day "
            "begins a new one; earlier ones are packed: `NAME.log.2026-03-01.gz`. Empty: none, which suits "
            "systemd's journal.",
        ),
    ] = ""
    file_days: Annotated[int, says("Days for which such files are kept.", ge=1, le=3650)] = 14
    file_mb: Annotated[int, says("Size in megabytes at which a new file begins within a day.", ge=1, le=100_000)] = 100


class Errors(Section, frozen=True):
    """What becomes of errors of the program itself. They are kept in the appliance either way."""

    sentry_dsn: Annotated[
        Secret,
        says(
            "The DSN of an error tracker that speaks Sentry's protocol, for errors of this program: class, place and "
            "masked message, never a request's body, headers or cookies. Empty: nothing is sent anywhere.",
            credential="signalcraft-sentry-dsn",
        ),
    ] = field(default_factory=Secret)


class Slack(Section, frozen=True):
    """How Slack is reached. Tokens belong to each channel, not here."""

    api_url: Annotated[str, says("Where Slack's Web API answers.", form="api_url")] = "https://slack.com/api/"


class Outbound(Section, frozen=True):
    """Calls that this box makes to others. Private, loopback and link-local addresses are refused unless named here."""

    allow: Annotated[
        list[str],
        says(
            "Addresses, networks or host names inside your own network that channels may call.",
            form="target",
        ),
    ] = field(default_factory=list)
    ca_file: Annotated[
        str,
        says(
            "A file of further certificate authorities (PEM) to trust, for servers of your own.",
            form="readable_file",
        ),
    ] = ""


class Retell(Section, frozen=True):
    """A group that was quiet for so long is told again when its next event comes; 0: never while it is unresolved."""

    critical: Annotated[int, says("Minutes of quiet, for critical groups.", ge=0)] = 60
    high: Annotated[int, says("Minutes of quiet, for high groups.", ge=0)] = 1440
    medium: Annotated[int, says("Minutes of quiet, for medium groups.", ge=0)] = 0
    low: Annotated[int, says("Minutes of quiet, for low groups.", ge=0)] = 0
    info: Annotated[int, says("Minutes of quiet, for info groups.", ge=0)] = 0


class Grouping(Section, frozen=True):
    """How events fold into alert groups, and when a group speaks again."""

    window_minutes: Annotated[
        int,
        says(
            "Minutes after a resolve in which the next event re-opens the group; later it starts a new one.",
            ge=0,
        ),
    ] = 60
    after_quiet: Annotated[
        Literal["new_episode", "new_group"],
        says(
            "new_episode: an unresolved group takes in its events whatever its age; new_group: an event past "
            "the window starts a new group, also beside an unresolved one.",
        ),
    ] = "new_episode"
    retell_after_minutes: Retell = field(default_factory=Retell)
    ack_expires_after_quiet_hours: Annotated[
        int, says("Hours of quiet after which the next event re-opens an acknowledged group; 0: never.", ge=0)
    ] = 24
    ack_timeout_hours: Annotated[
        int, says("Hours after which an acknowledged critical group asks again; 0: never.", ge=0)
    ] = 4
    settle_seconds: Annotated[
        float, says("Seconds that a group of unknown environment waits for it before it is routed.", ge=0, le=300)
    ] = 5.0
    auto_close_days: Annotated[int, says("Days of silence after which a group is closed; 0: never.", ge=0)] = 7
    spike_events: Annotated[int, says("Events in the spike's minutes below which nothing is a spike.", ge=1)] = 50
    spike_minutes: Annotated[int, says("Minutes that a spike is looked for in.", ge=1, le=60)] = 5
    spike_baseline_minutes: Annotated[
        int,
        says(
            "Minutes before, that a spike is compared with; a group younger than that has no spike.",
            ge=1,
            le=1440,
        ),
    ] = 30
    spike_factor: Annotated[float, says("How many times the earlier rate makes a spike.", gt=1)] = 3.0
    spike_environments: Annotated[list[str], says("Environments in which a spike raises the severity by one step.")] = (
        field(default_factory=lambda: ["prod", "production", "live"])
    )
    idempotency_days: Annotated[
        int, says("Days for which a repeated delivery of the same statement is recognised.", ge=1, le=400)
    ] = 30


class Delivery(Section, frozen=True):
    """How what is owed reaches its channel."""

    edit_delay_seconds: Annotated[
        float,
        says(
            "Seconds over which the changes of a group are gathered into one edit of its message.",
            ge=0,
            le=600,
        ),
    ] = 2.0
    timeout_seconds: Annotated[float, says("Time for one call to a channel, in seconds.", gt=0, le=120)] = 15.0
    lease_seconds: Annotated[
        int, says("Seconds for which a delivery is taken; longer than any call can last.", ge=5, le=3600)
    ] = 120
    backoff_first_seconds: Annotated[
        float, says("Wait before the second try, in seconds; it doubles from there.", gt=0)
    ] = 1.0
    backoff_max_seconds: Annotated[float, says("Longest wait between two tries, in seconds.", gt=0, le=86_400)] = 60.0
    retry_hours_max: Annotated[
        int, says("Hours for which an owed message is tried; then it counts as failed and says so.", ge=1, le=8760)
    ] = 24
    breaker_failures: Annotated[
        int, says("Failed calls in a row after which a channel is only probed.", ge=1, le=1000)
    ] = 5
    breaker_seconds: Annotated[float, says("Seconds between two probes of such a channel.", gt=0, le=3600)] = 15.0
    ack_link_hours: Annotated[int, says("Hours for which an acknowledge link in a message works.", ge=1, le=8760)] = 72


class Workspace(Section, frozen=True):
    """The workspace that is there from the start."""

    timezone: Annotated[str, says('The zone of times in messages and of "until 9:00".', form="timezone")] = "UTC"


class Security(Section, frozen=True):
    """What keeps secrets secret and people's accounts their own."""

    master_key: Annotated[
        Secret,
        says(
            "The key that the vault's keys are derived from. Better kept out of this file: `master_key_file`, "
            "$SIGNALCRAFT_SECURITY__MASTER_KEY_FILE or the systemd credential `signalcraft-master-key`. "
            "Empty: `master.key` in the data directory, made at the first start, readable by its owner alone.",
            credential="signalcraft-master-key",
        ),
    ] = field(default_factory=Secret)
    master_key_previous: Annotated[
        Secret,
        says(
            "The earlier master key, while `master_key` holds a new one: at the next start everything is sealed anew, "
            "and this is to be taken out again. See docs/how-to/keys.md.",
            credential="signalcraft-master-key-previous",
        ),
    ] = field(default_factory=Secret)
    master_key_days: Annotated[
        int, says("Days after which health asks for a new master key; 0 = never.", ge=0, le=36_500)
    ] = 400
    session_idle_hours: Annotated[
        float, says("Hours without a request after which a person is signed out.", gt=0, le=8760)
    ] = 12.0
    session_days: Annotated[float, says("Days after which a person is signed out, however busy.", gt=0, le=400)] = 30.0
    insecure_cookies: Annotated[
        bool,
        says(
            "Lets people sign in over plain HTTP from other machines: whoever is on the way can read passwords and "
            "take over sessions. For trials only; a warning stays up as long as it is set.",
        ),
    ] = False


class Audit(Section, frozen=True):
    """The audit log: who did what, and the security events beside it."""

    keep_days: Annotated[
        int, says("Days for which rows of the audit log and security events are kept.", ge=30, le=36_500)
    ] = 365


class Settings(Section, frozen=True):
    """SignalCraft's settings. Read `signalcraft.config.load` for where they come from."""

    profile: Annotated[
        Literal["production", "staging", "development"],
        says(
            "What kind of box this is: it chooses the defaults of some limits (the table below). development also "
            "tells the cause of an unexpected error in the answer."
        ),
    ] = "production"
    http: Http = field(default_factory=Http)
    data: Data = field(default_factory=Data)
    log: Log = field(default_factory=Log)
    errors: Errors = field(default_factory=Errors)
    slack: Slack = field(default_factory=Slack)
    outbound: Outbound = field(default_factory=Outbound)
    limits: Limits = field(default_factory=Limits)
    grouping: Grouping = field(default_factory=Grouping)
    delivery: Delivery = field(default_factory=Delivery)
    workspace: Workspace = field(default_factory=Workspace)
    security: Security = field(default_factory=Security)
    audit: Audit = field(default_factory=Audit)
    retention: Retention = field(default_factory=Retention)
    oidc: Oidc = field(default_factory=Oidc)
    monitoring: Monitoring = field(default_factory=Monitoring)
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    digest: Digest = field(default_factory=Digest)
    replica: Replica = field(default_factory=Replica)
    backup: Backup = field(default_factory=Backup)
    drill: Drill = field(default_factory=Drill)


def check(settings: Settings) -> list[tuple[str, str]]:
    """The rules between settings: (key, one sentence with what would be right), [] when all hold."""
    grouping, delivery = settings.grouping, settings.delivery
    first, longest = delivery.backoff_first_seconds, delivery.backoff_max_seconds
    rules = (
        (
            grouping.spike_minutes < grouping.spike_baseline_minutes,
            "grouping.spike_minutes",
            f"must be less than grouping.spike_baseline_minutes, {grouping.spike_baseline_minutes}",
        ),
        (
            first <= longest,
            "delivery.backoff_first_seconds",
            f"must be at most delivery.backoff_max_seconds, {longest:g}",
        ),
        (
            delivery.lease_seconds > 2 * delivery.timeout_seconds,
            "delivery.lease_seconds",
            f"must be more than twice delivery.timeout_seconds, {delivery.timeout_seconds:g}: no call may start twice",
        ),
        (
            bool(settings.oidc.client_id) or not settings.oidc.issuer,
            "oidc.client_id",
            "must be set where oidc.issuer is: the identity provider gives it",
        ),
        (
            bool(settings.oidc.role_claim) or not settings.oidc.roles,
            "oidc.role_claim",
            "must be set where oidc.roles is: it names the claim that holds the groups",
        ),
    )
    wrong = [(key, sentence) for holds, key, sentence in rules if not holds]
    return [
        *wrong,
        *unfit(settings.replica, settings.data.path),
        *at_odds(settings.backup, settings.data.path),
        *unsafe(settings),
    ]

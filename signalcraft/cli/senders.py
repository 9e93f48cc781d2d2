"""`signalcraft send`: a real, signed test webhook, as the sender itself would post it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import say, say_json
from signalcraft.errors import Fault

if TYPE_CHECKING:
    from signalcraft.cli.client import Answer

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
RESOURCES = ("event_alert", "issue", "metric_alert")
LEVELS = ("fatal", "error", "warning", "info", "debug")


@click.group()
def send() -> None:
    """Send a test webhook, signed as the sender would sign it.

    \b
    Example:
      signalcraft send sentry --integration sentry-prod --title "Payments are down" --level fatal
    """


@send.command()
@click.option("--integration", metavar="NAME", help="One of this SignalCraft's integrations, by name.")
@click.option("--url", metavar="URL", help="Any webhook address instead, with the token in it.")
@click.option("--secret", metavar="SECRET", help="The client secret to sign with (with --url).")
@click.option("--secret-file", type=_FILE, help="The same, in a file.")
@click.option("--resource", type=click.Choice(RESOURCES), default="event_alert", show_default=True)
@click.option("--action", metavar="ACTION", help="created, resolved, critical, …; the resource's usual one by default.")
@click.option("--title", default="Test alert from signalcraft send", show_default=True)
@click.option("--environment", metavar="NAME", default="prod", show_default=True, help='"" leaves it out.')
@click.option("--level", type=click.Choice(LEVELS), default="error", show_default=True)
@click.option("--project", metavar="SLUG", default="test", show_default=True)
@click.option("--message", default="", help="The longer text.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag of the event; may be repeated.")
@click.option(
    "--issue",
    type=click.IntRange(1),
    metavar="NUMBER",
    help="Sentry's number of the issue; else made from project and title.",
)
@as_json
@where()
def sentry(
    where: Where,
    integration: str | None,
    url: str | None,
    secret: str | None,
    secret_file: Path | None,
    resource: str,
    action: str | None,
    title: str,
    environment: str,
    level: str,
    project: str,
    message: str,
    tags: tuple[str, ...],
    issue: int | None,
    as_json: bool,
) -> None:
    """Send a Sentry webhook to an integration or to any address.

    The same title and project are the same problem: sent again, it is a repeat; with --resource issue --action
    resolved it is resolved.

    \b
    Example:
      signalcraft send sentry --integration sentry-prod --level fatal --title "Payments are down"
      signalcraft send sentry --url http://127.0.0.1:8080/webhooks/sentry/TOKEN --secret-file client-secret
    """
    from signalcraft.cli.sentry import ACTIONS, Wanted, body, headers, issue_of
    from signalcraft.main import system_now

    if (integration is None) == (url is None):
        raise click.UsageError("Give either --integration or --url.")
    action = action or ACTIONS[resource][0]
    if action not in ACTIONS[resource]:
        raise click.UsageError(f"{resource} has no action {action}: {', '.join(ACTIONS[resource])}.")
    wanted = Wanted(
        resource=resource,
        action=action,
        title=title,
        environment=environment,
        level=level,
        project=project,
        issue=issue or issue_of(project, title),
        message=message,
        tags=dict(_pair(tag) for tag in tags),
    )
    now_ms = system_now()
    raw = body(wanted, now_ms)
    if url is not None:
        sent = _post(url, raw, headers(wanted, raw, _secret(secret, secret_file), now_ms))
    else:
        sent = _hand_in(where, str(integration), raw, headers(wanted, raw, "", now_ms))
    _tell(sent, as_json=as_json)


def _pair(tag: str) -> tuple[str, str]:
    key, sign, value = tag.partition("=")
    if not sign or not key:
        raise click.UsageError(f"--tag wants KEY=VALUE, not {tag}.")
    return key, value


def _secret(secret: str | None, file: Path | None) -> str:
    if file is None:
        return secret or ""
    if secret is not None:
        raise click.UsageError("Give either --secret or --secret-file.")
    return file.read_text("utf-8").rstrip("\r\n")


def _hand_in(where: Where, name: str, raw: bytes, heads: dict[str, str]) -> Answer:
    """Through the owner's door: an integration's token is kept as a hash, so its address cannot be told again."""
    from urllib.parse import quote

    from signalcraft.cli.client import connect

    with connect(where, "send") as client:
        return client.request("POST", f"/control/integrations/{quote(name, safe='')}/webhook", raw, heads)


def _post(url: str, raw: bytes, heads: dict[str, str]) -> Answer:
    from urllib.parse import urlsplit

    import httpx

    from signalcraft.cli.client import Answer, Refusal

    if urlsplit(url).scheme not in ("http", "https"):
        raise click.UsageError(f"--url wants an http:// or https:// address, not {url[:60]}.")
    try:
        response = httpx.post(url, content=raw, headers=heads, timeout=30)
    except (httpx.HTTPError, httpx.InvalidURL) as fault:
        parts = urlsplit(url)
        raise Fault(f"{parts.scheme}://{parts.netloc} did not answer: {str(fault) or type(fault).__name__}") from None
    answer = Answer(response.status_code, response.content)
    if answer.status >= 300:
        raise Refusal(answer)
    return answer


def _tell(sent: Answer, *, as_json: bool) -> None:
    try:
        said = sent.json()
    except ValueError:
        said = None
    if as_json:
        say_json(said)
        return
    events = said.get("events", []) if isinstance(said, dict) else []
    for event in events:
        what = "a duplicate of event" if event["duplicate"] else "event"
        say(f"{sent.status} accepted: {what} {event['event_id']}, group {event['group_id'] or 'none'}")
    if not events:
        say(f"{sent.status} accepted")

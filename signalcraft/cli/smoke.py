"""`signalcraft smoke`: a minute's proof that a running SignalCraft works, as a sender and a person would see it."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import complain, say, say_json
from signalcraft.errors import Fault, Invalid

if TYPE_CHECKING:
    import httpx

SCOPES: Final = ("config:read", "config:write", "alerts:read", "alerts:write")
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_LEAST_S: Final = 1.0
_LOOK_S: Final = 0.1
_FIRST: Final = -1_000_000
_NOWHERE: Final = "https://smoke.invalid/"  # RFC 2606: a name that never has an address


class _Failed(Fault):
    """A step did not find what it looked for."""


@click.command()
@click.argument("url", required=False)
@click.option(
    "--key-file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), metavar="FILE",
    help="A file with an API key (config:read, config:write, alerts:read, alerts:write); - is standard input. "
    "[default: a key of ten minutes, made through the data directory's control socket]",
)  # fmt: skip
@click.option("--ca-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Further authorities.")
@click.option("--seconds", type=click.FloatRange(1, 60), default=55.0, show_default=True, help="Time for all of it.")
@as_json
@where()
def smoke(
    where: Where, url: str | None, key_file: Path | None, ca_file: Path | None, seconds: float, as_json: bool
) -> int:
    """Prove that a running SignalCraft works: health, sign-in, API key, database, queue, an alert through all of it.

    A made-up alert is posted to a webhook address of its own, found again as an alert group, and resolved. A rule of
    its own keeps it from people; rule, channel, integration and key are gone at the end. The exit code is 1 where a
    step fails.

    \b
    Example:
      signalcraft smoke https://alerts.example.com --key-file ./smoke.key
      signalcraft smoke --data-dir ./data
    """
    from signalcraft.postman.trust import trusted

    with ExitStack() as stack:
        key, base = _key_and_url(where, url, key_file, stack)
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Invalid(f"an address begins with https:// or http://, not {base[:60]}", path="URL")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise Invalid("over http:// the key could be read on the way: use the https:// address", path="URL")
        import httpx

        line = stack.enter_context(httpx.Client(base_url=base, trust_env=False, verify=trusted(str(ca_file or ""))))
        trial = _Trial(line, key, seconds)
        done = trial.all_steps()
    failed = next((one for one in done if one["failed"]), None)
    if as_json:
        say_json({"ok": failed is None, "url": base, "took_ms": trial.took_ms(), "steps": done})
    else:
        for one in done:
            say(f"{'FAILED' if one['failed'] else 'ok':<7} {one['step']:<12} {one['took_ms']:>6} ms  {one['detail']}")
    if failed is not None:
        complain(f"{base} does not work: {failed['step']}: {failed['detail']}")
        return 1
    if not as_json:
        say(f"{base} works: {len(done)} steps in {trial.took_ms() / 1000:.1f} s")
    return 0


def _key_and_url(where: Where, url: str | None, key_file: Path | None, stack: ExitStack) -> tuple[str, str]:
    """The key to ask with, and where. Raises Invalid, Fault."""
    if key_file is not None:
        if url is None:
            raise Invalid("where? signalcraft smoke https://… --key-file FILE", path="URL")
        try:
            text = sys.stdin.read() if str(key_file) == "-" else key_file.read_text("utf-8")
        except OSError as problem:
            raise Invalid(f"{key_file} cannot be read: {problem.strerror}", path="--key-file") from None
        return text.strip(), url.rstrip("/")
    from signalcraft.cli.client import answers

    data_dir = where.loaded().settings.data.path
    if not answers(data_dir):
        raise Fault(f"nothing serves {data_dir}: name the address and a key (--key-file), or the right --data-dir")
    key, listen = stack.enter_context(_short_lived(data_dir, where.workspace))
    return key, (url or listen).rstrip("/")


@contextmanager
def _short_lived(data_dir: Path, workspace: str) -> Iterator[tuple[str, str]]:
    """A key that is revoked at the end and would end by itself; and where the process listens."""
    from signalcraft.cli.client import beside
    from signalcraft.http.wire import time_of
    from signalcraft.main import system_now

    with beside(data_dir, workspace) as client:
        info = client.get("/control/info")
        until = time_of(system_now() + 600_000)
        made = client.post("/api/api-keys", {"name": "smoke test", "scopes": list(SCOPES), "expires_at": until})
        try:
            yield made["key"], info["public_url"] or f"http://{info['listen']}"
        finally:
            client.delete(f"/api/api-keys/{made['id']}")


class _Trial:
    """The steps, one after the other; what one made is taken away at the end, whatever happened."""

    def __init__(self, line: httpx.Client, key: str, seconds: float) -> None:
        self._line = line
        self._bearer = {"Authorization": f"Bearer {key}"}
        self._began_s = time.monotonic()
        self._until_s = self._began_s + seconds
        self._name = f"smoke-{secrets.token_hex(6)}"
        self._made: list[str] = []
        self._token = ""
        self._event_id = ""
        self._group_id = ""

    def took_ms(self) -> int:
        """Since the beginning."""
        return round((time.monotonic() - self._began_s) * 1000)

    def all_steps(self) -> list[dict[str, Any]]:
        """Each step with what it found, up to the first that failed, and the last, which cleans up."""
        steps: list[tuple[str, Callable[[], str]]] = [
            ("health", self._health),
            ("database", self._database),
            ("sign-in", self._sign_in),
            ("api key", self._api_key),
            ("set up", self._set_up),
            ("alert", self._alert),
            ("alert group", self._alert_group),
            ("queue", self._queue),
            ("resolved", self._resolved),
        ]
        done = []
        for name, step in steps:
            done.append(self._step(name, step))
            if done[-1]["failed"]:
                break
        self._until_s = max(self._until_s, time.monotonic() + 4)  # what was made is taken away even where time ran out
        return [*done, self._step("clean up", self._clean_up)]

    def _step(self, name: str, step: Callable[[], str]) -> dict[str, Any]:
        import httpx

        began_s, failed = time.monotonic(), True
        try:
            detail, failed = step(), False
        except _Failed as problem:
            detail = problem.detail
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            detail = f"no answer: {str(problem) or type(problem).__name__}"
        except (KeyError, IndexError, TypeError, ValueError) as problem:
            detail = f"this is not how SignalCraft answers ({type(problem).__name__}: {problem})"
        return {"step": name, "failed": failed, "took_ms": round((time.monotonic() - began_s) * 1000), "detail": detail}

    # -- the steps ----------------------------------------------------------------------------------------------------

    def _health(self) -> str:
        said = self._ask("GET", "/health", anybody=True)
        bad = [f"{name}: {one['detail']}" for name, one in said["components"].items() if one["status"] == "failing"]
        if bad:
            raise _Failed("; ".join(bad))
        self._ask("GET", "/health/ready", anybody=True)
        return f"SignalCraft {said['version']} is ready ({said['status']})"

    def _database(self) -> str:
        part = self._ask("GET", "/health", anybody=True)["components"]["database"]
        if part["status"] != "ok":
            raise _Failed(str(part["detail"]))
        return str(part["detail"])

    def _sign_in(self) -> str:
        page = self._line.get("/", timeout=self._left_s(), follow_redirects=True)
        if page.status_code != 200 or "text/html" not in page.headers.get("content-type", ""):
            raise _Failed(f"the dashboard answers HTTP {page.status_code}")
        self._ask("GET", "/api/auth/state", anybody=True)
        closed = self._line.get("/api/alert-groups", timeout=self._left_s())
        if closed.status_code != 401:
            raise _Failed(f"without a key the API answers HTTP {closed.status_code} rather than 401")
        return "the dashboard is there, and the API asks who one is"

    def _api_key(self) -> str:
        self._ask("GET", "/api/alert-groups?limit=1")
        return "the key is taken"

    def _set_up(self) -> str:
        """An address to post to, and a rule that is asked first and tells nobody but a channel that leads nowhere."""
        body = {"name": self._name, "kind": "generic", "config": {}}
        made = self._ask("POST", "/api/integrations", body)
        self._made.append(f"/api/integrations/{made['id']}")
        self._token = made["token"]
        channel = self._ask(
            "POST", "/api/channels", {"name": self._name, "kind": "webhook", "config": {"url": _NOWHERE}}
        )
        self._made.append(f"/api/channels/{channel['id']}")
        rule = {
            "name": self._name, "priority": _FIRST, "stop": True, "mention": "none", "channels": [self._name],
            "when": {"all": [{"field": "project", "operator": "equals", "value": self._name}]},
        }  # fmt: skip
        self._made.append(f"/api/routing-rules/{self._ask('POST', '/api/routing-rules', rule)['id']}")
        return "an integration, a channel that leads nowhere and a rule that keeps the alert from people"

    def _post(self, **more: str) -> dict[str, Any]:
        body = {"project": self._name, "dedup_key": self._name, "environment": "smoke-test", **more}
        said = self._ask("POST", f"/webhooks/generic/{self._token}", body, anybody=True)
        event: dict[str, Any] = said["events"][0]
        return event

    def _alert(self) -> str:
        event = self._post(title="SignalCraft smoke test", severity="info")
        self._event_id = event["event_id"]
        return f"accepted as event {self._event_id}"

    def _alert_group(self) -> str:
        found = self._until(lambda: self._ask("GET", f"/api/alert-groups?project={self._name}")["items"])
        group = self._ask("GET", f"/api/events/{self._event_id}")["group_id"]
        if [one["id"] for one in found] != [group]:
            raise _Failed(f"event {self._event_id} is of alert group {group}; the list has {len(found)} others")
        self._group_id = group
        return f"found again as alert group {group}"

    def _queue(self) -> str:
        """The message that it owes was taken up; it has nowhere to go."""
        path = f"/api/alert-groups/{self._group_id}/deliveries"

        def tried() -> list[Any]:
            owed = self._ask("GET", path)["items"]
            astray = [one["channel"] for one in owed if one["channel"] != self._name]
            if astray:
                raise _Failed(f"the alert was also told to {', '.join(map(str, astray))}")
            return [one for one in owed if one["state"] == "sending" or one["attempts"]]

        self._until(tried)
        return "its message was queued and taken up"

    def _resolved(self) -> str:
        self._post(status="resolved")
        path = f"/api/alert-groups/{self._group_id}"
        self._until(lambda: [1] if self._ask("GET", path)["status"] == "resolved" else [])
        return "the sender's word that it is over resolved it"

    def _clean_up(self) -> str:
        left = []
        while self._made:
            path = self._made.pop()
            try:
                self._ask("DELETE", path)
            except _Failed:
                left.append(path)
        if left:
            raise _Failed(f"still there, delete them by hand: {', '.join(left)} (all are called {self._name})")
        return "nothing of it is left but the resolved alert group"

    # -- asking -------------------------------------------------------------------------------------------------------

    def _left_s(self) -> float:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise _Failed("the time is up")
        return max(left_s, _LEAST_S)

    def _until(self, look: Callable[[], list[Any]]) -> list[Any]:
        while not (found := look()):
            self._left_s()
            time.sleep(_LOOK_S)
        return found

    def _ask(self, method: str, path: str, body: Any = None, *, anybody: bool = False) -> Any:
        answer = self._line.request(
            method, path, json=body, headers=None if anybody else self._bearer, timeout=self._left_s()
        )
        if answer.status_code >= 300:
            raise _Failed(f"{method} {path.partition('/generic/')[0]} answers HTTP {answer.status_code}{_why(answer)}")
        return answer.json() if answer.content else None


def _why(answer: httpx.Response) -> str:
    try:
        said = answer.json()
    except ValueError:
        return ""
    detail = said.get("detail") if isinstance(said, dict) else None
    return f": {detail}" if detail else ""

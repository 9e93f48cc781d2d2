"""The corpus through every text field: stored as it came, shown as text everywhere, never run, never a header."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page

from signalcraft.domain import ids, links
from signalcraft.services.deliver import LINK_PURPOSE
from tests.chromium import launched
from tests.http.browsing import Browser, browser, person
from tests.security.corpus import CORPUS, SQL
from tests.security.fields import QUERIES, bodies
from tests.security.ground import UNLIMITED
from tests.standins import LOCALHOST_PEM, LoopThread, Receiver, SmtpStandIn
from tests.world import World

PASSWORD = "the-password-of-the-postbox"
WATCH = """
    window.calls = [];
    for (const name of ["pwned", "alert", "confirm", "prompt"]) window[name] = () => window.calls.push(name);
"""
OURS = {"h1", "dl", "dt", "dd", "p", "form", "button"}
ALLOWED = re.compile(r"<(https?://[^<>|]*|mailto:[^<>|]*)(\|[^<>]*)?>")
DATE = re.compile(r"<!date\^\d{10}\^{date_short_pretty} {time}\|\d{4}-\d\d-\d\d \d\d:\d\d UTC>")


class Told:
    """A box that every input of the corpus went through as an alert, told by Slack, mail and a webhook."""

    def __init__(self, world: World, smtp: SmtpStandIn, hook: Receiver) -> None:
        self.world, self.smtp, self.hook = world, smtp, hook
        world.channel("#oncall")
        world.channel(
            "mail", kind="email", host="127.0.0.1", port=smtp.port, sender="SignalCraft <box@example.com>",
            recipients=["kim@example.com"], username="postbox", password=PASSWORD,
        )  # fmt: skip
        world.channel("hook", kind="webhook", url=hook.url)
        world.post("/api/routing-rules", {"name": "all", "when": {}, "channels": ["#oncall", "mail", "hook"]})
        self.events: list[dict[str, Any]] = []
        for number, (_, text) in enumerate(CORPUS):
            alert = {
                "title": f"{number}: {text}", "message": text, "project": text, "environment": text, "link": text,
                "dedup_key": f"{number} {text}", "tags": {"kind": text, text: "value"}, "url": text, "users": text,
                "user": {"id": text, "name": text, "email": text}, "severity": "critical", "runbook_url": text,
            }  # fmt: skip
            answer = world.sends("generic", json.dumps(alert).encode(), settle=False)
            assert answer.status_code == 202, answer.text
            self.events.append(answer.json()["events"][0])
        world.after(minutes=3)
        self.groups = [world.get(f"/api/alert-groups/{event['group_id']}") for event in self.events]
        for group, (_, text) in zip(self.groups, CORPUS, strict=True):
            world.post(f"/api/alert-groups/{group['id']}/assign", {"assignee": text[:100]})
            world.post(f"/api/alert-groups/{group['id']}/ack", {"note": text})
            world.post(f"/api/alert-groups/{group['id']}/resolve", {"note": text})
        world.after(minutes=3)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    settings = {"outbound.ca_file": str(LOCALHOST_PEM), **UNLIMITED}
    smtp = SmtpStandIn(security="starttls", users={"postbox": PASSWORD})
    hook = Receiver("")
    with LoopThread(smtp), LoopThread(hook), World(tmp_path_factory.mktemp("corpus") / "data", **settings) as world:
        yield Told(world, smtp, hook)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with launched("what pages and mails do with bad input") as it:
        yield it


class Watched:
    """A page on which nothing may run, open or load from elsewhere."""

    def __init__(self, chromium: Chromium, own: str) -> None:
        self.context = chromium.new_context()
        self.page: Page = self.context.new_page()
        self.page.add_init_script(WATCH)
        self.wrong: list[str] = []
        self.page.on("dialog", lambda dialog: (self.wrong.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("popup", lambda page: self.wrong.append(f"a window: {page.url}"))
        self.context.on("request", lambda request: self._asked(request.url, own))

    def _asked(self, url: str, own: str) -> None:
        if not url.startswith((own, "data:image/", "data:,", "about:")):
            self.wrong.append(f"asked for {url}")

    def clean(self) -> None:
        """Raises AssertionError where something ran."""
        assert self.page.evaluate("window.calls") == []
        assert self.wrong == []


def squeezed(text: str) -> str:
    """A text as a browser shows it, whatever white space was in it; a NUL is shown as U+FFFD."""
    return " ".join("".join(c if c.isprintable() and c != "\ufffd" else " " for c in text).split())


def title_of(page: Page) -> str:
    return squeezed(page.locator("h1").text_content() or "")


# -- the API ----------------------------------------------------------------------------------------------------------


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 60
    assert len(set(CORPUS)) == len(CORPUS)
    assert {kind for kind, _ in CORPUS} == {"xss", "sql", "header", "path", "ssrf", "slack"}


def test_what_came_in_is_kept_and_told_by_the_api_as_it_was(told: Told) -> None:
    """Verbatim: nothing is stripped or escaped on its way in, and JSON is the only form on its way out."""
    for number, (event, group, (_, text)) in enumerate(zip(told.events, told.groups, CORPUS, strict=True)):
        whole = told.world.api.get(f"/api/events/{event['event_id']}")
        assert whole.headers["content-type"] == "application/json"
        assert whole.headers["x-content-type-options"] == "nosniff"
        said = whole.json()
        assert squeezed(said["message"]) == squeezed(text)
        assert squeezed(group["title"]) == squeezed(f"{number}: {text}")
        assert squeezed(said["project"]) == squeezed(text)
        raw = told.world.api.get(f"/api/events/{event['event_id']}/payload")
        assert raw.json()["title"] == f"{number}: {text}"
        assert raw.headers["content-type"] == "application/octet-stream"
        assert raw.headers["x-content-type-options"] == "nosniff"
        assert raw.headers["content-security-policy"].startswith("default-src 'none'")
        # A link that leads elsewhere than to the web is not told as one.
        assert said["link"] is None or said["link"].startswith(("http://", "https://"))


def answered(answer: httpx.Response) -> httpx.Response:
    """Not our fault, JSON if anything, and no header of the attacker's."""
    assert answer.status_code < 500, answer.text
    assert "x-injected" not in answer.headers
    assert "evil" not in answer.headers.get("set-cookie", "")
    if answer.content:
        assert answer.headers["content-type"].split(";")[0] in ("application/json", "application/problem+json")
    return answer


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.whole)])
def test_no_text_field_of_the_api_is_a_way_in(told: Told, every: int) -> None:
    world = told.world
    kept = {"integrations": 0, "channels": 0, "routing-rules": 0, "api-keys": 0}
    for _, text in CORPUS[::every]:
        for method, path, body in bodies(text):
            answer = answered(world.api.request(method, path, json=body))
            if answer.status_code == 201 and body.get("name") == text[:100]:
                assert answer.json()["name"].strip() == text[:100].strip()
                kept[path.rpartition("/")[2]] += 1
            if answer.status_code == 201:
                made = answer.json()["id"]
                assert world.api.delete(f"{path}/{made}").status_code == 204
    assert all(count > 40 // every for count in kept.values()), kept
    assert len(world.get("/api/alert-groups", limit=100)["items"]) == len(CORPUS)


@pytest.mark.parametrize("query", QUERIES)
def test_no_query_or_path_is_a_way_in(told: Told, query: str) -> None:
    for kind, text in CORPUS:
        answer = told.world.api.get(query.format(str(httpx.QueryParams({"x": text}))[2:]))
        assert answer.status_code < 500, f"{text!r}: {answer.text}"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "content-security-policy" in answer.headers
        assert "root:" not in answer.text
        if answer.headers["content-type"].startswith("text/html"):
            assert text not in answer.text or "<" not in text
        if kind == "sql" and "groups?project=" in query and answer.status_code == 200:
            assert len(answer.json()["items"]) <= 1, f"{text!r} is a value, not a condition"
    assert len(told.world.get("/api/alert-groups", limit=100)["items"]) == len(CORPUS)


@pytest.mark.whole
def test_a_name_and_a_user_agent_of_a_person_are_text(told: Told) -> None:
    with browser(told.world, "named@example.com", "owner") as it:
        for _, text in CORPUS:
            done = it.ask("PATCH", "/api/auth/me", {"name": text})
            assert done.status_code in (200, 422), done.text
            if done.status_code == 200:
                assert squeezed(done.json()["person"]["name"]) == squeezed(text)
    person(told.world, "agent@example.com", "viewer")
    for _, text in CORPUS:
        agent = "".join(c for c in text if c.isascii() and c.isprintable())
        with Browser(told.world, **{"User-Agent": agent, "X-Request-ID": agent.strip() or "x"}) as it:
            answer = answered(it.signs_in("agent@example.com"))
            assert answer.status_code == 200
            assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answer.headers["x-request-id"])


def test_the_database_holds_every_table_it_had(told: Told) -> None:
    def read(tx: Any) -> set[str]:
        return {row[0] for row in tx.all("select name from sqlite_master where type = 'table'")}

    tables = told.world._call(told.world.house.db.read(read))
    assert {"event", "alert_group", "person", "session", "journal"} <= tables
    assert len(SQL) >= 10


# -- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.whole
def test_answer_pages_show_text(told: Told, chromium: Chromium) -> None:
    own = str(told.world.api.base_url)
    key = told.world.house.vault.derive(LINK_PURPOSE)
    watched = Watched(chromium, own)
    channel = ids.parse(told.world.get("/api/channels")["items"][0]["id"])
    for number, (group, (_, text)) in enumerate(zip(told.groups, CORPUS, strict=True)):
        token = links.sign(key, ids.parse(group["id"]), channel, "ack", told.world.clock.at_ms + 60_000)
        watched.page.goto(f"{own}/answer/{token}".replace("//answer", "/answer"))
        assert title_of(watched.page) == squeezed(f"{number}: {text}")
        found = watched.page.evaluate("[...document.querySelectorAll('main *')].map(it => it.localName)")
        assert set(found) <= OURS, f"{text!r}: {set(found) - OURS}"
        shown = [squeezed(one) for one in watched.page.locator("dd").all_text_contents()]
        assert squeezed(text)[:60] in " ".join(shown)
        watched.clean()
    watched.context.close()


@pytest.mark.whole
def test_the_first_page_and_the_page_of_the_api_take_nothing_from_their_address(told: Told, chromium: Chromium) -> None:
    own = str(told.world.api.base_url).rstrip("/")
    watched = Watched(chromium, own)
    for address in (
        "/?q=<script>pwned()</script>", "/#<img src=x onerror=pwned()>", "/api/docs?url=https://evil.example/x.json",
        "/api/docs?configUrl=data:application/json,{}", "/api/docs#/<img src=x onerror=pwned()>",
        "/api/docs#javascript:pwned()", "/api/docs?url=javascript:pwned()",
    ):  # fmt: skip
        watched.page.goto("about:blank")
        watched.page.goto(own + address)
        if address.startswith("/api/docs"):
            watched.page.locator(".opblock-tag").first.wait_for()
        watched.clean()
    watched.context.close()


@pytest.mark.whole
def test_the_page_of_the_demo_shows_text(told: Told, chromium: Chromium) -> None:
    """It draws what Slack was sent, as Slack would."""
    origin = told.world.slack.origin
    watched = Watched(chromium, origin)
    watched.page.goto(origin)
    watched.page.locator(".message").nth(20).wait_for()
    found = set(watched.page.evaluate("[...document.querySelectorAll('#messages *')].map(it => it.localName)"))
    assert (
        found & {"script", "img", "svg", "iframe", "object", "style", "link", "meta", "base", "video", "math"} == set()
    )
    where = watched.page.evaluate("[...document.querySelectorAll('#messages a[href]')].map(it => it.protocol)")
    assert set(where) <= {"http:", "https:", "mailto:"}
    watched.clean()
    watched.context.close()


def test_what_runs_in_a_page_is_found(chromium: Chromium) -> None:
    """Otherwise nothing found would mean nothing."""
    for html in ("<script>pwned()</script>", "<img src=data:x onerror=pwned()>", "<script>alert(1)</script>"):
        watched = Watched(chromium, "about:")
        watched.page.goto("about:blank")
        watched.page.set_content(html)
        watched.page.wait_for_function("window.calls.length > 0")
        with pytest.raises(AssertionError):
            watched.clean()
        watched.context.close()
    watched = Watched(chromium, "about:")
    watched.page.goto("about:blank")
    watched.page.set_content("<link rel=stylesheet href=http://127.0.0.1:9/x.css>")
    assert watched.wrong == ["asked for http://127.0.0.1:9/x.css"]
    watched.context.close()


# -- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.whole
def test_mails_show_text_and_have_no_header_of_others(told: Told, chromium: Chromium) -> None:
    assert len(told.smtp.mails) >= len(CORPUS)
    watched = Watched(chromium, "about:")
    seen: set[int] = set()
    for mail in told.smtp.mails:
        message = mail.message
        assert message["X-Injected"] is None
        assert message["Bcc"] is None
        assert message["Set-Cookie"] is None
        assert mail.recipients == ["kim@example.com"]
        assert all(name.isascii() and "\n" not in str(value) for name, value in message.items())
        watched.page.goto("about:blank")
        watched.page.set_content(mail.text("html"))
        shown = squeezed(watched.page.locator("body").inner_text())
        for number, (_, text) in enumerate(CORPUS):
            if re.search(rf"(^|[^0-9]){number}: ", str(message["Subject"])):
                seen.add(number)
                assert squeezed(f"{number}: {text}") in shown or squeezed(f"{number}: {text}")[:40] in shown, text
        elements = set(watched.page.evaluate("[...document.body.querySelectorAll('*')].map(it => it.localName)"))
        assert (
            elements & {"script", "img", "svg", "iframe", "object", "form", "input", "video", "math", "base"} == set()
        )
        where = watched.page.evaluate("[...document.querySelectorAll('a[href]')].map(it => it.protocol)")
        assert set(where) <= {"http:", "https:"}
        watched.clean()
    assert seen == set(range(len(CORPUS)))
    watched.context.close()


def mrkdwn(value: Any) -> Iterator[str]:
    """Every text that Slack reads as mrkdwn."""
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            yield value["text"]
        for inner in value.values():
            yield from mrkdwn(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from mrkdwn(inner)


def test_slack_messages_hold_no_mention_and_no_link_of_others(told: Told) -> None:
    seen = 0
    for message in told.world.slack.everything():
        for version in message.history:
            for text in [version.text, *mrkdwn(version.blocks), *mrkdwn(version.attachments)]:
                text = DATE.sub("", text).removeprefix("<!here> ")  # ours: a time, and the ping of what is critical
                rest = ALLOWED.sub("", text)
                assert not re.search(r"<[!@#]", rest), text
                assert "<" not in rest, text
                assert ">" not in rest.replace("&gt;", ""), text
                for url, label in ALLOWED.findall(text):
                    assert "slack.com/login" not in label, text
                    assert url.startswith(("http://", "https://"))
                seen += 1
    assert seen > 3 * len(CORPUS)


def test_slack_shows_each_title_once_escaped(told: Told) -> None:
    """What Slack decodes is the title that came, up to where it was cut."""
    texts = [version.text for message in told.world.slack.everything() for version in message.history]
    for number, (_, text) in enumerate(CORPUS):
        wanted = squeezed(f"{number}: {text}")
        safe = wanted.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")[:40]
        assert any(safe in squeezed(one) for one in texts), wanted


def test_webhook_notes_are_json_with_the_text_that_came(told: Told) -> None:
    titles = {body["data"]["group"]["title"] for body in told.hook.bodies}
    for number, group in enumerate(told.groups):
        assert group["title"] in titles, number
    for request in told.hook.requests:
        assert request.headers["content-type"] == "application/json"
        assert "x-injected" not in request.headers

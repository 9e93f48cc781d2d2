"""Log lines: their form, the request they belong to, and that no secret gets into one."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalcraft import logs
from signalcraft.config import Secret
from signalcraft.config.model import Log

ROOT = Path(__file__).resolve().parent.parent
log = logging.getLogger("signalcraft.services.ingest")


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging is one for the whole process: put back what was there."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def said() -> Callable[[], list[dict[str, Any]]]:
    """What was logged as JSON so far."""
    stream = io.StringIO()
    logs.setup(Log(format="json", level="debug"), stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


Said = Callable[[], list[dict[str, Any]]]


def test_a_line_is_one_json_object(said: Said) -> None:
    """With time, level, logger, message and the fields of `extra` as they are."""
    log.info("accepted %d", 2, extra={"events": 2, "kinds": ["alert"], "ok": None, "at": {"x": 1.5}})
    (line,) = said()
    assert line.pop("timestamp")[10:] > "T"
    assert line == {
        "level": "info",
        "logger": "signalcraft.services.ingest",
        "message": "accepted 2",
        "events": 2,
        "kinds": ["alert"],
        "ok": None,
        "at": {"x": 1.5},
    }


def test_times_are_rfc_3339_in_utc(said: Said) -> None:
    """To the millisecond."""
    record = logging.makeLogRecord({"name": "x", "msg": "m", "levelno": logging.INFO, "created": 1_772_359_200.1239})
    logging.getLogger().handle(record)
    assert said()[0]["timestamp"] == "2026-03-01T10:00:00.123Z"


def test_a_terminal_gets_text_and_a_pipe_json() -> None:
    """`auto` looks where the lines go; json and text do not."""
    forms = {}
    for form in ("auto", "json", "text"):
        for stream in (Screen(), io.StringIO()):
            logs.setup(Log(format=form), stream)
            log.warning("full", extra={"free_mb": 3, "why": "no space", "empty": ""})
            forms[form, stream.isatty()] = stream.getvalue()
    assert forms["auto", True][12:] == ' WARNING services.ingest: full  free_mb=3 why="no space" empty=""\n'
    assert json.loads(forms["auto", False])["free_mb"] == 3
    assert forms["json", True].startswith("{")
    assert not forms["text", False].startswith("{")


def test_what_is_below_the_level_is_not_written(said: Said) -> None:
    """And other people's libraries speak from warning on, at any level of ours."""
    logging.getLogger("httpx").info("HTTP Request: POST https://example.com/secret-path")
    log.debug("ours")
    logging.getLogger("huey.consumer").warning("theirs")
    assert [line["message"] for line in said()] == ["ours", "theirs"]
    stream = io.StringIO()
    logs.setup(Log(format="json", level="error"), stream)
    log.warning("less")
    assert stream.getvalue() == ""


def test_the_request_follows_tasks_and_threads(said: Said) -> None:
    """Tasks by themselves, threads where the work is carried; each request sees its own."""

    async def answer(name: str) -> None:
        with logs.within(name):
            await asyncio.sleep(0)
            log.info("loop")
            await asyncio.gather(asyncio.create_task(inner()))
            with ThreadPoolExecutor(1) as pool:
                pool.submit(logs.carry(log.info), "thread").result()
                pool.submit(log.info, "stranger").result()

    async def inner() -> None:
        log.info("task")

    async def both() -> None:
        await asyncio.gather(answer("r1"), answer("r2"))

    asyncio.run(both())
    log.info("outside")
    seen = [(line["message"], line.get("request_id")) for line in said()]
    for request in ("r1", "r2"):
        assert [m for m, r in seen if r == request] == ["loop", "task", "thread"]
    assert [m for m, r in seen if r is None] == ["stranger", "stranger", "outside"]


def test_carried_work_may_run_twice_at_once() -> None:
    """A context can be entered once only; the carried work has its own each time."""
    barrier = threading.Barrier(2, timeout=10)

    def meet(value: str) -> tuple[str, str]:
        barrier.wait()
        return value, logs.request_id.get()

    with logs.within("job-7"):
        carried = logs.carry(meet)
    with ThreadPoolExecutor(2) as pool:
        assert {f.result() for f in (pool.submit(carried, "a"), pool.submit(carried, "b"))} == {
            ("a", "job-7"),
            ("b", "job-7"),
        }


SHAPES = [
    ("calling with xoxb-1234-abcdEFGH", "calling with •••"),
    ("app xapp-1-A0-deadbeef!", "app •••!"),
    ("secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "secret •••"),
    ("Authorization: Bearer abcdefghijkl", "Authorization: Bearer •••"),
    ("authorization: Basic YW5hOnBhc3M1", "authorization: Basic •••"),
    ("authorization: Custom very-long-value/1, and more", "authorization: Custom •••"),
    ("{'cookie': 'session=abc; other=def', 'host': 'x'}", "{'cookie': '•••', 'host': 'x'}"),
    ("{'dd-api-key': '0123456789', 'x-gitlab-token': 'abcdef'}", "{'dd-api-key': '•••', 'x-gitlab-token': '•••'}"),
    ("GenieKey 12345678-90ab", "GenieKey •••"),
    ("POST /webhooks/sentry/aB3_x-9 202", "POST /webhooks/sentry/••• 202"),
    ("POST /webhooks/opsgenie_api/aB3/v2/alerts?x=1", "POST /webhooks/opsgenie_api/•••/v2/alerts?x=1"),
    ("POST /webhooks/slack/actions 200", "POST /webhooks/slack/actions 200"),
    ("https://hooks.slack.com/services/T01AB/B02CD/xYz123", "https://hooks.slack.com/services/•••"),
    ('{"token": "s3cr3tvalue", "n": 1}', '{"token": "•••", "n": 1}'),
    ("url?api_key=abcdef123&x=1", "url?api_key=•••&x=1"),
    ("smtp://ana:hunter22@mail.example.com", "smtp://ana:•••@mail.example.com"),
    ("client_secret='abcdefgh'", "client_secret='•••'"),
    ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nafter", "•••\nafter"),
    ("the token bucket of this key is full", "the token bucket of this key is full"),
    ("basic authentication is not enough", "basic authentication is not enough"),
]


@pytest.mark.parametrize(("text", "masked"), SHAPES)
def test_what_looks_like_a_secret_is_masked(said: Said, text: str, masked: str) -> None:
    """In the message, its arguments, the fields, however deep, and the text of an exception."""
    log.info(text)
    log.info("%s", text)
    log.info("x", extra={"deep": [{"a": (text,)}]})
    try:
        raise RuntimeError(text)
    except RuntimeError:
        log.exception("x")
    plain, argument, deep, trace = said()
    assert (plain["message"], argument["message"], deep["deep"][0]["a"][0]) == (masked, masked, masked)
    assert f"RuntimeError: {masked}" in trace["exception"]


def test_a_known_secret_inside_a_longer_one_does_not_lay_the_rest_open(said: Said) -> None:
    """What is known and what looks like a secret are masked as one where they overlap, whichever is the longer."""
    logs.redact.add("xoxb-overlap", "my xoxb-other-token")
    log.info("calling with xoxb-overlap-tail-of-it and my xoxb-other-token.")
    assert said()[0]["message"] == "calling with ••• and •••"


def test_a_known_secret_is_masked_in_every_spelling(said: Said) -> None:
    """As it is, in JSON, percent-encoded, in a repr, in a key, in bytes, in a traceback and its causes."""
    secret = 'päss "wörd"/\\42'
    logs.redact.add(secret)
    spellings = [secret, json.dumps({"a": secret}), repr(secret), json.dumps([secret], ensure_ascii=False)]
    spellings += ["p%C3%A4ss%20%22w%C3%B6rd%22%2F%5C42", "p%C3%A4ss%20%22w%C3%B6rd%22/%5C42"]
    for text in spellings:
        log.info("a %s b", text, extra={"field": text, text: 1, "raw": text.encode()})
    try:
        try:
            raise ValueError(secret)
        except ValueError as cause:
            raise KeyError(secret) from cause
    except KeyError:
        log.exception("x", stack_info=True)
    text = json.dumps(said(), ensure_ascii=False)
    assert "wörd" not in text
    assert "w%C3%B6rd" not in text
    assert text.count("•••") >= 4 * len(spellings) + 2


def test_fields_that_are_named_like_a_secret_are_masked(said: Said) -> None:
    """Whatever they hold; a count of tokens is no token."""
    extra = {
        "bot_token": "short",
        "password": Secret("x"),
        "headers": {"api_key": "k1", "Set-Cookie": "a=b", "authorization": "x y"},
        "tokens": 3,
        "token_hint": "ab12",
    }
    log.info("x", extra=extra)
    line = said()[0]
    assert (line["bot_token"], line["password"], line["headers"]) == (
        "•••",
        "•••",
        {"api_key": "•••", "Set-Cookie": "•••", "authorization": "•••"},
    )
    assert (line["tokens"], line["token_hint"]) == (3, "ab12")


def test_short_words_are_not_taken_for_secrets(said: Said) -> None:
    """A secret of three letters would mask half the log."""
    logs.redact.add("", "abc")
    log.info("alphabet abc")
    assert said()[0]["message"] == "alphabet abc"


def test_a_line_is_never_lost_to_a_strange_field(said: Said) -> None:
    """Lone surrogates, NaN, endless nesting, fields that are named like ours."""
    endless: list[Any] = []
    endless.append(endless)
    extra = {"s": "\ud800", "nan": float("nan"), "endless": endless, "level": "mine", "big": 2**80, "obj": object}
    log.info("bad \udfff", extra=extra)
    (line,) = said()
    assert (line["level"], line["level_"], line["nan"], line["big"]) == ("info", "mine", "nan", 2**80)
    assert line["message"] == "bad \\udfff"


def test_a_wrong_call_says_where_and_not_what(said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    """The library would print the arguments on standard error as they are."""
    stream = io.StringIO()
    logs.setup(Log(format="json"), stream)
    log.info("two %s %s", "xoxb-1234-abcdEFGH")  # noqa: PLE1206 - the mistake that is tested
    assert "could not be written" in stream.getvalue()
    assert "xoxb" not in stream.getvalue() + capsys.readouterr().err


def test_what_no_code_caught_ends_in_the_log(said: Said) -> None:
    """Of the program, of a thread, and Python's own warnings: masked like the rest."""
    try:
        raise RuntimeError("xoxb-1234-abcdEFGH")
    except RuntimeError as fault:
        sys.excepthook(RuntimeError, fault, fault.__traceback__)
    thread = threading.Thread(target=lambda: 1 / 0, name="writer")
    thread.start()
    thread.join()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("token=abcdefgh", UserWarning, stacklevel=1)
    program, of_thread, warning = said()
    assert program["level"] == "critical"
    assert "RuntimeError: •••" in program["exception"]
    assert (of_thread["thread_name"], "ZeroDivisionError" in of_thread["exception"]) == ("writer", True)
    assert "token=•••" in warning["message"]


def test_a_program_that_dies_leaves_no_secret_on_standard_error() -> None:
    """As a real process: the traceback of the interpreter itself is never printed."""
    code = (
        "import sys; from signalcraft import logs; from signalcraft.config.model import Log; logs.setup(Log());"
        "logs.redact.add(sys.argv[1]); raise RuntimeError(sys.argv[1])"
    )
    done = subprocess.run([sys.executable, "-c", code, "hunter2hunter2"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert json.loads(done.stderr)["exception"].endswith("RuntimeError: •••")
    assert "hunter2" not in done.stderr


@given(st.text(min_size=6), st.text(), st.text())
def test_no_secret_survives_any_surroundings(secret: str, before: str, after: str) -> None:
    """Whatever the secret is and whatever stands around it, masking leaves no trace of it."""
    redact = logs.Redactor()
    redact.add(secret)
    left = redact(before + secret + after)
    assert "•••" in left
    if secret not in before + after and not set(secret) & set("•" + before + after):
        assert secret not in left


@given(st.text(alphabet="ab_-+ /.=:tokenbasicrxwhk'\"\\", max_size=400))
def test_masking_ends_and_keeps_what_is_no_secret(text: str) -> None:
    """Text without a digit, a scheme or a key word stays; any text is dealt with at once."""
    masked = logs.Redactor()(text)
    assert len(masked) <= len(text)


@pytest.mark.parametrize(
    "piece", ["token+", "bearer+", "a_", "://a:", "/webhooks/a/", "-----BEGIN PRIVATE KEY-----", "'"]
)
def test_masking_is_quick_on_hostile_text(piece: str) -> None:
    """A hundred thousand characters made to be slow take no time worth telling."""
    assert logs.Redactor()(piece * (100_000 // len(piece))) is not None

"""The mail server and the webhook receiver that tests send to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import smtplib
import ssl
import time
from email.message import EmailMessage
from typing import Any

import httpx
import pytest

from tests.standins import LOCALHOST_PEM, LoopThread, Receiver, SmtpStandIn

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def _mail(subject: str = "Database down", to: str = "sam@example.com") -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = subject, "alerts@example.com", to
    mail.set_content("plain words")
    mail.add_alternative("<p>rich words</p>", subtype="html")
    return mail


def _trust() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(LOCALHOST_PEM))


def test_a_mail_is_kept_with_both_parts() -> None:
    with LoopThread(SmtpStandIn()) as smtp:
        with smtplib.SMTP("127.0.0.1", smtp.it.port, timeout=30) as client:
            client.send_message(_mail())
        [mail] = smtp.it.mails
        assert (mail.sender, mail.recipients, mail.tls) == ("alerts@example.com", ["sam@example.com"], False)
        assert mail.message["Subject"] == "Database down"
        assert (mail.text().strip(), mail.text("html").strip()) == ("plain words", "<p>rich words</p>")


def test_starttls_with_a_password() -> None:
    with LoopThread(SmtpStandIn(security="starttls", users={"alerts": "pass"})) as smtp:
        with smtplib.SMTP("127.0.0.1", smtp.it.port, timeout=30) as client:
            with pytest.raises(smtplib.SMTPSenderRefused):
                client.send_message(_mail())
            client.starttls(context=_trust())
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login("alerts", "wrong")
            client.login("alerts", "pass")
            client.send_message(_mail())
        [mail] = smtp.it.mails
        assert (mail.tls, mail.username) == (True, "alerts")


def test_implicit_tls() -> None:
    with LoopThread(SmtpStandIn(security="tls")) as smtp:
        with smtplib.SMTP_SSL("127.0.0.1", smtp.it.port, timeout=30, context=_trust()) as client:
            client.send_message(_mail())
        assert smtp.it.mails[0].tls


def test_a_password_is_asked_for_without_tls_too() -> None:
    with LoopThread(SmtpStandIn(users={"alerts": "pass"})) as smtp:
        with smtplib.SMTP("127.0.0.1", smtp.it.port, timeout=30) as client:
            with pytest.raises(smtplib.SMTPSenderRefused):
                client.send_message(_mail())
            client.login("alerts", "pass")
            client.send_message(_mail())
        assert smtp.it.mails[0].username == "alerts"


def test_mail_refusals() -> None:
    with LoopThread(SmtpStandIn()) as smtp:

        def send(to: str = "sam@example.com") -> Any:
            with smtplib.SMTP("127.0.0.1", smtp.it.port, timeout=30) as client:
                return client.send_message(_mail(to=to))

        smtp.it.answer("451 4.3.0 try again later", times=1)
        with pytest.raises(smtplib.SMTPDataError) as caught:
            send()
        assert caught.value.smtp_code == 451
        smtp.it.answer("550 5.1.1 no such user", "rcpt", recipient="kim@example.com")
        assert send("sam@example.com, kim@example.com") == {"kim@example.com": (550, b"5.1.1 no such user")}
        assert smtp.it.mails[0].recipients == ["sam@example.com"]
        smtp.it.heal()
        smtp.it.answer("421 4.3.2 too busy", "connect", times=1)
        with pytest.raises(smtplib.SMTPConnectError):
            send()
        send()
        assert len(smtp.it.mails) == 2
        assert len(smtp.it.refusals) == 3


def test_a_mail_server_that_stalls_drops_or_is_down() -> None:
    with LoopThread(SmtpStandIn()) as smtp:

        def send() -> None:
            with smtplib.SMTP("127.0.0.1", smtp.it.port, timeout=0.3) as client:
                client.send_message(_mail())

        smtp.it.stall(1.0)
        with pytest.raises(OSError, match="timed out"):
            send()
        smtp.it.heal()
        smtp.it.drop_after_accept()
        kept = len(smtp.it.mails)
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionResetError)):
            send()
        assert len(smtp.it.mails) == kept + 1
        smtp.it.down()
        with pytest.raises(ConnectionRefusedError):
            send()
        smtp.it.down(False)
        send()
        assert len(smtp.it.mails) == kept + 2


# ----------------------------------------------------------------------------------------------------------- receiver


def _signed(body: bytes, at_s: int, secret: str = SECRET, message_id: str = "msg_1") -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{at_s}.".encode() + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(at_s), "webhook-signature": f"v1,bm8= {signature}"}


def test_the_signature_of_standard_webhooks_is_checked() -> None:
    body = b'{"test": 2432232314}'
    with LoopThread(Receiver(SECRET, now_ms=lambda: 1_614_265_330_000)) as hooks:
        post = httpx.Client(base_url=hooks.it.url)
        with post:
            assert post.post("", content=body, headers=_signed(body, 1_614_265_330)).status_code == 200
            assert post.post("", content=body + b" ", headers=_signed(body, 1_614_265_330)).status_code == 401
            assert post.post("", content=body, headers=_signed(body, 1_614_265_330 - 301)).status_code == 401
            assert post.post("", content=body).status_code == 401
        assert [r.signed for r in hooks.it.requests] == [True, False, False, False]
        assert hooks.it.bodies == [{"test": 2432232314}]
        assert hooks.it.requests[0].id == "msg_1"


def test_the_vector_of_standard_webhooks() -> None:
    """The example of the specification's own libraries."""
    from tests.standins.receiver import verify

    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert verify("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", headers, b'{"test": 2432232314}')
    assert not verify("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", headers, b'{"test": 2432232315}')


def test_a_receiver_that_fails_stalls_lies_drops_or_is_down() -> None:
    with LoopThread(Receiver()) as hooks, httpx.Client(timeout=0.3) as client:
        url = hooks.it.url
        hooks.it.fail(503, times=1, headers={"Retry-After": "7"})
        assert client.post(url, json={}).headers["Retry-After"] == "7"
        hooks.it.lie(times=1)
        assert client.post(url, json={}).headers["Content-Type"] == "text/html"
        hooks.it.drop_after_accept()
        with pytest.raises(httpx.RemoteProtocolError):
            client.post(url, json={})
        hooks.it.stall(0.6, times=1)
        with pytest.raises(httpx.ReadTimeout):
            client.post(url, json={})
        hooks.it.down()
        with pytest.raises(httpx.ConnectError):
            client.post(url, json={})
        hooks.it.down(False)
        assert client.post(url, content=b"[]").status_code == 200
        time.sleep(0.05)
        assert [r.status for r in hooks.it.requests] == [503, 200, 0, 200]
        assert hooks.it.requests[-1].signed is None


def test_bodies_without_a_length_and_bodies_that_are_too_large() -> None:
    with LoopThread(Receiver()) as hooks, httpx.Client(timeout=30) as client:
        client.post(hooks.it.url, content=iter([b'{"a"', b":1}"]))
        assert hooks.it.requests[0].json == {"a": 1}
        with pytest.raises(httpx.HTTPError):
            client.post(hooks.it.url, content=b"x" * 5_000_000).raise_for_status()
        assert len(hooks.it.requests) == 1

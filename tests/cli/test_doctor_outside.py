"""`signalcraft doctor` and what lies around the box: names, certificates, channels. Each fault is planted and found."""

from __future__ import annotations

import shutil
import time
from typing import Any

import pytest

from signalcraft.cli.client import answers
from signalcraft.cli.doctor.outside import LOOKS
from signalcraft.demo.slack.standin import BOT_TOKEN
from signalcraft.services.kinds import CHANNEL_KINDS
from tests.cli.conftest import Box, free_port
from tests.cli.patient import Patient, origin, slack_channel
from tests.main.pairs import pair
from tests.standins import LoopThread, Receiver, SlackStandIn, SmtpStandIn

# -- domain and TLS ---------------------------------------------------------------------------------------------------


@pytest.mark.whole
def test_domain_that_has_no_address(patient: Patient) -> None:
    patient.expects("dns", "fault", "add an A or AAAA record", http__public_url="https://signalcraft.invalid")
    patient.expects("public url", "warning", "not set")


def test_domain_that_leads_to_something_else(patient: Patient) -> None:
    with LoopThread(Receiver(secret="")) as other:
        patient.expects("public url", "fault", "not answered by SignalCraft", http__public_url=origin(other.it))


@pytest.mark.whole
def test_domain_behind_a_closed_port_while_it_runs(patient: Patient) -> None:
    patient.expects(
        "public url", "warning", "nothing runs here now", http__public_url=f"http://127.0.0.1:{free_port()}"
    )
    patient.box.serving()
    patient.expects("public url", "fault", "firewall", http__public_url=f"http://127.0.0.1:{free_port()}")


class Secure(Patient):
    """It serves HTTPS with a certificate of its own."""

    def serves(self, host: str = "127.0.0.1", **how: Any) -> dict[str, str]:
        """Settings for the doctor."""
        tls = pair(self.box.root / "tls", **how)
        own = {f"SIGNALCRAFT_{k.upper().replace('.', '__')}": v for k, v in tls.items()}
        port = free_port()
        process = self.box.start("serve", "--listen", f"{host}:{port}", env=own)
        while not answers(self.box.data):
            assert process.poll() is None
            time.sleep(0.05)
        shutil.copy(tls["http.tls_certificate"], self.box.root / "ca.pem")
        return {"http__listen": f"{host}:{port}", "http__public_url": f"https://localhost:{port}"}


@pytest.mark.whole
@pytest.mark.parametrize(
    ("how", "trusted", "status", "words"),
    [
        ({"days": 90}, True, "ok", "holds for 89 days"),
        ({"days": 90}, False, "fault", "is not believed"),
        ({"days": 5}, True, "warning", "ends in 4 days"),
        ({"days": -1, "began_days": 30}, True, "fault", "ended 1 days ago"),
    ],
    ids=["sound", "unknown authority", "ending", "ended"],
)
def test_tls_chain_and_expiry(
    box: Box, slack: SlackStandIn, how: dict[str, Any], trusted: bool, status: str, words: str
) -> None:
    it = Secure(box, slack)
    settings = it.serves(**how)
    if trusted:
        settings["outbound__ca_file"] = str(box.root / "ca.pem")
    it.expects("tls", status, words, **settings)


@pytest.mark.whole
def test_tls_for_another_name(box: Box, slack: SlackStandIn) -> None:
    it = Secure(box, slack)
    settings = it.serves("127.0.0.2")
    settings |= {"outbound__ca_file": str(box.root / "ca.pem")}
    settings["http__public_url"] = settings["http__public_url"].replace("localhost", "127.0.0.2")
    it.expects("tls", "fault", "is not believed", **settings)


def test_tls_that_is_not_there(patient: Patient) -> None:
    with LoopThread(Receiver(secret="", host="127.0.0.2")) as other:
        patient.expects("tls", "fault", "reads passwords", http__public_url=origin(other.it))


# -- channels ---------------------------------------------------------------------------------------------------------


def test_slack_that_cannot_be_reached_or_does_not_take_the_token(patient: Patient, slack: SlackStandIn) -> None:
    patient.expects("channel oncall", "ok", "Slack can be reached")
    slack.revoke(BOT_TOKEN)
    patient.expects("channel oncall", "fault", "(token_revoked): install the app again")
    patient.expects(
        "channel oncall", "fault", "cannot be reached", slack__api_url=f"http://127.0.0.1:{free_port()}/api/"
    )


@pytest.mark.whole
def test_mail_server_that_refuses_the_password_or_is_away(patient: Patient) -> None:
    def mail(port: int, password: str) -> str:
        return (
            '[[channels]]\nname = "mail"\nkind = "email"\nhost = "127.0.0.1"\nsecurity = "none"\nusername = "sam"\n'
            f'port = {port}\npassword = "{password}"\nsender = "a@example.com"\nrecipients = ["b@example.com"]\n'
        )

    with LoopThread(SmtpStandIn(users={"sam": "right"})) as smtp:
        patient.has(mail(smtp.it.port, "right"))
        patient.expects("channel mail", "ok", "E-mail can be reached")
        patient.has(mail(smtp.it.port, "wrong"))
        patient.expects("channel mail", "fault", "refuses its user name and password")
        smtp.it.down()
        patient.expects("channel mail", "fault", "cannot be used")
        assert smtp.it.mails == []


def test_webhook_receiver_that_is_away(patient: Patient) -> None:
    with LoopThread(Receiver(secret="")) as hooks:
        patient.has(f'[[channels]]\nname = "hook"\nkind = "webhook"\nurl = "{hooks.it.url}"\n')
        patient.expects("channel hook", "ok", "can be reached")
        assert hooks.it.requests == []
        patient.expects("channel hook", "fault", "outbound.allow", outbound__allow="")
    patient.expects("channel hook", "fault", "nothing listens there")


@pytest.mark.whole
def test_channels_none_or_all_switched_off(box: Box, slack: SlackStandIn) -> None:
    it = Patient(box, slack)
    box.run("apikey", "list")
    it.expects("channels", "warning", "none yet")
    it.has(slack_channel() + "enabled = false\n")
    it.expects("channels", "warning", "switched off")


def test_a_channel_that_refused_its_last_message(patient: Patient) -> None:
    patient.changed("update channel set state = 'broken', broken_why = 'not_in_channel', broken_ms = 1")
    patient.expects("channel oncall", "fault", "not_in_channel")


def test_every_kind_of_channel_can_be_looked_at() -> None:
    assert set(LOOKS) == set(CHANNEL_KINDS)

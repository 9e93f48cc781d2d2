"""The manifest of the Slack app that a box needs, ready for "Create New App, From a manifest".

https://docs.slack.dev/reference/app-manifest
"""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import quote

Mode = Literal["socket", "http"]

ACTIONS_PATH: Final = "/webhooks/slack/actions"
_PLACEHOLDER: Final = "https://alerts.example.com"
_CREATE: Final = "https://api.slack.com/apps?new_app=1&manifest_yaml="
_YAML: Final = """\
display_information:
  name: SignalCraft
  description: Alerts, with buttons to answer them
features:
  bot_user:
    display_name: SignalCraft
    always_online: true
oauth_config:
  scopes:
    bot:
      - chat:write
      - chat:write.public
settings:
  interactivity:
    is_enabled: true
{request_url}  socket_mode_enabled: {socket}
  org_deploy_enabled: false
  token_rotation_enabled: false
"""


def manifest(mode: Mode, public_url: str) -> str:
    """YAML. `public_url` without a last slash; only for `http`, where Slack posts the presses of buttons to it."""
    if mode == "socket":
        return _YAML.format(request_url="", socket="true")
    url = (public_url or _PLACEHOLDER) + ACTIONS_PATH
    return _YAML.format(request_url=f"    request_url: {url}\n", socket="false")


def create_link(text: str) -> str:
    """The page of Slack that makes an app of this manifest, with it filled in."""
    return _CREATE + quote(text, safe="")


def suits(public_url: str) -> tuple[Mode, str]:
    """(mode, why): how presses of buttons reach a box with this public address, "" for none."""
    if public_url.startswith("https://"):
        return "http", f"this box has the public address {public_url}: Slack can post presses of buttons to it"
    if public_url:
        return "socket", f"{public_url} is not HTTPS, which Slack asks for: the box opens the connection itself"
    return "socket", "no public address is set (http.public_url): the box opens the connection to Slack itself"

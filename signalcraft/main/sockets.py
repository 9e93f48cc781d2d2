"""Slack Socket Mode: one connection for each app token in use, so that buttons work without a public address."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from signalcraft.channels import slack
from signalcraft.postman import SocketMode
from signalcraft.services.house import House

log = logging.getLogger(__name__)


class SlackSockets:
    """Keeps a socket open for every distinct app token of the enabled Slack channels; closes those no longer used."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._open: dict[tuple[int, str], tuple[SocketMode, asyncio.Task[None]]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`: looks at the channels once a second."""
        while not stop.is_set():
            await self._follow()
            try:
                await asyncio.wait_for(stop.wait(), 1.0)
            except TimeoutError:
                continue
        for key in list(self._open):
            await self._close(key)

    async def _follow(self) -> None:
        wanted: dict[tuple[int, str], str] = {}
        # Held: the earlier box may still be connected, and Slack gives each button press to one of the two.
        channels = {} if self._house.hold.held else self._house.registry.snapshot.channels
        for channel in channels.values():
            token = getattr(channel.config, "app_token", "")
            if channel.kind == slack.KIND and channel.enabled and token:
                wanted[channel.workspace_id, token] = channel.config.api_url
        for key in [k for k in self._open if k not in wanted or self._open[k][1].done()]:
            await self._close(key)
        for key, api_url in wanted.items():
            if key not in self._open:
                self._open[key] = self._connect(*key, api_url)

    def _connect(self, workspace_id: int, token: str, api_url: str) -> tuple[SocketMode, asyncio.Task[None]]:
        # What `answer` needs to know: where this token's Slack is, since the answer's address comes from outside.
        reached = slack.Config(bot_token="", channel="", api_url=api_url)

        async def on_payload(payload: dict[str, Any]) -> None:
            for act in slack.parse_payload(payload):
                text = await self._house.respond.act(workspace_id, act)
                if text and act.answer_url:
                    await self._house.postman.send(slack.answer(reached, act, text))

        def on_warning(text: str) -> None:
            log.warning("slack socket mode: %s", text)
            if text not in self._house.warnings:
                self._house.warnings.append(text)

        mode = SocketMode(token, api_url, on_payload, on_warning, postman=self._house.postman)
        return mode, asyncio.get_running_loop().create_task(mode.run())

    async def _close(self, key: tuple[int, str]) -> None:
        mode, task = self._open.pop(key)
        await mode.stop()
        task.cancel()
        await asyncio.wait([task], timeout=2)

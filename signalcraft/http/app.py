"""The whole HTTP side in one app: routes, faults, the layer around it, and the raw door for webhooks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from litestar import Litestar, Request
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.routes import HTTPRoute

from signalcraft.errors import Fault, WrongType
from signalcraft.http import (
    analytics,
    answers,
    audit,
    backups,
    channels,
    comments,
    configuration,
    control,
    dashboard,
    deliveries,
    docs,
    drill,
    events,
    faults,
    firstrun,
    grouppage,
    groups,
    health,
    hold,
    inbox,
    integrations,
    keyring,
    keys,
    landing,
    live,
    metrics,
    oidc,
    openapi,
    overview,
    passkeys,
    people,
    quarantine,
    replica,
    retention,
    roletable,
    rules,
    ruletools,
    secondfactor,
    selfwatch,
    sessions,
    shares,
    signin,
    stories,
    subjects,
    system,
    upgrades,
    views,
)
from signalcraft.http.asked import answered, recorded
from signalcraft.http.auth import Rates, provide_caller
from signalcraft.http.browser import Door
from signalcraft.http.depth import refuse_deep
from signalcraft.http.edge import App as ASGIApp
from signalcraft.http.edge import Edge
from signalcraft.http.hooks import hook_door
from signalcraft.http.packing import packed
from signalcraft.http.problems import Malformed, invalid_json, with_head
from signalcraft.services.house import House

MODULES: Final = (
    groups,
    inbox,
    views,
    stories,
    grouppage,
    comments,
    shares,
    events,
    deliveries,
    quarantine,
    rules,
    ruletools,
    integrations,
    channels,
    configuration,
    firstrun,
    analytics,
    overview,
    live,
    keys,
    keyring,
    signin,
    secondfactor,
    oidc,
    passkeys,
    sessions,
    people,
    roletable,
    subjects,
    audit,
    faults,
    system,
    upgrades,
    answers,
    health,
    hold,
    drill,
    replica,
    backups,
    retention,
    metrics,
    selfwatch,
    docs,
    openapi,
    control,
    landing,
)
"""Every module with routes."""


class JsonRequest(Request[Any, Any, Any]):
    """A request whose JSON body is decoded strictly into the handler's struct; a fault says where it lies."""

    async def json(self) -> Any:
        """The body as the handler's `data`. Raises Malformed, WrongType, Invalid."""
        field = self.route_handler.parsed_data_field
        body = await self.body()
        refuse_deep(body, self.app.state.house.settings.http.json_depth_max)
        try:
            return msgspec.json.decode(body, type=Any if field is None else field.annotation)
        except msgspec.ValidationError as problem:
            raise invalid_json(problem) from None
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
            content_type = self.headers.get("content-type", "")
            if content_type and "json" not in content_type.lower():
                raise WrongType(f"a JSON body is needed, not {content_type[:80]}") from None
            why = "it is nested too deeply" if isinstance(problem, RecursionError) else str(problem)
            raise Malformed(f"the body is not JSON: {why}") from None


class App(Litestar):
    """Litestar behind the edge: what the server calls."""

    edge: Edge

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        # Litestar's own adds a plugin for each of Pydantic and attrs that it can import, and imports them for that:
        # a sixth of the start where they happen to be installed. Our shapes are msgspec's.
        return [*plugins, MsgspecDIPlugin()]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI entry point."""
        if scope["type"] == "http":
            await self.edge(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def inside(self, scope: Any, receive: Any, send: Any) -> None:
        """The dashboard's files and Litestar itself, behind the edge."""
        await recorded(self._routed, self.state, scope, receive, send)

    async def _routed(self, scope: Any, receive: Any, send: Any) -> None:
        if not await self.state.dashboard.answered(scope, send):
            await packed(super().__call__, scope, receive, send)


def routes() -> list[BaseRouteHandler]:
    """Every route that Litestar serves, without the raw door for webhooks."""
    return [route for module in MODULES for route in module.ROUTES]


def create_app(house: House, edge: Edge | None = None) -> App:
    """The ASGI app of one house. `edge`: what stands before it, where that is there already (`http.entrance`)."""
    return furnished(build(routes(), house.settings.http.body_bytes_max), house, edge)


def asked_app(house: House) -> ASGIApp:
    """The ASGI app for whoever asks one house a few things and ends: of the routes it builds those alone."""
    every = routes()
    apps: dict[tuple[int, ...], App] = {}

    async def asked(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        wanted = [number for number, route in enumerate(every) if any(_may_be_at(one, path) for one in route.paths)]
        key = tuple(wanted) if wanted or path.startswith("/webhooks/") else tuple(range(len(every)))
        if key not in apps:
            apps[key] = furnished(build([every[n] for n in key], house.settings.http.body_bytes_max), house)
        await apps[key](scope, receive, send)

    return asked


def _may_be_at(template: str, path: str) -> bool:
    """Whether the router may find a route with this template there."""
    pattern = "".join(
        re.escape(part) if part[:1] != "{" else ".+" if part.endswith(":path}") else "[^/]+"
        for part in re.split(r"(\{[^}]*\})", template)
    )
    return re.fullmatch(pattern + "/?", path) is not None


def furnished(app: App, house: House, edge: Edge | None = None) -> App:
    """The app with all that it holds of one house, and nothing of another that it may have served before."""
    settings = house.settings
    app.state.house = house
    app.state.rates = Rates(settings.limits)
    app.state.door = Door(settings, house.vault.derive("browser tokens"))
    app.state.live = live.Live(house)
    app.on_shutdown = [app.state.live.close]
    app.state.dashboard = dashboard.Dashboard(dashboard.FOLDER)
    app.state.totals = metrics.Totals(house.now())
    app.edge = app.state.edge = edge or Edge(app.inside, hook_door(house), settings, house.now)
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            app.edge.allow[route.path_format] = ", ".join(with_head(route.methods)).encode()
    return app


def provide_house(request: Request[Any, Any, Any]) -> House:
    """The house that the app was furnished for."""
    house: House = request.app.state.house
    return house


def build(handlers: Sequence[Any], body_bytes_max: int, *, document: OpenAPIConfig | None = None) -> App:
    """Litestar with our faults and dependencies, for no house yet: half a second's work."""
    return App(
        handlers,
        request_class=JsonRequest,
        dependencies={
            "house": Provide(provide_house, sync_to_thread=False),
            "caller": Provide(provide_caller, sync_to_thread=False),
        },
        exception_handlers={Exception: answered, HTTPException: answered, Fault: answered},
        request_max_body_size=body_bytes_max,
        state=State(),
        logging_config=None,
        openapi_config=document,
        debug=False,
    )

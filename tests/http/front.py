"""The HTTP side of a desk: the real app in this process, asked with keys of different scopes."""

from __future__ import annotations

import asyncio
from dataclasses import MISSING, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx

from signalcraft.http.app import create_app
from signalcraft.services.accounts import Accounts
from signalcraft.services.audit import Audit
from signalcraft.services.heard import Heard
from signalcraft.services.house import House
from signalcraft.services.security import Security
from tests import apps
from tests.services.desk import SAM, Desk


class Front(Desk):
    """A desk that answers HTTP. `ask` returns the response; `get`, `post` its JSON."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)

        def now() -> int:
            return self.now_ms

        accounts = Accounts(self.db, now)
        there: dict[str, Any] = {
            "settings": self.settings, "data_dir": folder, "now": now, "db": self.db, "vault": self.vault,
            "registry": self.registry, "ingest": SimpleNamespace(heard=Heard()), "configure": self.configure,
            "accounts": accounts, "audit": Audit(self.settings, self.db, now),
            "security": Security(self.settings, self.db, now), "ready": True,
        }  # fmt: skip
        # What these routes never touch is not there.
        needed = [one.name for one in fields(House) if one.default is MISSING and one.default_factory is MISSING]
        house = House(**{name: SimpleNamespace() for name in needed} | there)
        self.app = create_app(house)
        self.keys = {
            scope: asyncio.run(accounts.create_key(1, scope, [scope], None, SAM)).key
            for scope in ("config:read", "config:write", "alerts:read", "alerts:write")
        }

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        apps.give_back(self.app)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        scope: str = "",
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """One request. `scope`: which key asks; by default the one that the method needs."""
        trial = path.endswith(("/routing-rules/test", "/routing-rules/convert"))
        scope = scope or ("config:read" if method == "GET" or trial else "config:write")
        bearer = self.keys[scope] if key is None else key

        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://box") as client:
                said = {"Authorization": f"Bearer {bearer}"} if bearer else {}
                return await client.request(method, path, json=body, headers=said | (headers or {}))

        return asyncio.run(run())

    def get(self, path: str) -> Any:
        return self._good(self.ask("GET", path))

    def post(self, path: str, body: Any = None) -> Any:
        return self._good(self.ask("POST", path, body))

    def put(self, path: str, body: Any) -> Any:
        return self._good(self.ask("PUT", path, body))

    def patch(self, path: str, body: Any) -> Any:
        return self._good(self.ask("PATCH", path, body))

    def refused(self, status: int, method: str, path: str, body: Any = None) -> Any:
        """The problem that a request is answered with."""
        answer = self.ask(method, path, body)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        return answer.json()

    @staticmethod
    def _good(answer: httpx.Response) -> Any:
        assert answer.status_code in (200, 201, 202), f"{answer.status_code} {answer.text}"
        return answer.json()

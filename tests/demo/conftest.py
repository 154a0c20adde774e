"""The demo as its pod runs it, with a key set and an account record of its own."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from talkdesk_sandbox.demo.app import Demo
from talkdesk_sandbox.demo.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

RECORD = {
    "account": {"id": "acc-1", "name": "acme", "companyName": "Acme & <Sons>", "timezone": "Europe/Lisbon"},
    "app": {"id": "app-1"},
    "installation": {"id": "inst-1"},
    "region": {"name": "eu"},
    "plan": {"name": "Free trial"},
    "trial": {"expiresAt": "2026-12-29T10:00:00Z"},
    "gateway": {"start": "http://t1.demo.localhost:8080/_td/start"},
    "links": {
        "terms": "https://www.demo.localhost/terms",
        "support": "https://www.demo.localhost/support",
        "upgrade": "https://www.demo.localhost/upgrade",
    },
}
KEY = ECKey.generate_key("P-256", {"kid": "k1", "use": "sig", "alg": "ES256"})


@contextlib.asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """The base URL at which ``app`` answers while the block runs."""
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass
class Place:
    """A folder with record and volume, and the gateway's key set at ``jwks``."""

    folder: Path
    jwks: str
    record = RECORD

    def token(self, user: str, **other: Any) -> dict[str, str]:
        """The header by which the gateway tells of ``user``."""
        now = int(time.time())
        claims = {
            "iss": "http://t1.demo.localhost:8080",
            "aud": "inst-1",
            "sub": user,
            "name": "Ada Lovelace",
            "email": "ada@acme.example",
            "role": "admin",
            "plan": "Free trial",
            "iat": now,
            "exp": now + 120,
            **other,
        }
        header = {"alg": "ES256", "kid": "k1", "typ": "JWT"}
        return {"x-td-identity": jwt.encode(header, claims, KEY)}

    def write(self, record: dict[str, Any]) -> None:
        """The account record as the operator would mount it."""
        (self.folder / "account.json").write_text(json.dumps(record))

    @contextlib.asynccontextmanager
    async def demo(self, **env: str) -> AsyncIterator[tuple[str, aiohttp.ClientSession, Demo]]:
        """A running demo: its base URL, a client, and itself. Each one is a pod anew on the same volume."""
        usual = {
            "ACCOUNT_FILE": str(self.folder / "account.json"),
            "DATA_DIR": str(self.folder / "data"),
            "JWKS_URL": self.jwks,
        }
        demo = Demo(Settings.of({**usual, **env}))
        async with served(demo.routes()) as url, aiohttp.ClientSession() as http:
            yield url, http, demo


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """See :class:`Place`."""

    async def jwks(_request: web.Request) -> web.Response:
        return web.json_response(KeySet([KEY]).as_dict(private=False))

    app = web.Application()
    app.router.add_get("/jwks.json", jwks)
    async with served(app) as url:
        made = Place(tmp_path, f"{url}/jwks.json")
        made.write(RECORD)
        yield made

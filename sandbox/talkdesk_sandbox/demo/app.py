"""A page that greets the customer the app was installed for.

Everything comes from the environment, as the TalkdeskApp's template sets it: ``BIND_ADDRESS`` (else
``POD_IP``, else all addresses) and ``PORT`` (8080) say where to listen, ``ACCOUNT_FILE`` where
``account.json`` of the ``talkdesk-account`` ConfigMap is mounted, ``DRAIN_SECONDS`` (2) how long it goes on
answering after SIGTERM while it already says not ready.
"""

from __future__ import annotations

import asyncio
import html
import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{name} - demo app</title></head>
<body><h1>Hello, {name}</h1><dl>{facts}</dl></body></html>
"""


@dataclass(frozen=True)
class Settings:
    """Where to listen, what to show, and how long to drain (seconds)."""

    address: str
    port: int
    account_file: Path | None
    drain: float

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Settings:
        """From the environment; raises ValueError for a number that is none."""
        file = env.get("ACCOUNT_FILE")
        return cls(
            address=env.get("BIND_ADDRESS") or env.get("POD_IP") or "0.0.0.0",  # noqa: S104 - a container's default
            port=int(env.get("PORT", "8080")),
            account_file=Path(file) if file else None,
            drain=float(env.get("DRAIN_SECONDS", "2")),
        )


def read_account(path: Path | None) -> dict[str, Any]:
    """The account record; empty where it is not (yet) mounted or not JSON."""
    if path is None:
        return {}
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def page(record: Mapping[str, Any]) -> str:
    """The page for an account record: its name, and every plain value in it."""
    account = record.get("account")
    name = account.get("name") or account.get("id") if isinstance(account, dict) else account
    flat = {
        key: value for key, value in record.items() if isinstance(value, str | int | float) and value != ""
    }
    facts = "".join(
        f"<dt>{html.escape(key)}</dt><dd>{html.escape(str(value))}</dd>" for key, value in flat.items()
    )
    return _PAGE.format(name=html.escape(str(name or "nobody yet")), facts=facts)


class Demo:
    """The app; ``draining`` turns its health to 503."""

    def __init__(self, settings: Settings) -> None:
        self.draining = False
        self._settings = settings

    async def home(self, _request: web.Request) -> web.Response:
        """The page. The record is read each time, so that a changed plan shows without a restart."""
        return web.Response(text=page(read_account(self._settings.account_file)), content_type="text/html")

    async def health(self, _request: web.Request) -> web.Response:
        """200 until SIGTERM, then 503."""
        return web.Response(
            status=503 if self.draining else 200, text="draining\n" if self.draining else "ok\n"
        )

    def routes(self) -> web.Application:
        """The web application."""
        app = web.Application()
        app.router.add_get("/", self.home)
        app.router.add_get("/healthz", self.health)
        return app

    async def serve(self) -> None:
        """Serve until SIGTERM or SIGINT and ``drain`` seconds more. Raises OSError if it cannot listen."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, ended.set)
        runner = web.AppRunner(self.routes(), access_log=None, shutdown_timeout=self._settings.drain)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._settings.address, self._settings.port).start()
            await ended.wait()
            self.draining = True
            await asyncio.sleep(self._settings.drain)
        finally:
            await runner.cleanup()

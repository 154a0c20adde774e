"""Pages that stand in for the partner's own website, which nobody reaches from the sandbox."""

from __future__ import annotations

import contextlib
import html
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "www.partner.localhost"
TITLES = {"terms": "Terms of service", "support": "Support", "upgrade": "Upgrade"}
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: 34rem; margin: 3rem auto; padding: 0 1rem }}
</style>
<main><h1>{title}</h1><p>{text}</p></main>
</html>
"""
_TEXT = (
    "In the sandbox this page stands in for the one that your TalkdeskApp names under spec.links.{which}: "
    "nothing here reaches the internet. Your customers will read your own."
)


class _Handler(BaseHTTPRequestHandler):
    #: Nobody waits longer for a request that was begun.
    timeout: ClassVar[float] = 10

    def do_GET(self) -> None:
        which = self.path.strip("/")
        title = TITLES.get(which)
        text = _TEXT.format(which=which) if title else "There is no such page."
        body = _PAGE.format(title=html.escape(title or "Not found"), text=html.escape(text)).encode()
        self.send_response(200 if title else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature is http.server's
        """Nobody reads it."""


@contextlib.contextmanager
def stand_in_website() -> Iterator[str]:
    """Its base URL, while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="website", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

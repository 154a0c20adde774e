"""The partner's own website: terms of service, support and the upgrade, which the demo app links to.

Anybody may read it; it is no part of the app, and runs in a thread of the sandbox's own process.
"""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from talkdesk_sandbox.demo import pages

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "www.demo.localhost"
_PAGES = {
    "/terms": (
        "Terms of service",
        "Callboard is a demonstration. You may look at it as long as you like, and owe nobody anything.",
    ),
    "/support": ("Support", "Write to support@demo.localhost; a person answers within a working day."),
    "/upgrade": ("Upgrade", "Ask your Talkdesk administrator to choose another plan for Callboard."),
}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        title, text = _PAGES.get(self.path, ("Not found", "There is no such page."))
        body = pages.website(title=title, text=text).encode()
        self.send_response(200 if self.path in _PAGES else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature is http.server's
        """Nobody reads it."""


@contextlib.contextmanager
def website() -> Iterator[str]:
    """The base URL of the website, which is there while the block runs."""
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

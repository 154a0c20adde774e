"""A few pages on a port of their own: websites that an app links to, in a thread of the sandbox's process."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def served(host: str, pages: Mapping[str, str], *, missing: str) -> Iterator[str]:
    """``http://host:port`` of ``pages`` (HTML by path) while the block runs; elsewhere 404, ``missing``."""

    class Handler(BaseHTTPRequestHandler):
        #: Nobody waits longer for a request that was begun.
        timeout: ClassVar[float] = 10

        def do_GET(self) -> None:
            page = pages.get(self.path)
            body = (page if page is not None else missing).encode()
            self.send_response(200 if page is not None else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature is http.server's
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="website", daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

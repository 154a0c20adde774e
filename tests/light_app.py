"""An app for tenants of which only counts that they run and answer: it starts far faster than the demo.

As the demo it listens at ``PORT`` of ``POD_IP``, says that it is well at ``/healthz``, and goes on answering
for ``DRAIN_SECONDS`` after SIGTERM while it already says not ready. It imports nothing that takes long.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time

#: As an image of the node: without site packages, none of which it needs.
IMAGE = [sys.executable, "-IS", __file__]
_PAGE = "<!doctype html><html><title>Light</title></html>\n"
#: Seconds that a caller may take for a request.
_PATIENCE = 5.0


def _answer(caller: socket.socket, *, draining: bool) -> None:
    caller.settimeout(_PATIENCE)
    asked = b""
    while b"\r\n\r\n" not in asked:
        if not (more := caller.recv(4096)):
            return
        asked += more
    health = asked.startswith(b"GET /healthz ")
    status = "503 Service Unavailable" if health and draining else "200 OK"
    body = "ok\n" if health else _PAGE
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}"
    caller.sendall(f"{head}\r\nConnection: close\r\n\r\n{body}".encode())


def main() -> None:
    """Serve one caller after another; OverflowError or OSError where the address is no good."""
    ends: float | None = None
    told, tell = socket.socketpair()
    tell.setblocking(False)  # as `set_wakeup_fd` asks
    signal.set_wakeup_fd(tell.fileno())
    signal.signal(signal.SIGTERM, lambda *_: None)
    with socket.create_server((os.environ["POD_IP"], int(os.environ["PORT"])), backlog=128) as server:
        while ends is None or time.monotonic() < ends:
            within = None if ends is None else max(ends - time.monotonic(), 0)
            ready, _, _ = select.select([server, told], [], [], within)
            if told in ready:
                told.recv(1)
                ends = time.monotonic() + float(os.environ.get("DRAIN_SECONDS", "2"))
            if server in ready:
                caller, _ = server.accept()
                with caller, contextlib.suppress(OSError):  # the caller's affair
                    _answer(caller, draining=ends is not None)


if __name__ == "__main__":
    main()

"""Ports of 127.0.0.1 that must be known before anybody listens on them.

Not from the range that the system deals out (32768 and up on Linux): there an outgoing connection may take
the same port meanwhile. Control planes have a range of their own (``controlplane/network.py``), above it.
"""

from __future__ import annotations

import secrets
import socket

_FIRST, _COUNT = 10_000, 9_000
_TRIES = 100


def free_port() -> int:
    """A port that nobody listens on now, drawn at random. Raises OSError where none is found."""
    for _ in range(_TRIES):
        port = _FIRST + secrets.randbelow(_COUNT)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port of 127.0.0.1 between {_FIRST} and {_FIRST + _COUNT - 1}: see ss -ltnp")

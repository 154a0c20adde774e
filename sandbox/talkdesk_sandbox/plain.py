"""Plain HTTP on this machine: to the stand-in's control API, to pods, to readiness endpoints.

httpx reads all public certificate authorities for every client: 14 ms, and more on a busy machine.
"""

from __future__ import annotations

import ssl
from typing import Any, Final

import httpx

#: For ``verify=``: trusts nobody, for TLS is not spoken.
NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def plain(**options: Any) -> httpx.AsyncClient:
    """A client for ``http://``, past all proxies of the environment; ``options`` are httpx's own."""
    return httpx.AsyncClient(trust_env=False, verify=NO_TLS, **options)

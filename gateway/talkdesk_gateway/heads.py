"""The heads of HTTP/1.1 messages around a WebSocket's handshake: read strictly, written plainly. Pure.

Envoy is on one side, which has read everything already and writes clean heads; the tenant's app on the other.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Longer heads are refused; Envoy's own limit is 60 KiB.
LONGEST: Final = 131072

#: What a server's answer proves the handshake with, beside its key (RFC 6455, section 1.3).
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_REQUEST: Final = re.compile(r"([A-Z]{1,32}) ([!-~]{1,65536}) HTTP/1\.1\Z")
_STATUS: Final = re.compile(r"HTTP/1\.[01] ([1-5][0-9]{2})(?: .*)?\Z")
#: Between two neighbours alone (RFC 9110, section 7.6.1), and what the handshake writes anew.
_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


class BadHeadError(ValueError):
    """Not a head of HTTP/1.1; the message shows none of it."""


@dataclass(frozen=True)
class RequestHead:
    """A request without its body."""

    method: str
    path: str
    headers: CIMultiDict[str]

    @property
    def opens_websocket(self) -> bool:
        """A handshake as RFC 6455 has it, but for a key, which may be missing; and no body."""
        upgrade = self.headers.get("Upgrade", "").strip().lower()
        body = self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers
        keys = self.headers.getall("Sec-WebSocket-Key", [])
        return self.method == "GET" and upgrade == "websocket" and not body and len(keys) <= 1

    @property
    def has_key(self) -> bool:
        """``Sec-WebSocket-Key`` is there; over HTTP/2 browsers send none (RFC 8441), and Envoy adds none."""
        return "Sec-WebSocket-Key" in self.headers


@dataclass(frozen=True)
class ResponseHead:
    """A response without its body."""

    status: int
    headers: CIMultiDict[str]

    def accepts(self, key: str) -> bool:
        """``Sec-WebSocket-Accept`` proves that this key was read."""
        digest = hashlib.sha1(f"{key}{_GUID}".encode(), usedforsecurity=False).digest()
        return self.headers.getall("Sec-WebSocket-Accept", []) == [base64.b64encode(digest).decode()]


def request_head(raw: bytes) -> RequestHead:
    """Raises BadHeadError."""
    first, headers = _parse(raw)
    found = _REQUEST.match(first)
    if found is None:
        raise BadHeadError("not a request line of HTTP/1.1")
    return RequestHead(found[1], found[2], headers)


def response_head(raw: bytes) -> ResponseHead:
    """Raises BadHeadError."""
    first, headers = _parse(raw)
    found = _STATUS.match(first)
    if found is None:
        raise BadHeadError("not a status line")
    return ResponseHead(int(found[1]), headers)


def for_tenant(
    request: RequestHead, *, host: str, ours: dict[str, str], cookie: str | None, key: str | None = None
) -> bytes:
    """The handshake for the tenant: the client's headers, but none that is ours to say, and then ours.

    ``key``: for a client that sent none.
    """
    lines = [f"{request.method} {request.path} HTTP/1.1", f"Host: {host}"]
    lines += ["Connection: Upgrade", "Upgrade: websocket"]
    for name, value in _end_to_end(request.headers.items()):
        # Frameworks read x_td_user as x-td-user.
        if (
            name.lower() != "cookie"
            and "_" not in name
            and not name.lower().startswith(("x-td-", "x-envoy-"))
        ):
            lines.append(f"{name}: {value}")
    if key is not None:
        lines.append(f"Sec-WebSocket-Key: {key}")
    if "Sec-WebSocket-Version" not in request.headers:
        lines.append("Sec-WebSocket-Version: 13")
    lines += [f"{name}: {value}" for name, value in ours.items()]
    if cookie is not None:
        lines.append(f"Cookie: {cookie}")
    return _written(lines)


def for_client(response: ResponseHead, *, set_cookie: str | None = None, keyed: bool = True) -> bytes:
    """The tenant's answer to the handshake, for the client, with a cookie of ours.

    ``keyed``: the client sent a key, and checks what the tenant says to it.
    """
    lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}"]
    if response.status == 101:
        lines += ["Connection: Upgrade", "Upgrade: websocket"]
    else:
        lines.append("Connection: close")
        if "Transfer-Encoding" in response.headers:
            lines.append("Transfer-Encoding: chunked")
    for name, value in _end_to_end(response.headers.items()):
        # Only the gateway may tell the bar's script to sign in.
        if name.lower() != "x-td-sign-in" and (keyed or name.lower() != "sec-websocket-accept"):
            lines.append(f"{name}: {value}")
    if set_cookie is not None:
        lines.append(f"Set-Cookie: {set_cookie}")
    return _written(lines)


def own_answer(status: int, headers: dict[str, str], body: bytes) -> bytes:
    """A whole answer of the gateway's."""
    lines = [f"HTTP/1.1 {status} {_phrase(status)}", "Connection: close", f"Content-Length: {len(body)}"]
    return _written([*lines, *(f"{name}: {value}" for name, value in headers.items())]) + body


def _end_to_end(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _written(lines: list[str]) -> bytes:
    # What was read as bytes of a header is written as the same bytes.
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _parse(raw: bytes) -> tuple[str, CIMultiDict[str]]:
    first, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    headers: CIMultiDict[str] = CIMultiDict()
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.match(name) or any(mark in value for mark in "\r\n\0"):
            raise BadHeadError("not a header line")
        headers.add(name, value.strip(" \t"))
    return first, headers

"""What whoever may not pass gets: sent to sign in, told to, or a page. Pure but for a page's nonce."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from talkdesk_gateway.pages import STRICT, document, new_reference, refusal_page
from talkdesk_gateway.to import safe_to
from talkdesk_gateway.verdict import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from talkdesk_gateway.decide import Facts
    from talkdesk_gateway.verdict import Refused

START: Final = "/_td/start"
#: Refusals that pass by themselves: the same request may be sent again.
_PASSING: Final = frozenset({Refusal.NO_SERVICE, Refusal.UNAVAILABLE})
_REFERENCE: Final = re.compile(r"[A-Za-z0-9-]{8,64}\Z")


class Answer(NamedTuple):
    """Status, headers and body for the client; ``lines`` are more headers, by :func:`header_lines`."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    lines: bytes = b""


def header_lines(headers: Mapping[str, str]) -> bytes:
    """``headers`` as HTTP/1.1 has them. Raises ValueError where one holds a line break of its own."""
    if not headers:
        return b""
    text = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if text.count("\n") != len(headers) or text.count("\r") != len(headers) or "\0" in text:
        raise ValueError("a header's value holds a line break")
    return text.encode("utf-8", "surrogateescape")


def answer(refused: Refused, facts: Facts, *, reference: str) -> Answer:
    """How ``refused`` is told to whoever sent the request."""
    if refused.why is Refusal.SIGN_IN:
        if facts.is_navigation:
            return Answer(303, {"Location": start(facts), **STRICT})
        if "text/html" not in facts.accept.lower():
            body = json.dumps({"error": "sign-in", "signIn": START}).encode()
            headers = {"Content-Type": "application/json", "x-td-sign-in": START, **STRICT}
            return Answer(401, headers, body)
    page = refusal_page(refused, reference=reference, retry=_retry(refused, facts))
    status, headers, html = document(page)
    if status == 401:
        headers["x-td-sign-in"] = START
    return Answer(status, headers, html.encode())


def start(facts: Facts) -> str:
    """Where signing in begins; it leads back to what was asked for, if that can be asked for again."""
    to = safe_to(facts.path) if facts.method in {"GET", "HEAD"} and not facts.upgrade else "/"
    return f"{START}?to={quote(to, safe='/')}"


def _retry(refused: Refused, facts: Facts) -> str | None:
    if refused.why in {Refusal.SIGN_IN, Refusal.NOT_LICENSED}:
        return start(facts)
    return safe_to(facts.path) if refused.why in _PASSING and facts.method == "GET" else None


def reference_of(request_id: str | None) -> str:
    """What the page quotes: the request's id, as Envoy's access log has it, else a fresh one."""
    return request_id if request_id is not None and _REFERENCE.match(request_id) else new_reference()

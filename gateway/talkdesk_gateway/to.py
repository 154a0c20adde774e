"""Where a browser goes after signing in: a path of the tenant's own host, whatever it was asked for."""

from __future__ import annotations

import re
from posixpath import normpath
from typing import Final
from urllib.parse import quote, unquote

#: Longer ones would not fit into a cookie.
MAX_LENGTH: Final = 2048

#: Everything that means something in a URL, and ``%``: what is encoded stays as it is.
_KEPT = "%/:?#[]@!$&'()*+,;=-._~"


def safe_to(to: str | None) -> str:
    """``to`` as a path (with query and fragment) of this host, in ASCII; ``/`` for all that is not one. Pure.

    It begins with one ``/``: browsers read ``//`` and ``/\\`` as another host, and drop control characters
    before they look. Our own paths lead nowhere but round in a circle.
    """
    if not to or not to.startswith("/") or to.startswith("//") or len(to) > MAX_LENGTH:
        return "/"
    if "\\" in to or any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in to):
        return "/"
    if is_ours(to):
        return "/"
    try:
        quoted = quote(to, safe=_KEPT)
    except UnicodeEncodeError:
        return "/"
    return quoted if len(quoted) <= MAX_LENGTH else "/"


def is_ours(to: str) -> bool:
    """Whether ``to`` is one of the gateway's own paths, below ``/_td/``, however it is written. Pure."""
    path = normpath(unquote(re.split(r"[?#]", to, maxsplit=1)[0]))
    return path == "/_td" or path.startswith("/_td/")

"""JSON for the wire, also where the API server reads it as YAML."""

from __future__ import annotations

import json
import re
from typing import Any

# Two halves of a character beyond U+FFFF, or a half alone; the prefix makes sure that the backslash is one
# that escapes and is not itself escaped.
_SURROGATES = re.compile(
    r"(?<!\\)((?:\\\\)*)\\u(?:(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|d[89a-f][0-9a-f]{2})"
)


def _joined(match: re.Match[str]) -> str:
    backslashes, high, low = match.groups()
    if high is None:
        return f"{backslashes}\\ufffd"
    point = 0x10000 + ((int(high, 16) - 0xD800) << 10) + (int(low, 16) - 0xDC00)
    return f"{backslashes}{chr(point)}"


def encode(body: Any) -> bytes:
    r"""``body`` as JSON that is YAML too.

    Server-side apply is parsed as YAML, which knows ``\ud83d\ude00`` only as two broken characters and takes
    control characters only escaped: so everything beyond ASCII is escaped but for characters beyond U+FFFF.
    A lone surrogate becomes U+FFFD, as the API server itself would store it.
    """
    text = json.dumps(body, separators=(",", ":"))
    # Adjacent matches share no characters, but a match consumes what the next one's look-behind needs:
    # repeat until nothing is left.
    while True:
        text, count = _SURROGATES.subn(_joined, text)
        if not count:
            return text.encode()

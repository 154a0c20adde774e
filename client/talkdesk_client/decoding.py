"""JSON as Talkdesk sends it, in text that can be passed on."""

from __future__ import annotations

import json
import re
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")


def loads(body: bytes) -> Any:
    """``body`` as JSON; half a surrogate pair in it becomes U+FFFD. Raises ValueError, RecursionError.

    A name that somebody cut in the middle of an emoji is valid JSON, and nothing that UTF-8 can hold: neither
    a digest nor a request could be made of it.
    """
    value = json.loads(body)
    if b"\\u" in body:
        value = json.loads(_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", json.dumps(value, ensure_ascii=False)))
    return value

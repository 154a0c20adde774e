"""JSON as other people write it: any Unicode encoding, duplicate keys, absurd numbers, absurd nesting.

Whoever reads it here has verified a signature over it, so it is genuine and must not be lost to a formality.
What was odd is reported by name, so that it can be seen in a log line.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

NOT_UTF8: Final = "not-utf-8"
DUPLICATE_KEYS: Final = "duplicate-keys"
DEEP_NESTING: Final = "deep-nesting"

#: What is nested deeper is read as null. No event comes near it, and it stays far from the interpreter's own
#: limit, which is another one in each version.
KEPT_DEPTH: Final = 100
_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
_LONGEST_NUMBER: Final = 18


class NotJsonError(ValueError):
    """The bytes are no JSON text in any encoding tried. The message holds nothing of them."""


@dataclass(frozen=True)
class Parsed:
    """A JSON value, and the names of what was odd about its text."""

    value: Any
    oddities: frozenset[str]


def loads(raw: bytes) -> Parsed:
    """Read ``raw``. Of duplicate keys the last counts. Raises NotJsonError, and nothing else.

    The encoding is told from the bytes (UTF-8, -16, -32, with or without a byte order mark), else taken for
    Latin-1; a charset in a Content-Type is not considered, because Talkdesk's signature does not cover it.
    """
    oddities: set[str] = set()
    text = _decode(raw, oddities)
    if text.count("[") + text.count("{") > KEPT_DEPTH:
        text = _without_depths(text, oddities)
    try:
        return Parsed(_loads(text, oddities), frozenset(oddities))
    except ValueError:
        raise NotJsonError("not JSON") from None


def _decode(raw: bytes, oddities: set[str]) -> str:
    encoding = json.detect_encoding(raw)
    if encoding not in {"utf-8", "utf-8-sig"}:
        oddities.add(NOT_UTF8)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        oddities.add(NOT_UTF8)
        text = raw.decode("latin-1")
    return text.removeprefix("\ufeff")


def _loads(text: str, oddities: set[str]) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) != len(items):
            oddities.add(DUPLICATE_KEYS)
        return result

    return json.loads(text, object_pairs_hook=pairs, parse_int=_integer)


def _integer(digits: str) -> int | str:
    """Numbers that no id or time is like stay text: the interpreter refuses those of thousands of digits."""
    return int(digits) if len(digits) <= _LONGEST_NUMBER else digits


def _without_depths(text: str, oddities: set[str]) -> str:
    """``text`` with every array and object below KEPT_DEPTH replaced by null."""
    kept: list[str] = []
    depth = cursor = 0
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if mark in "[{":
            depth += 1
            if depth == KEPT_DEPTH + 1:
                oddities.add(DEEP_NESTING)
                kept.append(text[cursor : token.start()])
        elif mark in "]}":
            if depth == KEPT_DEPTH + 1:
                kept.append("null")
                cursor = token.end()
            depth -= 1
    if depth > KEPT_DEPTH:
        raise NotJsonError("not JSON")
    kept.append(text[cursor:])
    return "".join(kept)

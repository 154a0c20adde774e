"""The timeline's page, read back: a row as it looks closed, and what it shows once it is opened."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html import unescape
from typing import Any

_ROW = re.compile(r'<li class="entry ([\w-]+)" id="e\d+">(.*?)</li>', re.DOTALL)
_FACT = re.compile(r"<dt>(.*?)</dt><dd>(.*?)</dd>", re.DOTALL)
_BLOCK = re.compile(r"<h2>(.*?)</h2>\s*<pre[^>]*>(.*?)</pre>", re.DOTALL)


@dataclass(frozen=True)
class Shown:
    """``result`` is status and time, as one text; ``blocks`` are the bodies, by their titles."""

    lane: str
    at: str
    title: str
    subject: str
    result: str
    facts: dict[str, str]
    blocks: dict[str, Any]


def rows_of(html: str) -> list[Shown]:
    """The rows of a page of the timeline, oldest first."""
    return [_row(lane, text) for lane, text in reversed(_ROW.findall(html))]


def _row(lane: str, text: str) -> Shown:
    summary, _, body = text.partition("</summary>")
    return Shown(
        lane=lane,
        at=_words(_part(summary, "<time datetime=", "</time>")),
        title=_words(_part(summary, '<span class="title"', "</span>")),
        subject=_words(_part(summary, '<span class="subject"', "</span>")),
        result=_words(_part(summary, '<span class="result"', "\n")),
        facts={_words(name): _words(value) for name, value in _FACT.findall(body)},
        blocks={_words(name): json.loads(unescape(value)) for name, value in _BLOCK.findall(body)},
    )


def _part(text: str, begin: str, end: str) -> str:
    """What is between the tag that begins so and ``end``."""
    return text.partition(begin)[2].partition(">")[2].partition(end)[0]


def _words(text: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", "", text))).strip()

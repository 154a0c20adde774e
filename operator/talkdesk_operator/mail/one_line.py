"""Text of other people's, made fit for a header and for one line of a mail. Pure."""

from __future__ import annotations

import unicodedata

_SEPARATORS = frozenset({"Zl", "Zp"})


def one_line(text: str, *, limit: int = 1024) -> str:
    """``text`` without line ends, control characters and what turns the direction of writing around."""
    plain = "".join(" " if _unfit(character) else character for character in text)
    joined = " ".join(plain.split())
    return joined if len(joined) <= limit else joined[: limit - 1] + "…"


def _unfit(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] == "C" or category in _SEPARATORS

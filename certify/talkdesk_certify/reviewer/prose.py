"""What a text says in words: a name that stands only in an e-mail address or a link is not said."""

from __future__ import annotations

import re

ADDRESS = re.compile(r"[\w.+-]+@[\w.-]+\w")
LINK = re.compile(r"https?://\S+")


def prose(text: str) -> str:
    """``text`` without its e-mail addresses and links."""
    return ADDRESS.sub(" ", LINK.sub(" ", text))

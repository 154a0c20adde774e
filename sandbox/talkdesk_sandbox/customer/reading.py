"""The words of a page, as a person reads them from top to bottom."""

from __future__ import annotations

from html.parser import HTMLParser

_UNSEEN = frozenset({"head", "title", "script", "style", "template"})
#: Elements within a line of text.
_INLINE = frozenset({"a", "abbr", "b", "br", "code", "em", "i", "small", "span", "strong", "time"})


class _Lines(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = [""]
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - HTMLParser's
        self._unseen += tag in _UNSEEN
        if tag not in _INLINE or tag == "br":
            self.lines.append("")

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in _UNSEEN))
        if tag not in _INLINE:
            self.lines.append("")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.lines[-1] += data


def words(page: str) -> list[str]:
    """The visible text of an HTML page, a line for each block."""
    reader = _Lines()
    reader.feed(page)
    reader.close()
    lines = (" ".join(line.split()) for line in reader.lines)
    return [line for line in lines if line]

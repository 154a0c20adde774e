"""What our side answered, and what it counted."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    import httpx

#: By name and the labels' values.
Samples = dict[tuple[str, frozenset[str]], float]


def samples(text: str) -> Samples:
    """Of a page of metrics."""
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def title(page: str) -> str:
    """A page's heading."""
    return html.unescape(page.partition("<h1>")[2].partition("</h1>")[0])


@dataclass(frozen=True)
class Told:
    """An answer of ours."""

    url: str
    status: int
    headers: httpx.Headers
    text: str

    @property
    def is_the_apps(self) -> bool:
        """The app's own words, for a request that was let in."""
        return "Callboard" in self.text or self.text in {"404: Not Found", "405: Method Not Allowed"}

    def check(self) -> None:
        """Whoever is refused is told so, with the id that our logs have."""
        if self.status < 400 or self.is_the_apps:
            return
        where = f"{self.status} of {self.url}: {self.text[:200]!r}"
        assert self.text.strip(), f"an empty refusal: {where}"
        reference = self.headers.get("x-request-id")
        assert reference, f"no reference: {where}"
        if self.headers["content-type"].startswith("text/html"):
            assert reference in self.text, f"the page does not quote its reference {reference}: {where}"
            assert title(self.text), f"no page: {where}"
        elif self.status == 401:
            assert json.loads(self.text)["error"] == "sign-in", where
            assert self.headers["x-td-sign-in"] == "/_td/start", where
        else:
            assert reference in self.text, f"the line does not quote its reference {reference}: {where}"

"""What the product asked of the API servers of one test run, kept beyond the control planes' end.

Tests may run in several processes, each with control planes of its own; the last of them judges what all of
them recorded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from talkdesk_kube.client import USER_AGENT
from talkdesk_sandbox.controlplane import audit_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Kopf names itself; everything else of ours goes through talkdesk_kube.
AGENTS = (f'"userAgent":"{USER_AGENT}"'.encode(), b'"userAgent":"kopf/')

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class RunAudit:
    """One audit log's requests by the product, and when a test had some of them refused on purpose.

    ``wide_story``: a story was played that needs every right.
    """

    requests: tuple[dict[str, Any], ...]
    refusals: tuple[Span, ...]
    wide_story: bool

    def intended(self, entry: dict[str, Any]) -> bool:
        """Whether a test wanted the request to be refused."""
        moment = datetime.fromisoformat(entry["requestReceivedTimestamp"])
        return any(began <= moment <= ended for began, ended in self.refusals)

    def write(self, path: Path) -> None:
        """As JSON."""
        spans = [[began.isoformat(), ended.isoformat()] for began, ended in self.refusals]
        record = {"requests": self.requests, "refusals": spans, "wide_story": self.wide_story}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record), encoding="utf-8")


def of_log(log: Path, *, refusals: Sequence[Span], wide_story: bool) -> RunAudit:
    """What an audit log holds of the product's requests so far."""
    return RunAudit(tuple(audit_log.entries(log, saying=AGENTS)), tuple(refusals), wide_story)


def read(paths: Iterable[Path]) -> list[RunAudit]:
    """What :meth:`RunAudit.write` wrote."""
    found = []
    for path in paths:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        spans = [
            (datetime.fromisoformat(one), datetime.fromisoformat(two)) for one, two in record["refusals"]
        ]
        found.append(RunAudit(tuple(record["requests"]), tuple(spans), record["wide_story"]))
    return found

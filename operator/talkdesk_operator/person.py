"""Approval by a person (``spec.approval: Manual``): what they are asked, and what they said. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from talkdesk_operator.confirm import Person

if TYPE_CHECKING:
    from datetime import datetime

    from talkdesk_crds.installation import TalkdeskInstallation


def person(
    installation: TalkdeskInstallation, *, state: str, updated_at: str | None, deadline: datetime | None
) -> Person | None:
    """Who decides about (state, updated_at): None where the operator does.

    A decision counts for its own ``updatedAt`` alone: one that was made for an earlier request must not
    answer the next.
    """
    spec = installation.spec
    if spec.approval != "Manual":
        return None
    moment = _shown(updated_at)
    question = _question(installation, state=state, moment=moment, deadline=deadline)
    said = spec.decision
    if said is None or said.updated_at != moment:
        return Person(question)
    return Person(question, said.answer, said.reason)


def _shown(updated_at: str | None) -> str:
    """As ``status.talkdesk.updatedAt`` shows it."""
    return (updated_at or "")[:64]


def _question(
    installation: TalkdeskInstallation, *, state: str, moment: str, deadline: datetime | None
) -> str:
    metadata = installation.metadata
    until = f" and gives up at {deadline:%Y-%m-%dT%H:%M:%SZ}" if deadline is not None else ""
    decision = {"spec": {"decision": {"answer": "approve", "updatedAt": moment}}}
    patch = json.dumps(decision, separators=(",", ":"))
    return (
        f"Talkdesk says {state}{until}; it advises against manual approval. Decide (approve or reject): "
        f"kubectl -n {metadata.namespace} patch tdi {metadata.name} --type merge -p '{patch}'"
    )

"""What a template may meet: everything known, all but one thing, nothing; for each outcome. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from talkdesk_operator.mail.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_KNOWN: dict[str, Any] = {
    "app": {"id": "5f0c6a2e9d1b4c00dddddddd", "name": "Calls"},
    "account": {"id": "5f0c6a2e9d1b4c00aaaaaaaa", "name": "acme", "companyName": "Acme & Sons Ltd"},
    "admin": {"name": "Ada Lovelace", "email": "ada@acme.example"},
    "installation": {"id": "5f0c6a2e9d1b4c00bbbbbbbb"},
    "plan": {"name": "Gold"},
    "links": {
        "launch": "https://calls.example.com/",
        "terms": "https://example.com/terms",
        "support": "https://example.com/support",
        "upgrade": "https://example.com/upgrade",
    },
    "retention": {"until": "2026-12-29 14:05 UTC"},
    "words": {"subject": "Subject", "headline": "Headline", "happened": "It happened.", "next": "Next."},
    "contact": "help@example.com",
    "reason": "The app did not start in time.",
}
#: What is None for some customers, apps and outcomes.
UNCERTAIN = (
    "account.name",
    "account.companyName",
    "admin.name",
    "plan.name",
    "links.launch",
    "links.terms",
    "links.support",
    "links.upgrade",
    "retention.until",
    "contact",
    "reason",
)


def situations() -> Iterator[tuple[str, dict[str, Any]]]:
    """What is missing, in words that follow an error's name, and the values."""
    for outcome in Outcome:
        known = _KNOWN | {
            "outcome": outcome.value,
            "request": outcome.request,
            "succeeded": outcome.succeeded,
        }
        yield "", known
        for one in UNCERTAIN:
            yield f" where {one} is not known", _without(known, [one])
        yield " where nothing is known", _without(known, UNCERTAIN)


def _without(known: dict[str, Any], missing: Iterable[str]) -> dict[str, Any]:
    left = dict(known)
    for one in missing:
        group, _, member = one.partition(".")
        left[group] = {**left[group], member: None} if member else None
    return left

"""The account record: ConfigMap ``talkdesk-account``, mounted as a file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read_record(path: Path | None) -> dict[str, Any]:
    """The record; empty where it is not (yet) mounted or not JSON."""
    if path is None:
        return {}
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _group(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = record.get(name)
    return dict(found) if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Account:
    """What the demo uses of a record; what is unknown is empty."""

    id: str = ""
    name: str = ""
    company: str = ""
    email: str = ""
    timezone: str = ""
    region: str = ""
    plan: str = ""
    #: Of a trial that goes on.
    trial_ends: str = ""
    installation: str = ""
    #: What identity tokens name as their issuer: the tenant, as browsers reach it.
    issuer: str = ""
    #: ``terms``, ``support`` and ``upgrade``, those that the app has.
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The customer's name for a person."""
        return self.company or self.name or self.id or "nobody yet"

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Account:
        """From the record's JSON."""
        account, trial = _group(record, "account"), _group(record, "trial")
        start = urlsplit(str(_group(record, "gateway").get("start", "")))
        return cls(
            id=str(account.get("id", "")),
            name=str(account.get("name", "")),
            company=str(account.get("companyName", "")),
            email=str(account.get("email", "")),
            timezone=str(account.get("timezone", "")),
            region=str(_group(record, "region").get("name", "")),
            plan=str(_group(record, "plan").get("name", "")),
            trial_ends="" if trial.get("endedAt") else str(trial.get("expiresAt", "")),
            installation=str(_group(record, "installation").get("id", "")),
            issuer=f"{start.scheme}://{start.netloc}" if start.netloc else "",
            links={name: str(url) for name, url in _group(record, "links").items() if url},
        )

"""The audit log: every change of access is one line of the logger ``talkdesk.audit``. Fields are an API.

It is written after the change was stored, by whoever stored it, so that a restart repeats nothing. Ids only:
no names and no e-mail addresses. ``docs/operating.md`` tells what each field holds.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from talkdesk_crds.conditions import Reason
from talkdesk_crds.meta import time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from talkdesk_crds.installation import Access, TalkdeskInstallation, TalkdeskInstallationStatus
    from talkdesk_kube import Obj
    from talkdesk_operator.entries import Entry

_log = structlog.get_logger("talkdesk.audit")

_NEVER = "None"
_IN_A_ROW = 50


def access_changed(
    installation: TalkdeskInstallation, new: TalkdeskInstallationStatus, *, stored: Obj, now: datetime
) -> dict[str, Any] | None:
    """The fields of the line, None where access is what it was. Pure.

    :param stored: the API server's answer to the write, with its managedFields.
    """
    old = installation.status
    if new.access is None or new.access == old.access:
        return None
    return {
        **_who(installation, tenant=new.tenant),
        "from": _word(old.access),
        "to": new.access.state,
        "reason": new.access.reason,
        "cause": cause(installation, new, stored=stored),
        "at": time(now),
    }


def cause(
    installation: TalkdeskInstallation, new: TalkdeskInstallationStatus, *, stored: Obj
) -> dict[str, Any]:
    """What made it so: a person's switch, our answer, what Talkdesk's API says, or an event. Pure."""
    old, said = installation.status, installation.spec.talkdesk
    reason = new.access.reason if new.access is not None else ""
    was = old.access.reason if old.access is not None else ""
    if Reason.SUSPENDED in (reason, was):
        return {"kind": "person", **_manager(stored, "f:suspend")}
    answer = new.answers[-1] if new.answers and new.answers != old.answers else None
    if reason == Reason.INSTALLATION_READY and answer is not None:
        return {"kind": "answer", "answer": answer.answer, "state": answer.state, "event": _newest(said)}
    if new.talkdesk is not None and (
        new.impending is not None or (new.talkdesk != old.talkdesk and not said.is_uninstalled)
    ):
        return {"kind": "state", "state": new.talkdesk.state, "updatedAt": new.talkdesk.updated_at}
    return {"kind": "event", "event": _newest(said)}


def users_changed(
    installation: TalkdeskInstallation,
    before: Mapping[str, Entry],
    after: Mapping[str, Entry],
    *,
    cause: Callable[[str], Mapping[str, Any]],
    now: datetime,
) -> Iterator[dict[str, Any]]:
    """One line a user who may enter from now on, may not any more, or was signed out. Pure.

    :param cause: of a user's change, by user id.
    """
    for user in sorted({*before, *after}):
        old, new = before.get(user), after.get(user)
        moved = (_entry(old), _entry(new))
        if moved[0] == moved[1] and (old is None or new is None or old.epoch == new.epoch):
            continue
        signed_out = moved[0] == moved[1]
        yield {
            **_who(installation, tenant=installation.status.tenant),
            "user": user,
            "from": moved[0],
            "to": moved[1],
            "reason": "SignedOut" if signed_out else "Licensed" if new is not None else "Removed",
            "cause": dict(cause(user)),
            "at": time(now),
        }


def say(event: str, fields: Mapping[str, Any]) -> None:
    """Write one line."""
    _log.info(event, **fields)


async def say_each(event: str, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write many lines; others get their turn in between."""
    for number, fields in enumerate(lines, 1):
        say(event, fields)
        if not number % _IN_A_ROW:
            await asyncio.sleep(0)


def _who(installation: TalkdeskInstallation, *, tenant: str | None) -> dict[str, Any]:
    return {
        "installation": installation.metadata.name,
        "account": installation.spec.account_id,
        "app": installation.spec.app_id,
        "tenant": tenant,
    }


def _word(access: Access | None) -> str:
    return access.state if access is not None else _NEVER


def _entry(user: Entry | None) -> str:
    if user is None:
        return _NEVER
    return "Licensed" if user.active else "Inactive"


def _newest(said: Any) -> str | None:
    newest = max(
        (one for one in (said.installed, said.updated, said.uninstalled, said.trial) if one is not None),
        key=lambda one: one.order(),
        default=None,
    )
    return newest.event if newest is not None else None


def _manager(stored: Obj, field: str) -> dict[str, Any]:
    """Whose field manager owns the switch, and since when; the API server's audit log has the user's name."""
    for entry in stored["metadata"].get("managedFields") or ():
        if field in ((entry.get("fieldsV1") or {}).get("f:spec") or {}):
            return {"manager": entry.get("manager"), "since": entry.get("time")}
    return {}

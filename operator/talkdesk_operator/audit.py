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
from talkdesk_crds.names import installation_name
from talkdesk_operator.moments import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from talkdesk_crds.installation import Access, TalkdeskInstallation, TalkdeskInstallationStatus
    from talkdesk_kube import Obj
    from talkdesk_operator.entries import Entry

_log = structlog.get_logger("talkdesk.audit")

_NEVER = "None"
_CLAIMED = "Claimed"
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
        "cause": cause(installation, new, stored=stored, now=now),
        "at": time(now),
    }


def tenant_lost(
    app_id: str, account_id: str, *, installation_id: str | None, tenant: str, now: datetime
) -> dict[str, Any]:
    """The fields of the line where the object of the installation that held ``tenant`` was deleted. Pure."""
    return {
        "installation": installation_name(installation_id) if installation_id is not None else None,
        "account": account_id,
        "app": app_id,
        "tenant": tenant,
        "from": _CLAIMED,
        "to": _NEVER,
        "reason": "Deleted",
        "cause": {"kind": "deletion"},
        "at": time(now),
    }


def cause(
    installation: TalkdeskInstallation, new: TalkdeskInstallationStatus, *, stored: Obj, now: datetime
) -> dict[str, Any]:
    """What made it so. Pure; the kinds are in ``docs/operating.md``."""
    old, said = installation.status, installation.spec.talkdesk
    reason = new.access.reason if new.access is not None else ""
    was = old.access.reason if old.access is not None else ""
    if reason == Reason.SUSPENDED or (was == Reason.SUSPENDED and not installation.spec.suspend):
        return {"kind": "person", **_manager(stored, "f:suspend")}
    if reason in (Reason.SUPERSEDED, Reason.UNINSTALLED, Reason.TRIAL_ENDED):
        return _end(installation, new, now=now)
    answer = new.answers[-1] if new.answers and new.answers != old.answers else None
    if reason == Reason.INSTALLATION_READY and answer is not None:
        return {"kind": "answer", "answer": answer.answer, "state": answer.state, "event": _newest(said)}
    if new.talkdesk is not None and (
        new.impending is not None or (new.talkdesk != old.talkdesk and not said.is_uninstalled)
    ):
        return _state(new)
    return {"kind": "event", "event": _newest(said)}


def _end(
    installation: TalkdeskInstallation, new: TalkdeskInstallationStatus, *, now: datetime
) -> dict[str, Any]:
    """What ended it; such events have registers of their own, and the newest may be about another thing."""
    reason, uninstalled = new.access and new.access.reason, installation.spec.talkdesk.uninstalled
    if reason == Reason.SUPERSEDED:
        return {"kind": "superseded"}
    if reason == Reason.TRIAL_ENDED:
        return _end_of_trial(installation, new, now=now)
    if installation.spec.talkdesk.is_uninstalled and uninstalled is not None:
        return {"kind": "event", "event": uninstalled.event}
    return _state(new)


def _end_of_trial(
    installation: TalkdeskInstallation, new: TalkdeskInstallationStatus, *, now: datetime
) -> dict[str, Any]:
    """The event that says so, if it is news; else the time that was known, if it has come."""
    old, trial = installation.status, installation.spec.talkdesk.trial
    news = old.observed_generation != installation.metadata.generation
    if trial is not None and trial.state == "ended" and news:
        return {"kind": "event", "event": trial.event}
    known = (moment(old.deadlines.trial), moment(trial.expires_at if trial is not None else None))
    ends = max((one for one in known if one is not None), default=None)
    if ends is not None and ends <= now:
        return {"kind": "clock", "ends": time(ends)}
    return _state(new)


def _state(new: TalkdeskInstallationStatus) -> dict[str, Any]:
    shown = new.talkdesk
    return {
        "kind": "state",
        "state": shown.state if shown is not None else None,
        "updatedAt": shown.updated_at if shown is not None else None,
    }


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

"""The timeline's rows: pure functions from the ledger's entries to what a person reads."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from talkdesk_sandbox.console.hiding import hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Entry = dict[str, Any]
Tone = Literal["good", "bad", "waiting", "plain"]
Lane = Literal["delivery", "api", "sign-on", "transition", "cluster", "control"]

#: What the filter offers, and what it is called.
LANES: dict[Lane, str] = {
    "delivery": "Deliveries",
    "api": "API calls",
    "sign-on": "Sign-ons",
    "transition": "Decisions",
    "cluster": "Cluster changes",
    "control": "Actions",
}
_LANES: dict[str, Lane] = {
    "delivery": "delivery",
    "api": "api",
    "token": "api",
    "key": "api",
    "proxy": "api",
    "authorize": "sign-on",
    "transition": "transition",
    "cluster": "cluster",
    "control": "control",
}
_LONG_ID = re.compile(r"\b[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\b")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line. ``blocks`` are its bodies, by title; ``resend`` the event that can be delivered again."""

    seq: int
    at: str
    lane: Lane
    mark: str
    title: str
    subject: str
    status: str
    tone: Tone
    seconds: float | None
    facts: list[tuple[str, str]] = field(default_factory=list)
    blocks: list[tuple[str, Any]] = field(default_factory=list)
    resend: str | None = None


def lane_of(entry: Entry) -> Lane:
    """Which part of the filter the entry belongs to."""
    return _LANES[entry["kind"]]


def rows(
    entries: Sequence[Entry],
    *,
    lane: str = "",
    installation: str = "",
    subjects: Mapping[str, str],
    most: int | None = None,
) -> list[Row]:
    """The rows of ``entries``, newest first, of one lane and one installation where they are given.

    :param subjects: account id → name.
    :param most: no more rows than that; a long ledger is then not looked at to its end.
    """
    wanted = (
        entry
        for entry in reversed(entries)
        if (not lane or lane_of(entry) == lane)
        and (not installation or entry.get("installation_id") == installation)
    )
    return [_row(entry, subjects) for entry in islice(wanted, most)]


def _row(entry: Entry, subjects: Mapping[str, str]) -> Row:
    title, mark, status, tone = _TOLD[entry["kind"]](entry)
    detail = hidden(entry["detail"])
    return Row(
        seq=entry["seq"],
        at=entry["at"],
        lane=lane_of(entry),
        mark=mark,
        title=hidden(title),
        subject=subjects.get(entry.get("account_id") or "", ""),
        status=status,
        tone=tone,
        seconds=entry["seconds"],
        facts=_facts(entry),
        blocks=_blocks(entry["kind"], detail),
        resend=entry.get("event_id") if entry["kind"] == "delivery" else None,
    )


def _facts(entry: Entry) -> list[tuple[str, str]]:
    named = {
        "Request": f"{entry['method'] or ''} {entry['url'] or ''}".strip() if entry["url"] else "",
        "Event": entry.get("event_id"),
        "Installation": entry.get("installation_id"),
        "Account": entry.get("account_id"),
    }
    return [(name, hidden(value)) for name, value in named.items() if value]


def _blocks(kind: str, detail: dict[str, Any]) -> list[tuple[str, Any]]:
    body_of = {
        "body": "Body sent",
        "sent": "Request body",
        "answer": "Answer",
        "changes": "What changed",
        "object": "Object",
    }
    if kind == "delivery":
        body_of["answer"] = "Answer received"
    if kind == "transition":
        body_of = {}
    apart = [(title, detail[name]) for name, title in body_of.items() if detail.get(name) is not None]
    rest = {name: value for name, value in detail.items() if name not in body_of and value is not None}
    return [*apart, *([("Details", rest)] if rest else [])]


Told = tuple[str, str, str, Tone]


def _delivery(entry: Entry) -> Told:
    detail, status = entry["detail"], entry["status"]
    title = f"Talkdesk sends {entry.get('event_type') or 'an event'}"
    if detail["attempt"] > 1:
        title += f", attempt {detail['attempt']}"
    if detail.get("fault"):
        title += f" (fault: {detail['fault']})"
    good = status is not None and 200 <= status < 300
    return title, "→", str(status or detail["error"]), "good" if good else "bad"


def _answered(entry: Entry, title: str, mark: str) -> Told:
    status = entry["status"]
    fault = entry["detail"].get("fault")
    return (
        f"{title} (fault)" if fault else title,
        mark,
        "cut off" if fault and fault["cut"] else str(status or ""),
        "plain" if status is not None and status < 400 and not fault else "bad",
    )


def _path(entry: Entry) -> str:
    return urlsplit(entry["url"] or "").path


def _short_ids(text: str) -> str:
    return _LONG_ID.sub(lambda found: f"{found[0][:4]}…", text)


def _api(entry: Entry) -> Told:
    return _answered(entry, f"{entry['method']} {_short_ids(_path(entry))}", "←")


def _token(entry: Entry) -> Told:
    return _answered(entry, f"Token asked for ({entry['detail'].get('grant_type') or 'unknown grant'})", "←")


def _key(entry: Entry) -> Told:
    return _answered(entry, "Signing key fetched", "←")


def _authorize(entry: Entry) -> Told:
    path = _path(entry)
    titles = {"/login": "Sign-in page", "/logout": "Sign-out"}
    title = titles.get(path, f"Sign-on: {entry['detail'].get('outcome') or 'refused'}")
    if path == "/login" and entry["method"] == "POST":
        title = "Signed in to Talkdesk"
    return _answered(entry, title, "↔")


def _transition(entry: Entry) -> Told:
    detail = entry["detail"]
    title = (
        f"{detail['from'] or 'nothing'} → {detail['to']}" if detail["from"] != detail["to"] else detail["to"]
    )
    if not detail["effective"]:
        return title, "◆", f"{detail['answer']} again", "plain"
    told: dict[str | None, tuple[str, Tone]] = {
        "approve": ("approved", "good"),
        "reject": ("rejected", "bad"),
        None: ("", "plain"),
    }
    return title, "◆", *told[detail["answer"]]


def _cluster(entry: Entry) -> Told:
    detail = entry["detail"]
    if detail["kind"] == "Event":
        title = f"Event {detail['reason']}: {detail['note']}"
        return title, "◇", detail["type"], "bad" if detail["type"] == "Warning" else "plain"
    ready = next(
        (each for each in detail.get("changes", []) if each["path"] == "status.conditions.Ready.status"), None
    )
    status = str(entry["method"]).lower()
    tone: Tone = "plain"
    if ready:
        status, tone = f"Ready: {ready['to']}", "good" if ready["to"] == "True" else "waiting"
    paths = list(dict.fromkeys(_short(each["path"]) for each in detail.get("changes", [])))
    what = f": {', '.join(paths[:3])}{' …' if len(paths) > 3 else ''}" if paths else ""
    return f"{detail['kind']} {_short_ids(detail['name'])}{what}", "◇", status, tone


def _short(path: str) -> str:
    """The field: ``installed`` of spec.talkdesk.installed.at, ``Ready`` of status.conditions.Ready.status."""
    parts = path.split(".")
    deep = 2 if parts[:2] in (["spec", "talkdesk"], ["status", "conditions"]) else 1
    return parts[min(deep, len(parts) - 1)]


def _control(entry: Entry) -> Told:
    title = f"{entry['method']} {_short_ids(_path(entry))}"
    sent = entry["detail"].get("sent") or {}
    # Which button it was: the forms of the controls have many.
    pressed = next((sent[name] for name in ("fault", "what", "seconds") if name in sent), "")
    return _answered(entry, f"{title}: {pressed}" if pressed else title, "●")


def _proxy(entry: Entry) -> Told:
    return _answered(entry, f"Connection to {entry['url'] or 'nowhere'}", "←")


_TOLD: dict[str, Callable[[Entry], Told]] = {
    "delivery": _delivery,
    "api": _api,
    "token": _token,
    "key": _key,
    "authorize": _authorize,
    "transition": _transition,
    "cluster": _cluster,
    "control": _control,
    "proxy": _proxy,
}

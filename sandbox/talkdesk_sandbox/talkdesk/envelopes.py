"""The JSON of the eight event types, after the attribute tables and examples of the Events API."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from talkdesk_sandbox.talkdesk.hosts import (
    api_root,
    identity_root,
    offset_time,
    seconds_time,
    sign_on_root,
)

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.model import Account, Installation, User
    from talkdesk_sandbox.talkdesk.switches import Switches

_TRIAL = frozenset({"app.trial_started", "app.trial_extended", "app.trial_ended"})
_LINKED_TO_INSTALLATION = _TRIAL | {"app.uninstalled", "user.logout"}


def envelope(
    *,
    type_: str,
    event_id: str,
    link_id: str,
    now: datetime,
    installation: Installation,
    account: Account,
    data: dict[str, Any],
    switches: Switches,
    browser_port: int | None = None,
) -> dict[str, Any]:
    """One event. ``data`` is what it says beyond the ids; ``link_id`` ends ``_links.self``.

    ``browser_port`` is where browsers sign on; without one they do so where tokens are asked for.
    """
    body: dict[str, Any] = {}
    if switches.event_id_field in {"id", "both"}:
        body["id"] = event_id
    if switches.event_id_field in {"event_id", "both"}:
        body["event_id"] = event_id
    body["created_at"] = event_time(now, switches=switches)
    body["api_version"] = "1"
    body["type"] = type_
    body["app_id"] = installation.app_id
    if type_ != "user.logout":
        body["app_version_id"] = installation.version.id
    if type_ != "user.logout" and type_ not in _TRIAL:
        body["app_version_name"] = installation.version.name
    body["data"] = {
        **_ids(type_, installation=installation, account=account),
        **{
            key: event_time(value, switches=switches) if isinstance(value, datetime) else value
            for key, value in data.items()
        },
    }
    links = _links(type_, installation=installation, account=account, link_id=link_id, data=data)
    if type_ == "app.installed":
        links["userinfo"] = f"{api_root(account.region)}/users/me"
        # Without a link to the token endpoint, that is derived from this one.
        port = None if switches.token_link == "absent" else browser_port  # noqa: S105 - a link's name
        root = sign_on_root(account.region, account.name, port=port)
        links["authorization"] = f"{root}/oauth/authorize"
        if switches.token_link != "absent":  # noqa: S105 - a link's name
            links[switches.token_link] = f"{identity_root(account.region, account.name)}/oauth/token"
    body["_links"] = {name: {"href": href} for name, href in links.items()}
    return body


def event_time(moment: datetime, *, switches: Switches) -> str:
    """A time in an event, in the switched shape."""
    return seconds_time(moment) if switches.event_time == "z" else offset_time(moment)


def logout_data(user: User) -> dict[str, Any]:
    """What user.logout says of the user; there is no session id."""
    return {"user_id": user.id, "user_email": user.email}


def _ids(type_: str, *, installation: Installation, account: Account) -> dict[str, Any]:
    ids = {"installation_id": installation.id, "account_id": account.id}
    if type_ == "user.logout" or type_ in _TRIAL:
        return ids
    return {**ids, "account_name": account.name}


def _links(
    type_: str, *, installation: Installation, account: Account, link_id: str, data: dict[str, Any]
) -> dict[str, str]:
    root = api_root(account.region)
    links = {"root": root, "self": f"{root}/apps/{installation.app_id}/events/{link_id}"}
    if type_ in _LINKED_TO_INSTALLATION:
        links["installation"] = f"{root}/apps/{installation.app_id}/installations/{installation.id}"
    if type_ == "user.logout":
        links["user"] = f"{root}/users/{data['user_id']}"
    return links

"""The JSON records of the Apps, Accounts and Users APIs, after Talkdesk's OpenAPI document."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from talkdesk_sandbox.talkdesk.hosts import millis_time, seconds_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from talkdesk_sandbox.talkdesk.keys import SigningKey
    from talkdesk_sandbox.talkdesk.model import Account, App, Installation, Subscription, Trial, User
    from talkdesk_sandbox.talkdesk.switches import Switches

T = TypeVar("T")

LARGEST_PAGE = 100


def paging(query: Mapping[str, str], *, default: int) -> tuple[int, int]:
    """``page`` and ``per_page`` (at most 100). Raises ValueError for what is no positive number."""
    page, per_page = int(query.get("page", "1")), int(query.get("per_page", default))
    if page < 1 or per_page < 1:
        raise ValueError("page and per_page start at 1")
    return page, min(per_page, LARGEST_PAGE)


def page_of(
    items: Sequence[T], record: Callable[[T], Any], *, name: str, page: int, per_page: int, url: str
) -> dict[str, Any]:
    """A page of the Apps API: ``next`` is absent on the last one. Only what is on it is made a record."""
    links = {"self": {"href": f"{url}?{urlencode({'page': page, 'per_page': per_page})}"}}
    if page * per_page < len(items):
        links["next"] = {"href": f"{url}?{urlencode({'page': page + 1, 'per_page': per_page})}"}
    return {
        "total": len(items),
        "page": page,
        "per_page": per_page,
        "_embedded": {name: [record(one) for one in items[(page - 1) * per_page : page * per_page]]},
        "_links": links,
    }


def users_page(
    items: Sequence[T],
    record: Callable[[T], Any],
    *,
    page: int,
    per_page: int,
    url: str,
    query: Mapping[str, str],
) -> dict[str, Any]:
    """A page of the Users API, which also counts pages and links first, last and templates."""
    pages = max(1, -(-len(items) // per_page))

    def link(number: int) -> dict[str, str]:
        return {"href": f"{url}?{urlencode({**query, 'page': number, 'per_page': per_page})}"}

    body = page_of(items, record, name="users", page=page, per_page=per_page, url=url)
    links: dict[str, Any] = {"self": link(page), "first": link(1), "last": link(pages)}
    if page < pages:
        links["next"] = link(page + 1)
    links["show"] = {"href": f"{url}/{{id}}", "templated": True}
    links["index"] = {"href": f"{url}{{?page,per_page,email,active}}", "templated": True}
    return {
        "count": len(body["_embedded"]["users"]),
        "total": len(items),
        "page": page,
        "per_page": per_page,
        "total_pages": pages,
        "_embedded": body["_embedded"],
        "_links": links,
    }


def user_record(user: User, *, root: str) -> dict[str, Any]:
    """A user. There is no role in it."""
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "active": user.active,
        "gender": "",
        "extension": None,
        "external_phone_number": None,
        "created_at": seconds_time(user.created_at),
        "_links": {"self": {"href": f"{root}/users/{user.id}"}},
    }


def userinfo_record(user: User, *, root: str, switches: Switches) -> dict[str, Any]:
    """What userinfo says of a user."""
    return {
        **({"id": user.id} if switches.userinfo_id == "both" else {}),
        "sub": user.id,
        "name": user.name,
        "email": user.email,
        "_links": {"self": {"href": f"{root}/users/me"}},
    }


def account_record(account: Account, *, root: str) -> dict[str, Any]:
    """An account; ``users`` is a plain string inside ``self``, as in Talkdesk's document."""
    return {
        "id": account.id,
        "name": account.name,
        "company_name": account.name.replace("-", " ").title(),
        "email": f"admin@{account.name}.example",
        "timezone": "Etc/UTC",
        "created_at": seconds_time(account.created_at),
        "_links": {"self": {"href": f"{root}/account", "users": f"{root}/users"}},
    }


def app_record(app: App, *, root: str) -> dict[str, Any]:
    """An app as its developer sees it."""
    urls = [
        {"type": "installation_subscription", "url": app.events_url},
        {"type": "launch_url", "url": app.launch_url},
        *({"type": "redirect_uri", "url": uri} for uri in app.redirect_uris),
    ]
    return {
        "id": app.id,
        "app_type": "standalone",
        "name": app.name,
        "display_name": app.name,
        "slug": app.name.lower().replace(" ", "-"),
        "version_number": app.version.name,
        "sandbox": True,
        "urls": urls,
        "subscription_types": [asdict(plan) for plan in app.plans],
        "scopes": list(app.scopes),
        "_links": {"self": {"href": f"{root}/apps/{app.id}"}},
    }


def installation_record(installation: Installation, *, created_by: User, root: str) -> dict[str, Any]:
    """An installation with its state and the admin who installed it."""
    url = f"{root}/apps/{installation.app_id}/installations/{installation.id}"
    links = {"self": url, "account": f"{root}/account"}
    links |= {
        name: f"{url}/{name}" for name in ("subscription", "auto_provision_filters", "users", "channels")
    }
    return {
        "id": installation.id,
        "app_id": installation.app_id,
        "account_id": installation.account_id,
        "scopes": list(installation.scopes),
        "auto_provision_filters": [{"filter": "none", "match": ""}],
        "created_at": seconds_time(installation.created_at),
        "_embedded": {
            "created_by": user_record(created_by, root=root),
            "state": state_record(installation, url=url),
        },
        "_links": {name: {"href": href} for name, href in links.items()},
    }


def state_record(installation: Installation, *, url: str) -> dict[str, Any]:
    """The state resource of the installation at ``url``."""
    return {
        "state": installation.state,
        "reason": installation.reason,
        "updated_at": millis_time(installation.updated_at),
        "_links": {"self": {"href": f"{url}/state"}},
    }


def subscription_record(subscription: Subscription, *, url: str) -> dict[str, Any]:
    """What an installation has bought."""
    plan = subscription.plan
    return {
        "id": subscription.id,
        "type": plan.type,
        "license_type": plan.license_type,
        "name": plan.name,
        "price": plan.price,
        "description": plan.name,
        "listing_summary": plan.name,
        "min_licenses": plan.min_licenses,
        "max_licenses": plan.max_licenses,
        "created_by": subscription.created_by,
        "total_licenses": subscription.total_licenses,
        "_links": {"self": {"href": url}},
    }


def trial_record(trial: Trial, *, url: str) -> dict[str, Any]:
    """A trial of the installation at ``url``."""
    return {
        "state": "ended" if trial.ended_at else "active",
        "started_at": seconds_time(trial.started_at),
        "expires_at": seconds_time(trial.expires_at),
        "ended_at": seconds_time(trial.ended_at) if trial.ended_at else None,
        "ended_reason": trial.ended_reason,
        "subscription_name": trial.subscription_name,
        "_links": {"self": {"href": f"{url}/trial"}, "installation": {"href": url}},
    }


def signing_key_record(key: SigningKey, *, switches: Switches) -> dict[str, Any]:
    """A signing key's public half."""
    record = {"public_key": key.public_key, "key_id": key.id, "created_at": seconds_time(key.created_at)}
    if switches.key_expiry == "present":
        record["expires_at"] = seconds_time(key.expires_at)
    return record

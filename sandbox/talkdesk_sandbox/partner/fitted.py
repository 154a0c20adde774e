"""What of a TalkdeskApp is this machine's, not the partner's: hosts, the bar, links that lead outside.

Everything else stays as it is written, so that what works here is what is deployed.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from talkdesk_sandbox.edge import launch_host
from talkdesk_sandbox.talkdesk.control_bodies import DEFAULT_SCOPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from talkdesk_crds.app import TalkdeskApp

#: How the app's own template writes where the gateway's keys are; there is no DNS here that knows the name.
_KEYS = "${gateway.keys}"
_BAR = {"data-account": "${account.name}", "data-region": "${region}", "data-user": "${user.name}"}
#: Of an app that names no plans.
PLANS = ("Free trial", "Standard")
_PRICE = 20
#: What Talkdesk asks of who reads the roles of users.
_ROLES_SCOPE = "scim"
#: States of an installation that stands in the way of another one.
_LIVE = frozenset({"installing", "updating", "completed", "suspended"})


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the TalkdeskApp ``app`` is in the sandbox: its id at the stand-in, and what its users reach.

    ``bar`` is the URL of the bar's script, ``keys`` that of the gateway's key set for pods, ``website`` the
    base URL of pages that stand in for the partner's; ``resellers`` are ids of accounts.
    """

    app: str
    namespace: str
    app_id: str
    regions: Mapping[str, Mapping[str, str]]
    bar: str
    keys: str
    website: str
    resellers: Sequence[str]


def fitted(declared: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """The TalkdeskApp that is applied here, of the one that the partner ``declared``.

    The bar is always shown: Talkdesk gives its script to partners privately, so that a beginner has none.
    """
    app: dict[str, Any] = _with_keys(copy.deepcopy(dict(declared)), place.keys)
    name, spec = app["metadata"]["name"], app["spec"]
    app.pop("status", None)
    app["metadata"]["namespace"] = place.namespace
    spec["appId"] = place.app_id
    spec["regions"] = {region: dict(hosts) for region, hosts in place.regions.items()}
    spec["baseDomain"], spec["launchHost"] = f"{name}.localhost", launch_host(name)
    spec["bar"] = {"attributes": dict(_BAR), **(spec.get("bar") or {}), "script": place.bar}
    spec["bar"].pop("csp", None)
    spec["resellers"] = sorted({*(spec.get("resellers") or ()), *place.resellers})
    spec["links"] = {
        which: url if _is_here(url) else f"{place.website}/{which}"
        for which, url in (spec.get("links") or {}).items()
    }
    for each in (spec, *(spec.get("variants") or ())):
        (each.get("signIn") or {}).pop("redirectUri", None)
    return app


def listing(app: TalkdeskApp, *, website: str) -> dict[str, Any]:
    """What the marketplace shows of ``app``, as the stand-in's control API takes it.

    A TalkdeskApp knows plans by name alone: the first one is the free trial here, the others have a price.
    """
    terms = app.spec.links.terms
    return {
        "name": app.spec.email.app_name or app.metadata.name,
        "terms_url": terms if terms and _is_here(terms) else f"{website}/terms",
        "plans": [
            {"name": plan, "type": "paid" if number else "trial", "price": number * _PRICE}
            for number, plan in enumerate(app.spec.plans or PLANS)
        ],
        "scopes": _scopes(app),
    }


def without_scopes(state: Mapping[str, Any], app_id: str) -> dict[str, list[str]]:
    """Accounts whose installation of the app lacks scopes that it is listed with, by name: these scopes.

    ``state`` is the control API's. An installation keeps the scopes that it was made with.
    """
    listed = next(one["scopes"] for one in state["apps"] if one["id"] == app_id)
    names = {one["id"]: one["name"] for one in state["accounts"]}
    lacking = {
        names[one["account_id"]]: [scope for scope in listed if scope not in one["scopes"]]
        for one in state["installations"]
        if one["app_id"] == app_id and one["state"] in _LIVE
    }
    return {name: scopes for name, scopes in lacking.items() if scopes}


def _scopes(app: TalkdeskApp) -> list[str]:
    """What the operator needs, what users of any version sign in with, and what tells their roles."""
    spec = app.spec
    ways = [spec.sign_in, *(one.sign_in for one in spec.variants if one.sign_in is not None)]
    asked = [scope for way in ways for scope in way.scopes]
    return list(dict.fromkeys([*DEFAULT_SCOPES, *asked, *([_ROLES_SCOPE] if spec.users.roles else [])]))


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "localhost" or host.endswith(".localhost")


def _with_keys(value: Any, keys: str) -> Any:
    if isinstance(value, str):
        return value.replace(_KEYS, keys)
    if isinstance(value, dict):
        return {key: _with_keys(item, keys) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_keys(item, keys) for item in value]
    return value

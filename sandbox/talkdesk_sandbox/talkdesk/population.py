"""Who and what exists: apps, accounts and users, made and changed by the control API."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from talkdesk_sandbox.talkdesk.change import NotPossibleError
from talkdesk_sandbox.talkdesk.keys import new_id, short_id
from talkdesk_sandbox.talkdesk.model import Account, App, User, Version

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk import control_bodies as bodies
    from talkdesk_sandbox.talkdesk.platform import Talkdesk


def add_app(talkdesk: Talkdesk, body: bodies.NewApp) -> App:
    """A new app with its first version."""
    app = App(
        id=new_id(),
        name=body.name,
        events_url=body.events_url,
        launch_url=body.launch_url,
        redirect_uris=tuple(body.redirect_uris),
        scopes=tuple(dict.fromkeys(body.scopes)),
        plans=tuple(plan.to_plan() for plan in body.plans),
        version=Version(id=new_id(), name=body.version),
        created_at=talkdesk.clock.now(),
        summary=body.summary,
        terms_url=body.terms_url,
    )
    talkdesk.apps[app.id] = app
    return app


def change_app(talkdesk: Talkdesk, id_: str, body: bodies.AppChanges) -> App:
    """Change an app in place; a ``version`` makes a new one, which later installs get."""
    app = talkdesk.app(id_)
    if body.version is not None:
        former = {**app.former, app.version.id: app.urls(app.version.id)}
        app = replace(app, version=Version(id=new_id(), name=body.version), former=former)
    if body.redirect_uris is not None:
        app = replace(app, redirect_uris=tuple(body.redirect_uris))
    if body.scopes is not None:
        app = replace(app, scopes=tuple(dict.fromkeys(body.scopes)))
    if body.plans is not None:
        app = replace(app, plans=tuple(plan.to_plan() for plan in body.plans))
    app = replace(
        app,
        name=body.name or app.name,
        events_url=body.events_url or app.events_url,
        launch_url=body.launch_url or app.launch_url,
        summary=app.summary if body.summary is None else body.summary,
        terms_url=body.terms_url or app.terms_url,
    )
    talkdesk.apps[id_] = app
    return app


def add_account(talkdesk: Talkdesk, body: bodies.NewAccount) -> Account:
    """A new account. Raises NotPossibleError if its region has one of that name."""
    if any((one.name, one.region) == (body.name, body.region) for one in talkdesk.accounts.values()):
        raise NotPossibleError(f"region {body.region} has an account named {body.name} already")
    account = Account(
        id=short_id(),
        name=body.name,
        region=body.region,
        reseller=body.reseller,
        created_at=talkdesk.clock.now(),
    )
    talkdesk.accounts[account.id] = account
    return account


def rename_account(talkdesk: Talkdesk, id_: str, body: bodies.AccountChanges) -> Account:
    """Change an account's name. Raises NotPossibleError if its region has one of that name."""
    account = talkdesk.account(id_)
    if body.name == account.name:
        return account
    if any((one.name, one.region) == (body.name, account.region) for one in talkdesk.accounts.values()):
        raise NotPossibleError(f"region {account.region} has an account named {body.name} already")
    renamed = replace(account, name=body.name, former_names=(*account.former_names, account.name))
    talkdesk.accounts[id_] = renamed
    return renamed


def add_user(talkdesk: Talkdesk, account_id: str, body: bodies.NewUser) -> User:
    """A new user of an account."""
    user = User(
        id=short_id(),
        account_id=talkdesk.account(account_id).id,
        email=body.email,
        name=body.name,
        active=body.active,
        created_at=talkdesk.clock.now(),
        roles=tuple(dict.fromkeys(body.roles)),
    )
    talkdesk.users[user.id] = user
    return user


def change_user(talkdesk: Talkdesk, id_: str, body: bodies.UserChanges) -> User:
    """Change a user in place."""
    user = talkdesk.user(id_)
    user = replace(
        user,
        email=body.email or user.email,
        name=body.name or user.name,
        active=user.active if body.active is None else body.active,
        roles=user.roles if body.roles is None else tuple(dict.fromkeys(body.roles)),
    )
    talkdesk.users[id_] = user
    return user

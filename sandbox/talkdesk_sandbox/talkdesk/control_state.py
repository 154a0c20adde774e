"""The world as the control API shows it: everything but secrets."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from talkdesk_sandbox.talkdesk.hosts import api_root, identity_root, millis_time

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.keys import SigningKey
    from talkdesk_sandbox.talkdesk.model import Account, App, Credential, Installation, User
    from talkdesk_sandbox.talkdesk.platform import Talkdesk


def world_state(talkdesk: Talkdesk) -> dict[str, Any]:
    """The answer of ``GET /control/state``."""
    return {
        "now": millis_time(talkdesk.clock.now()),
        "switches": talkdesk.switches.model_dump(),
        "apps": [app_state(one) for one in talkdesk.apps.values()],
        "accounts": [account_state(one) for one in talkdesk.accounts.values()],
        "users": [user_state(one) for one in talkdesk.users.values()],
        "installations": [installation_state(one) for one in talkdesk.installations.values()],
        "signing_keys": [key_state(one) for one in talkdesk.keyring.keys.values()],
    }


def app_state(app: App) -> dict[str, Any]:
    """An app."""
    shown = asdict(app)
    del shown["former"]
    return _plain(shown)


def account_state(account: Account) -> dict[str, Any]:
    """An account with its hosts."""
    return {
        **_plain(asdict(account)),
        "root": api_root(account.region),
        "identity": identity_root(account.region, account.name),
    }


def user_state(user: User) -> dict[str, Any]:
    """A user."""
    return _plain(asdict(user))


def installation_state(installation: Installation) -> dict[str, Any]:
    """An installation; its credentials without the digest of the secret."""
    shown = asdict(installation)
    shown["credentials"] = [_credential(one) for one in installation.credentials]
    return _plain(shown)


def key_state(key: SigningKey) -> dict[str, Any]:
    """A signing key's public side."""
    return {
        "id": key.id,
        "region": key.region,
        "curve": key.curve,
        "form": key.form,
        "created_at": millis_time(key.created_at),
        "expires_at": millis_time(key.expires_at),
    }


def _credential(credential: Credential) -> dict[str, Any]:
    shown = asdict(credential)
    del shown["secret_digest"]
    return shown


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """JSON: times as text, tuples as lists."""
    return {key: _plain_value(value) for key, value in fields.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return millis_time(value)
    if isinstance(value, dict):
        return _plain(value)
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    return value

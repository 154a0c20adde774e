"""The Secret that holds one set of an installation's credentials.

Talkdesk sends a private key once and never again, so it is stored before anything else, in an immutable
Secret whose name is a digest of its content: storing it twice is a conflict that means "stored already".
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from talkdesk_crds.names import (
    ACCOUNT_LABEL,
    APP_LABEL,
    INSTALLATION_LABEL,
    RELEASE_LABEL,
    credentials_name,
    digest,
    label_value,
)

if TYPE_CHECKING:
    from talkdesk_webhook.event import CredentialSet, Event

SECRET_TYPE = "talkdesk-operator.io/credentials"  # noqa: S105 - a Secret's type, not a secret


def secret_name(installation_id: str, credentials: CredentialSet) -> str:
    """The Secret's name; hangs on the installation and on every part of the credentials."""
    parts = _content(credentials)
    return credentials_name(
        installation_id, digest(*(x for pair in sorted(parts.items()) for x in pair), length=64)
    )


def credentials_secret(
    event: Event, credentials: CredentialSet, *, namespace: str, release: str
) -> dict[str, Any]:
    """The Secret as JSON. It also holds the event's links, for whoever restores from it.

    ``release`` (:func:`~talkdesk_crds.names.release_id`) becomes a label: releases may share the namespace.
    """
    content = _content(credentials) | {
        "links": json.dumps(dict(event.links), sort_keys=True, ensure_ascii=False),
        "event": event.id,
    }
    if event.at is not None:
        content["created_at"] = event.at
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret_name(event.installation_id, credentials),
            "namespace": namespace,
            "labels": installation_labels(event) | {RELEASE_LABEL: release},
        },
        "type": SECRET_TYPE,
        "immutable": True,
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in content.items()},
    }


def installation_labels(event: Event) -> dict[str, str]:
    """Labels of everything that is stored about an installation."""
    return {
        APP_LABEL: label_value(event.app_id),
        ACCOUNT_LABEL: label_value(event.account_id),
        INSTALLATION_LABEL: label_value(event.installation_id),
    }


def _content(credentials: CredentialSet) -> dict[str, str]:
    found: dict[str, str | SecretStr | None] = {
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
        "private_key": credentials.private_key,
        "public_key": credentials.public_key,
        "key_id": credentials.key_id,
        "key_algorithm": credentials.key_algorithm,
    }
    return {
        key: value.get_secret_value() if isinstance(value, SecretStr) else value
        for key, value in found.items()
        if value is not None
    }

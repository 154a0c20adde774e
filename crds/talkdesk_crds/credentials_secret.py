"""The Secret with one set of an installation's credentials, as the webhook writes it and others read it.

Type ``talkdesk-operator.io/credentials``, immutable, in the credentials namespace; labels app, account and
installation say whose it is, and whoever reads one matches all three.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from talkdesk_crds import names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from talkdesk_crds.installation import TalkdeskInstallation

#: What Talkdesk is called with.
KEYS = ("client_id", "client_secret", "private_key", "key_id", "key_algorithm")


class ForeignSecret(ValueError):  # noqa: N818 - named after what it says
    """Not a Secret of this installation, or not text; the message shows no value."""


def credentials_of(secret: Mapping[str, Any], installation: TalkdeskInstallation) -> dict[str, SecretStr]:
    """The values under :data:`KEYS`, as far as there are any. Raises ForeignSecret. Pure."""
    name, spec = secret["metadata"]["name"], installation.spec
    labels = secret["metadata"].get("labels") or {}
    for label, identifier in (
        (names.APP_LABEL, spec.app_id),
        (names.ACCOUNT_LABEL, spec.account_id),
        (names.INSTALLATION_LABEL, spec.installation_id),
    ):
        if labels.get(label) != names.label_value(identifier):
            raise ForeignSecret(f"Secret {name}: label {label} is not this installation's")
    found = {}
    for key in KEYS:
        value = text(secret, key)
        if value is not None:
            found[key] = SecretStr(value)
        elif (secret.get("data") or {}).get(key):
            raise ForeignSecret(f"Secret {name}: key {key} is not text")
    return found


def text(secret: Mapping[str, Any], key: str) -> str | None:
    """The value of ``key`` as text; None where there is none, or it is not text. Pure."""
    try:
        return base64.b64decode((secret.get("data") or {}).get(key, ""), validate=True).decode() or None
    except (binascii.Error, ValueError):
        return None

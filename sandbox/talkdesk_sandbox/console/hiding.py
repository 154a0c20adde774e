"""What is never shown: secrets by their name, by their place in a Kubernetes object, and by their shape."""

from __future__ import annotations

import re
from typing import Any

from talkdesk_sandbox.talkdesk.ledger import HIDDEN, is_secret_name, without_secrets

#: The ledger hides by name what is called a secret; here goes what only is one.
_NAME = re.compile(r"^(authorization|(set-)?cookie|code|code_verifier|nonce)$", re.IGNORECASE)
#: What Talkdesk calls an error, beside its message: ``not_found``.
_ERROR_CODE = re.compile(r"[a-z]+(_[a-z]+)*")
_TEXT = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*)?"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*-----|$)"
    r"|(?<=\b[Bb]earer )[A-Za-z0-9._~+/=-]+|(?<=\b[Bb]asic )[A-Za-z0-9+/=]+"
)


def hidden(value: Any) -> Any:
    """``value`` (JSON) without anything that is, or looks like, a secret."""
    return _hidden(without_secrets(value))


def hidden_under(name: str, value: Any) -> Any:
    """``value`` as it is shown where it stands under ``name``."""
    return hidden({name: value})[name]


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: HIDDEN if _secret(value, str(key), item) else _hidden(item) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    return _TEXT.sub(HIDDEN, value) if isinstance(value, str) else value


def _secret(parent: dict[str, Any], key: str, item: Any) -> bool:
    if parent.get("kind") == "Secret" and key in {"data", "stringData"}:
        return True
    if key == "value" and is_secret_name(str(parent.get("name", ""))):
        return True  # a container's environment
    if key == "code" and "message" in parent and _ERROR_CODE.fullmatch(str(item)):
        return False
    return isinstance(item, str) and _NAME.match(key) is not None

"""The second line of defence: what looks like a secret does not leave in a log line.

The first line is that secrets are ``SecretStr`` from the first byte and never given to a logger.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

MASK: Final = "[redacted]"

_NAMES: Final = frozenset(
    {
        "assertion",
        "authorization",
        "client_assertion",
        "cookie",
        "jwt",
        "passphrase",
        "password",
        "private_key",
        "privatekey",
        "proxy_authorization",
        "secret",
        "set_cookie",
        "stringdata",
        "token",
    }
)
_ENDINGS: Final = ("_secret", "_token", "_password", "_private_key", "clientsecret", "accesstoken")

_TEXTS: Final = (
    # A private key in PEM, also with its line ends escaped, also cut off.
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        MASK,
    ),
    # A JSON Web Token: three base64url parts, the first beginning like {"
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), MASK),
    (re.compile(r"\b(Bearer|Basic) [A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1 {MASK}"),
    # name=value in a query or a form; "name": "value" in JSON, escaped or not, and in a dict's repr
    (
        re.compile(
            r"\b((?:client_secret|client_assertion|(?:access|refresh|id)_token|private_key|password)"
            r"\\?[\"']?\s*[=:]\s*\\?[\"']?)[^\s\"'&,}\\]+",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    # user:password@ of an address
    (re.compile(r"(://)[^/\s:@]+:[^/\s@]+(?=@)"), rf"\1{MASK}"),
)


def is_secret_name(name: str) -> bool:
    """Whether a value of this name is masked whatever it is."""
    plain = name.lower().replace("-", "_")
    return plain in _NAMES or plain.endswith(_ENDINGS)


def redact_text(text: str) -> str:
    """``text`` with private keys, tokens and passwords in addresses masked."""
    for pattern, replacement in _TEXTS:
        text = pattern.sub(replacement, text)
    return text


def redact(value: Any, *, depth: int = 8) -> Any:
    """``value`` as JSON has it, with secrets masked: by name in mappings, by shape in texts.

    What is neither number, text, mapping nor sequence (an exception, a path, a SecretStr) becomes its text.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes):
        return redact_text(value.decode(errors="replace"))
    if depth > 0 and isinstance(value, Mapping):
        return {
            str(key): MASK if is_secret_name(str(key)) and item is not None else redact(item, depth=depth - 1)
            for key, item in value.items()
        }
    if depth > 0 and isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth=depth - 1) for item in value]
    return redact_text(str(value))

"""The gateway's own cookies among a browser's: how they are read, written, and kept from the tenant.

All are ``__Host-``: Secure, for this host alone and all its paths. No sibling can set one for it, as long as
names are read no more generously than browsers do: one that begins with a blank of Unicode has no prefix to
them, and may come from anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

#: What the name of every cookie of the gateway's begins with.
PREFIX: Final = "__Host-td-"

#: All that surrounds a name or value without being part of it (RFC 6265, section 5.2).
_BLANKS: Final = " \t"
_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"


def ours(headers: Iterable[str]) -> dict[str, str]:
    """Our cookies in the values of ``Cookie`` headers; of several of one name the first counts."""
    found: dict[str, str] = {}
    for pair in (pair for header in headers for pair in header.split(";")):
        name, equals, value = pair.partition("=")
        name = name.strip(_BLANKS)
        if equals and name.startswith(PREFIX):
            found.setdefault(name, value.strip(_BLANKS).strip('"'))
    return found


def without_ours(headers: Iterable[str]) -> str | None:
    """The ``Cookie`` header for the tenant: as it came, without ours; None where nothing is left.

    What an app may take for ours, for it reads more generously, goes as well.
    """
    pairs = [pair for header in headers for one in header.split(";") if (pair := one.strip(_BLANKS))]
    kept = [pair for pair in pairs if not pair.strip().lower().startswith(PREFIX.lower())]
    return "; ".join(kept) or None


def set_cookie(name: str, value: str, life: timedelta) -> str:
    """A ``Set-Cookie`` header; the browser forgets it after ``life``."""
    return f"{name}={value}; Max-Age={int(life.total_seconds())}; {_ATTRIBUTES}"


def removed(name: str) -> str:
    """The ``Set-Cookie`` header that takes ``name`` away."""
    return f"{name}=; Max-Age=0; {_ATTRIBUTES}"

"""Times and spans as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(value: datetime | str) -> datetime:
    """A time of the ledger, of Kubernetes, of a mail (ISO 8601) or of the model."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value).astimezone(UTC)


def clock(value: datetime | str) -> str:
    """``14:03:59``."""
    return moment(value).strftime("%H:%M:%S")


def millis(value: datetime | str) -> str:
    """``14:03:59.123``."""
    return moment(value).isoformat(timespec="milliseconds")[11:23]


def when(value: datetime | str) -> str:
    """``29 Nov 2026, 14:03 UTC``."""
    at = moment(value)
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def took(seconds: float | None) -> str:
    """``0.4 ms``, ``64 ms`` or ``1.24 s``; nothing for None."""
    if seconds is None:
        return ""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1000:.{1 if seconds < 0.01 else 0}f} ms"

"""A stand-in for Talkdesk: its hosts, events, OAuth, Apps, Accounts and Users APIs, on one machine.

``python -m talkdesk_sandbox.talkdesk --dir D`` runs it; :class:`StandIn` starts it as a child. It is written
from Talkdesk's documents alone and shares no code with the product's client, so that the two cannot share a
misreading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.child import Entry, StandIn, StandInError

__all__ = ["Entry", "StandIn", "StandInError"]


def __getattr__(name: str) -> Any:
    """These are for those who start one: the stand-in itself does not pay for what they import."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from talkdesk_sandbox.talkdesk import child  # noqa: PLC0415 - see above

    return getattr(child, name)

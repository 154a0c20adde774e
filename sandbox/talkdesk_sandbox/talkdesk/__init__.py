"""A stand-in for Talkdesk: its hosts, events, OAuth, Apps, Accounts and Users APIs, on one machine.

``python -m talkdesk_sandbox.talkdesk --dir D`` runs it; :class:`StandIn` starts it as a child. It is written
from Talkdesk's documents alone and shares no code with the product's client, so that the two cannot share a
misreading.
"""

from __future__ import annotations

from talkdesk_sandbox.talkdesk.child import Entry, StandIn, StandInError

__all__ = ["Entry", "StandIn", "StandInError"]

"""Talkdesk's event types and their place in the order of an installation's life.

The rank orders events of the same ``created_at``: what comes later in a life wins.
"""

from __future__ import annotations

from typing import Final

INSTALLED: Final = "app.installed"
UPDATED: Final = "app.updated"
UNINSTALLED: Final = "app.uninstalled"
TRIAL_STARTED: Final = "app.trial_started"
TRIAL_EXTENDED: Final = "app.trial_extended"
TRIAL_ENDED: Final = "app.trial_ended"
CREDENTIALS_ROTATED: Final = "app.credentials_rotated"
USER_LOGOUT: Final = "user.logout"

#: Types that are nowhere documented: accepted, recorded, otherwise ignored.
UNKNOWN_RANK: Final = 80

_RANKS: Final = {
    INSTALLED: 10,
    UPDATED: 20,
    TRIAL_STARTED: 30,
    TRIAL_EXTENDED: 40,
    CREDENTIALS_ROTATED: 50,
    TRIAL_ENDED: 60,
    UNINSTALLED: 90,
}

#: Every documented type; anything else is counted as ``unknown`` in metrics, whose labels must be bounded.
KNOWN_TYPES: Final = frozenset(_RANKS) | {USER_LOGOUT}


def rank(event_type: str) -> int:
    """The place of ``event_type`` in the order of a life, 10 to 90."""
    return _RANKS.get(event_type, UNKNOWN_RANK)

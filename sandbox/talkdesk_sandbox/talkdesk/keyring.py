"""The keys that sign deliveries: which is current, and all that ever were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_sandbox.talkdesk.keys import SigningKey, new_signing_key

if TYPE_CHECKING:
    from datetime import datetime

    from talkdesk_sandbox.talkdesk.switches import Switches


class Keyring:
    """Signing keys by id; a current one for all regions, or one for each (switch ``key_gateways``)."""

    def __init__(self) -> None:
        self.keys: dict[str, SigningKey] = {}
        self._current: dict[str | None, str] = {}

    def current(self, *, region: str, now: datetime, switches: Switches) -> SigningKey:
        """The key that signs for ``region`` now, made anew when it is time."""
        scope = region if switches.key_gateways == "own" else None
        key = self.keys.get(self._current.get(scope, ""))
        if key is None or not key.fits(now=now, switches=switches):
            key = self.add(region=scope, now=now, switches=switches)
            self._current[scope] = key.id
        return key

    def add(
        self,
        *,
        now: datetime,
        switches: Switches,
        region: str | None = None,
        expires_at: datetime | None = None,
    ) -> SigningKey:
        """Make a key beside the current ones."""
        key = new_signing_key(region=region, now=now, switches=switches, expires_at=expires_at)
        self.keys[key.id] = key
        return key

    def rotate(self, *, now: datetime, switches: Switches) -> SigningKey:
        """Sign with new keys from now on; answers the one that serves all regions."""
        self._current.clear()
        key = self.add(now=now, switches=switches)
        self._current[None] = key.id
        return key

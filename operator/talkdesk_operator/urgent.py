"""What takes access away, applied as it comes; a pass over its tenant may take long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from talkdesk_kube import KubeError
from talkdesk_operator.queue import Outcome

if TYPE_CHECKING:
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.keys import RevokeKey
    from talkdesk_operator.revocations import RevocationDesk

_log = structlog.get_logger(__name__)


class UrgentRevoker:
    """Applies revocations; the tenant's own pass does all the rest about them."""

    def __init__(self, caches: Caches, revocations: RevocationDesk, *, namespace: str) -> None:
        self._caches = caches
        self._revocations = revocations
        self._namespace = namespace

    async def revoke(self, key: RevokeKey) -> Outcome:
        """Take out of the slices whom the revocations of one installation take out."""
        installation = self._caches.installations.get(self._namespace, key.name)
        if installation is None:
            return Outcome()  # the pass that its arrival wakes does it
        try:
            if await self._revocations.apply(installation):
                _log.info("revocations applied at once", installation=key.name)
        except KubeError as error:
            _log.warning("revocations could not be applied yet", installation=key.name, error=str(error))
            return Outcome(after=error.retry_after, failed=True)
        return Outcome()

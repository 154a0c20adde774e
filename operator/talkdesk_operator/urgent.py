"""What takes access away, applied as it comes; a pass over its tenant may take long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from talkdesk_kube import Conflict, KubeError
from talkdesk_operator.queue import Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.directory import Directory
    from talkdesk_operator.keys import RevokeKey, TenantKey
    from talkdesk_operator.revocations import RevocationDesk

_log = structlog.get_logger(__name__)


class UrgentRevoker:
    """Applies revocations, and refuses where access was ended; the tenant's own pass does all the rest.

    :param end: refuses access to a tenant by what is known of it. Raises KubeError.
    """

    def __init__(
        self,
        caches: Caches,
        directory: Directory,
        revocations: RevocationDesk,
        end: Callable[[TenantKey], Awaitable[None]],
        *,
        namespace: str,
    ) -> None:
        self._caches = caches
        self._directory = directory
        self._revocations = revocations
        self._end = end
        self._namespace = namespace

    async def revoke(self, key: RevokeKey) -> Outcome:
        """Take out of the slices whom the revocations of one installation take out, or all where it ended."""
        installation = self._caches.installations.get(self._namespace, key.name)
        if installation is None:
            return Outcome()  # the pass that its arrival wakes does it
        try:
            if await self._revocations.apply(installation):
                _log.info("revocations applied at once", installation=key.name)
            if may_have_ended(installation):
                await self._end(self._directory.key_of(installation))
        except KubeError as error:
            # Slices that somebody else has just written are read again first: everyday business.
            say = _log.debug if isinstance(error, Conflict) else _log.warning
            say("access could not be ended yet", installation=key.name, error=str(error))
            return Outcome(after=error.retry_after, failed=True)
        return Outcome()


def may_have_ended(installation: TalkdeskInstallation) -> bool:
    """It is served still, and a person's switch or an event says something against it. Pure."""
    access, said = installation.status.access, installation.spec.talkdesk.trial
    served = access is not None and access.state == "Allowed"
    return served and (installation.spec.suspend or (said is not None and said.state == "ended"))

"""Which of an installation's sets of credentials opens Talkdesk's door: tries them, and remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import structlog

from talkdesk_client import InstallationRef, TalkdeskError
from talkdesk_crds.conditions import Reason
from talkdesk_operator import failures, rotation
from talkdesk_operator.credentials import Unusable
from talkdesk_operator.failures import Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from collections.abc import Set as AbstractSet

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_operator.credentials import CredentialStore
    from talkdesk_operator.credentials_search import Found
    from talkdesk_operator.notes import Notes

_log = structlog.get_logger(__name__)

T = TypeVar("T")


class Keyring:
    """Chooses credentials; ``pause`` is how long a refused newest set rests at first (seconds)."""

    def __init__(self, store: CredentialStore, *, monotonic: Callable[[], float], pause: float) -> None:
        self._store = store
        self._monotonic = monotonic
        self._pause = pause

    async def locate(self, installation: TalkdeskInstallation) -> Found | None:
        """The Secret of an installation whose register names none. Raises KubeError."""
        return await self._store.locate(installation)

    async def ref(self, notes: Notes, app: TalkdeskApp) -> InstallationRef | Unusable:
        """The set that is known to work, without trying another. Raises KubeError."""
        installation, keys = notes.installation, notes.memory.keys
        in_use = notes.worked or installation.status.credentials
        if in_use is not None and in_use not in keys.dropped:
            found = await self._store.ref(app, installation, name=in_use)
            if isinstance(found, InstallationRef):
                return found
        return await self._store.ref(app, installation)

    def is_due(self, notes: Notes) -> bool:
        """The newest set was refused a while ago, and should be tried again."""
        keys = notes.memory.keys
        return keys.refusals > 0 and self._monotonic() >= keys.retry_at

    def wait(self, notes: Notes) -> float | None:
        """Seconds until :meth:`is_due`, None where nothing was refused."""
        keys = notes.memory.keys
        return max(0.0, keys.retry_at - self._monotonic()) if keys.refusals > 0 else None

    async def open(
        self, notes: Notes, app: TalkdeskApp, read: Callable[[], Awaitable[T]], *, news: bool
    ) -> T | Unusable:
        """What ``read`` returns with the first set that is not refused; ``notes.ref`` is that set's.

        Where the known ones are refused, every other set that lies here for the installation is tried as
        well: of two rotations in the same second, events do not tell which came last.

        :param news: something was said about the installation: the newest set is tried first.

        Raises KubeError, and the TalkdeskError of the newest set where all are refused.
        """
        installation, keys, now = notes.installation, notes.memory.keys, self._monotonic()
        newest, in_use = await self._store.newest(installation), installation.status.credentials
        problem: Unusable | TalkdeskError | None = None
        untried = [*rotation.in_order(newest, in_use, keys, now=now, first=news or self.is_due(notes))]
        searched = False
        while untried:
            name = untried.pop(0)
            notes.ref = await self._store.ref(app, installation, name=name)
            if not isinstance(notes.ref, InstallationRef):
                problem = problem if problem is not None and name != newest else notes.ref
                continue
            try:
                found = await read()
            except TalkdeskError as error:
                failure = failures.of_reading(error)
                if failure.kind is not Kind.REFUSED:
                    raise
                _log.info("credentials were refused", installation=notes.name, secret=name, error=str(error))
                problem = problem if problem is not None and name != newest else error
                if failure.final:
                    rotation.refused(keys, name, newest=newest, now=now, pause=self._pause)
                    if not untried and not searched:
                        searched = True
                        untried = await self._others(installation, besides={newest, in_use, *keys.dropped})
                continue
            rotation.worked(keys, name, newest=newest, in_use=in_use)
            notes.worked = name
            return found
        if isinstance(problem, TalkdeskError):
            raise problem
        return problem or Unusable(
            Reason.AWAITING_INSTALLED, "no event has carried credentials yet", permanent=False
        )

    async def _others(
        self, installation: TalkdeskInstallation, *, besides: AbstractSet[str | None]
    ) -> list[str]:
        """Every other Secret of the installation, newest first. Raises KubeError."""
        return [name for name in await self._store.others(installation) if name not in besides]

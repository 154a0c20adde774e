"""A look at Talkdesk's list for a user whom nobody knows yet: asked of the operator by an annotation.

``talkdesk-operator.io/resync`` holds a token, and ``status.observedResync`` the last one whose look is done.
While the two differ a look is under way, whoever asked for it, and all who need one wait for it. A token that
is younger than a minute asks for no other: many unknown users at once, on any replica, cost one look.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from talkdesk_crds import names
from talkdesk_crds.meta import parse_time, time
from talkdesk_gateway.seams import NotAskedError
from talkdesk_kube import Conflict, KubeError, resources

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_gateway.directory import WatchedDirectory
    from talkdesk_gateway.tenancy import Tenancy
    from talkdesk_kube import Kube

#: How long a finished look answers for those who come after it.
GOOD_FOR: Final = timedelta(minutes=1)
_OURS: Final = "gateway"


def due(installation: TalkdeskInstallation, now: datetime) -> bool:
    """Whether to ask for a look: none is under way, and the last one is not from just now. Pure."""
    token = installation.metadata.annotations.get(names.RESYNC_ANNOTATION)
    if token is not None and token != installation.status.observed_resync:
        return False
    asked = _asked_at(token)
    return asked is None or not now - GOOD_FOR < asked <= now + GOOD_FOR


def done(installation: TalkdeskInstallation) -> bool:
    """Whether no look is under way. Pure."""
    token = installation.metadata.annotations.get(names.RESYNC_ANNOTATION)
    return token is None or token == installation.status.observed_resync


def _token(now: datetime) -> str:
    return f"{_OURS}.{time(now)}.{secrets.token_hex(4)}"


def _asked_at(token: str | None) -> datetime | None:
    """When a gateway wrote ``token``; None for one of somebody else's."""
    parts = (token or "").split(".")
    if len(parts) != 3 or parts[0] != _OURS:
        return None
    with contextlib.suppress(ValueError):
        return parse_time(parts[1])
    return None


class WatchedLookup:
    """Asks and waits.

    :param wait: seconds that one user waits at the most.
    """

    def __init__(
        self,
        kube: Kube,
        directory: WatchedDirectory,
        *,
        wait: float,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kube = kube
        self._directory = directory
        self._wait = wait
        self._clock = clock
        #: By installation: the version from which on the watch shows what we asked for.
        self._asked: dict[str, int] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def look(self, tenancy: Tenancy, user_id: str) -> Tenancy:
        """The tenancy as it is after one look; sooner if the user is there.

        Raises NotAskedError where Kubernetes cannot be asked, the installation is gone, or the look is not
        over within the stated wait: then nobody can say that the user is not licensed.
        """
        installation_id = tenancy.installation.spec.installation_id
        name = tenancy.installation.metadata.name
        changed = asyncio.Event()
        unsubscribe = self._directory.subscribe(name, changed.set)
        try:
            async with asyncio.timeout(self._wait):
                while not await self._is_over(installation_id, user_id):
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            waited = f"the list of users was not read again within {self._wait:g} s"
            raise NotAskedError(waited) from None
        finally:
            unsubscribe()
        return self._now(installation_id)

    async def _is_over(self, installation_id: str, user_id: str) -> bool:
        tenancy = self._now(installation_id)
        if tenancy.user(user_id) is not None:
            return True
        installation = tenancy.installation
        name = installation.metadata.name
        if int(installation.metadata.resource_version or 0) < self._asked.get(name, 0):
            return False  # the watch does not show our own token yet
        if due(installation, self._clock()):
            await self._ask(installation)
            return False
        return done(installation) and self._directory.settled(name)

    def _now(self, installation_id: str) -> Tenancy:
        found = self._directory.by_installation(installation_id)
        if found is None:
            raise NotAskedError(f"installation {installation_id} is gone")
        return found

    async def _ask(self, installation: TalkdeskInstallation) -> None:
        """Write a token; those who ask for the same at the same time are one."""
        name = installation.metadata.name
        if name not in self._asking:
            self._asking[name] = asyncio.create_task(self._write(installation))
            self._asking[name].add_done_callback(lambda asked: self._asked_for(name, asked))
        await asyncio.shield(self._asking[name])

    def _asked_for(self, name: str, asked: asyncio.Task[None]) -> None:
        del self._asking[name]
        if not asked.cancelled():
            asked.exception()  # seen, also where everybody who waited for it is gone

    async def _write(self, installation: TalkdeskInstallation) -> None:
        metadata = installation.metadata
        patch = {
            "metadata": {
                # Another replica may have asked a moment ago: then its look is ours as well.
                "resourceVersion": metadata.resource_version,
                "annotations": {names.RESYNC_ANNOTATION: _token(self._clock())},
            }
        }
        try:
            written = await self._kube.merge_patch(
                resources.INSTALLATIONS, metadata.name, patch, namespace=metadata.namespace
            )
        except Conflict:
            return  # the watch is about to show what is newer; then it is looked at again
        except KubeError as error:
            raise NotAskedError(str(error)) from None
        self._asked[metadata.name] = int(written["metadata"]["resourceVersion"])

"""The gateway's two key Secrets: made where they are missing, turned when it is time.

Whoever deletes one has it made anew at once: that is how everybody is signed out in an emergency. What is in
the Secrets is read in the pass alone and kept nowhere; the watch only wakes it.
"""

from __future__ import annotations

import json
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from joserfc.jwk import ECKey, OctKey
from pydantic import SecretStr

from talkdesk_crds import names
from talkdesk_crds.app import SessionPolicy
from talkdesk_crds.key_ring import SECRET_TYPE, Key, UnreadableKeys, parse, render
from talkdesk_kube import Conflict, KubeError, NotFound, resources
from talkdesk_operator.compact import identity_of
from talkdesk_operator.key_turning import KeyPolicy, turn
from talkdesk_operator.queue import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from talkdesk_kube import Kube, Obj
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.key_turning import NewKey

_log = structlog.get_logger(__name__)

#: What a session key seals is good for the longest session, and so much longer.
_BEYOND_SESSIONS = timedelta(hours=1)
#: What an identity key signs is good for two minutes; tenants keep the public half for a while.
_IDENTITIES = timedelta(days=1)
#: The longest session that a TalkdeskApp can ask for: what is assumed of one that cannot be read.
_LONGEST = timedelta(days=30)


class GatewayKeys:
    """Makes and turns the keys of one release."""

    def __init__(
        self,
        *,
        kube: Kube,
        caches: Caches,
        namespace: str,
        release: str,
        session_every: timedelta,
        identity_every: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._kube = kube
        self._caches = caches
        self._namespace = namespace
        self._release = release
        self._session_every = session_every
        self._identity_every = identity_every
        self._clock = clock

    async def turn(self) -> Outcome:
        """One look at both; when to look again."""
        now = self._clock()
        sessions = KeyPolicy(self._session_every, self._longest_session() + _BEYOND_SESSIONS)
        identities = KeyPolicy(self._identity_every, _IDENTITIES)
        try:
            look_at = min(
                await self._turned(names.session_keys_name(self._release), sessions, session_key),
                await self._turned(names.identity_keys_name(self._release), identities, identity_key),
            )
        except Conflict:
            return Outcome(after=0.0, failed=True)  # somebody was faster: once more, with what is there now
        except KubeError as error:
            _log.warning("the gateway's keys could not be looked after", error=str(error))
            return Outcome(after=error.retry_after, failed=True)
        return Outcome(after=max(0.0, (look_at - now).total_seconds()))

    def _longest_session(self) -> timedelta:
        """Of any app; what a key sealed for an app that is gone serves nobody."""
        apps = self._caches.apps.all()
        if len(apps) < sum(1 for _ in self._caches.apps.view.all()):
            return _LONGEST
        seconds = [app.spec.session.absolute_seconds for app in apps]
        return timedelta(seconds=max(seconds, default=SessionPolicy().absolute_seconds))

    async def _turned(self, name: str, policy: KeyPolicy, new: NewKey) -> datetime:
        """Bring one Secret to what it should be; when to look again. Raises KubeError."""
        try:
            stored: Obj | None = await self._kube.get(resources.SECRETS, name, namespace=self._namespace)
        except NotFound:
            stored = None
        keys: tuple[Key, ...] = ()
        if stored is not None:
            try:
                keys = parse(stored)
            except UnreadableKeys as problem:
                _log.warning("keys are made anew", problem=str(problem))
        turned = turn(keys, self._clock(), policy, new=new)
        if stored is None:
            await self._create(name, turned.keys)
        elif turned.changed:
            await self._write(stored, turned.keys)
        return turned.look_at

    async def _create(self, name: str, keys: tuple[Key, ...]) -> None:
        made = await self._kube.create(
            resources.SECRETS,
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": self._namespace},
                "type": SECRET_TYPE,
                "data": render(keys),
            },
            namespace=self._namespace,
        )
        self._caches.keys[name].remember(identity_of(made))
        _log.info("keys made", secret=name, keys=[key.id for key in keys])

    async def _write(self, stored: Obj, keys: tuple[Key, ...]) -> None:
        name, version = stored["metadata"]["name"], stored["metadata"]["resourceVersion"]
        written = await self._kube.merge_patch(
            resources.SECRETS,
            name,
            {"metadata": {"resourceVersion": version}, "data": render(keys)},
            namespace=self._namespace,
        )
        self._caches.keys[name].remember(identity_of(written))
        _log.info("keys turned", secret=name, keys=[key.id for key in keys])


def session_key(now: datetime) -> Key:
    """A key that seals sessions: 256 random bits."""
    return _key(now, OctKey.generate_key(256, private=True).as_dict(private=True))


def identity_key(now: datetime) -> Key:
    """A key that signs identities, on the curve P-256."""
    return _key(now, ECKey.generate_key("P-256", private=True).as_dict(private=True))


def _key(now: datetime, jwk: object) -> Key:
    # Whole seconds, as they are written.
    return Key(secrets.token_hex(8), now.replace(microsecond=0), SecretStr(json.dumps(jwk)))

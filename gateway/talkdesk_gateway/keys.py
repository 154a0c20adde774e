"""The gateway's own keys, as the watch on their two Secrets shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from talkdesk_crds import key_ring, names
from talkdesk_kube import Reflector, resources

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_crds.key_ring import Key
    from talkdesk_kube import Kube, Obj, ReflectorTimings

_log = structlog.get_logger(__name__)


class WatchedKeys:
    """Both key rings; a ring whose Secret is missing or unreadable is empty, and lets nobody in.

    Each Secret is watched by its name: the gateway may see no other of its namespace.
    """

    def __init__(
        self, kube: Kube, *, namespace: str, release: str, timings: ReflectorTimings | None = None
    ) -> None:
        self._session = (namespace, names.session_keys_name(release))
        self._identity = (namespace, names.identity_keys_name(release))
        self.reflectors = tuple(
            Reflector(
                kube,
                resources.SECRETS,
                namespace=namespace,
                fields=f"metadata.name={name}",
                transform=_read,
                timings=timings,
            )
            for _, name in (self._session, self._identity)
        )

    def session_keys(self) -> tuple[Key, ...]:
        """Seal and open states, tickets and cookies."""
        return _keys(self.reflectors[0].store.get(self._session))

    def identity_keys(self) -> tuple[Key, ...]:
        """Sign who a request comes from."""
        return _keys(self.reflectors[1].store.get(self._identity))

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call ``changed`` at each change of the session keys, once it can be read; the result ends it."""
        return self.reflectors[0].subscribe(lambda _key, _old, _new: changed())


def _keys(kept: Obj | None) -> tuple[Key, ...]:
    found: tuple[Key, ...] = kept["keys"] if kept is not None else ()
    return found


def _read(secret: Obj) -> Obj:
    """The Secret with its keys under ``keys`` instead of its data."""
    metadata = secret["metadata"]
    kept = {field: metadata[field] for field in ("name", "namespace", "uid", "resourceVersion")}
    try:
        keys = key_ring.parse(secret)
    except key_ring.UnreadableKeys as problem:
        _log.error("keys cannot be read, nobody can enter", problem=str(problem))
        keys = ()
    return {"metadata": kept, "keys": tuple(sorted(keys, key=lambda key: key.made_at))}

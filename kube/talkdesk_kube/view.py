"""Watch caches to read from: by name, by index, as models; and what this process itself wrote since.

A watch shows a write of ours a moment after the API server answered it. A pass that began in between would
see the old object and write again; so each answer is kept until the watch has caught up with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog

from talkdesk_crds.meta import Model
from talkdesk_kube.resources import Obj, key_of
from talkdesk_kube.typed import Unreadable, parse

if TYPE_CHECKING:
    from talkdesk_kube.reflector import Reflector

_log = structlog.get_logger(__name__)

Name = tuple[str, str]
#: The values that an object is found by.
Index = Callable[[Obj], Iterable[str]]
M = TypeVar("M", bound=Model)

_REMEMBERED = 8192


class View:
    """One resource, as the watch shows it or as our own writes left it, whichever is newer."""

    def __init__(self, reflector: Reflector, *, index: Index | None = None) -> None:
        self.reflector = reflector
        self._index = index
        self._indexed: dict[str, set[Name]] = {}
        self._ours: dict[Name, Obj] = {}
        self._deleted: dict[Name, str] = {}
        self._written: OrderedDict[tuple[Name, str], None] = OrderedDict()
        reflector.subscribe(self._reindex)

    def get(self, namespace: str, name: str) -> Obj | None:
        """The object, or None. Do not change it."""
        key = (namespace, name)
        stored = self.reflector.store.get(key)
        if stored is not None and _uid(stored) == self._deleted.get(key):
            return None
        ours = self._ours.get(key)
        if ours is None:
            return stored
        if _version(ours) <= int(self.reflector.resource_version or 0):
            del self._ours[key]
            return stored
        return stored if stored is not None and _version(stored) > _version(ours) else ours

    def by(self, value: str) -> list[Obj]:
        """All objects that the index gives ``value``, by name."""
        found = (self.get(*key) for key in sorted(self._indexed.get(value, ())))
        return [item for item in found if item is not None]

    def all(self) -> Iterator[Obj]:
        """Every object, by name."""
        for key in sorted(self.reflector.store):
            if (item := self.get(*key)) is not None:
                yield item

    def remember(self, written: Obj) -> None:
        """``written`` is the API server's answer to a write of ours, transformed as the reflector would."""
        key = key_of(written)
        self._ours[key] = written
        self._deleted.pop(key, None)
        self._add(key, written)
        self._written[key, str(written["metadata"]["resourceVersion"])] = None
        while len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)

    def forget(self, deleted: Obj) -> None:
        """We deleted it."""
        key, uid = key_of(deleted), _uid(deleted)
        held = (self.reflector.store.get(key), self._ours.pop(key, None))
        # Noted until the watch shows the deletion: where it has already, nothing would end the note.
        if any(one is not None and _uid(one) == uid for one in held):
            self._deleted[key] = uid

    def wrote(self, obj: Obj) -> bool:
        """True where ``obj`` is in exactly the version that a write of ours made."""
        return (key_of(obj), str(obj["metadata"].get("resourceVersion"))) in self._written

    def _reindex(self, key: Name, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            self._deleted.pop(key, None)
            ours = self._ours.get(key)
            if ours is not None and old is not None and _uid(ours) == _uid(old):
                del self._ours[key]
        if self._index is None:
            return
        if old is not None:
            for value in set(self._index(old)) - set(self._index(new) if new is not None else ()):
                members = self._indexed.get(value, set())
                members.discard(key)
                if not members:
                    self._indexed.pop(value, None)
        if new is not None:
            self._add(key, new)

    def _add(self, key: Name, obj: Obj) -> None:
        for value in self._index(obj) if self._index is not None else ():
            self._indexed.setdefault(value, set()).add(key)


class Typed(Generic[M]):
    """A view of one of our kinds, as its model. What no model accepts is logged once and left out."""

    def __init__(self, view: View, model: type[M]) -> None:
        self.view = view
        self._model = model
        self._parsed: dict[Name, tuple[str, M | None]] = {}
        view.reflector.subscribe(self._changed)

    def get(self, namespace: str, name: str) -> M | None:
        """The object, or None."""
        obj = self.view.get(namespace, name)
        if obj is None:
            self._parsed.pop((namespace, name), None)
        return None if obj is None else self._parse(obj)

    def by(self, value: str) -> list[M]:
        """All objects that the index gives ``value``."""
        return [one for item in self.view.by(value) if (one := self._parse(item)) is not None]

    def all(self) -> list[M]:
        """Every object."""
        return [one for item in self.view.all() if (one := self._parse(item)) is not None]

    def _changed(self, key: Name, _old: Obj | None, new: Obj | None) -> None:
        """What is gone is asked for by its name no more."""
        if new is None:
            self._parsed.pop(key, None)

    def _parse(self, obj: Obj) -> M | None:
        key, version = key_of(obj), str(obj["metadata"]["resourceVersion"])
        known = self._parsed.get(key)
        if known is not None and known[0] == version:
            return known[1]
        try:
            parsed = parse(self._model, obj)
        except Unreadable as problem:
            _log.warning("an object is left out, its model does not accept it", problem=str(problem))
            parsed = None
        self._parsed[key] = (version, parsed)
        return parsed


def _uid(obj: Obj) -> str:
    return str(obj["metadata"].get("uid", ""))


def _version(obj: Obj) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)

"""The TalkdeskUserSlices that the watch shows, their users packed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import ValidationError

from talkdesk_crds.user_slice import TalkdeskUserSlice
from talkdesk_kube.resources import USER_SLICES
from talkdesk_operator.compact import identity_of
from talkdesk_operator.entries import Entry, decode, encode, entry_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from talkdesk_kube import Obj
    from talkdesk_kube.view import View

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Slice:
    """One slice; ``identity`` is the object without its content, ``version`` its resourceVersion."""

    identity: Obj
    labels: dict[str, str]
    installation: str
    buckets: int
    bucket: int
    count: int
    content: bytes

    @property
    def version(self) -> int:
        """Its resourceVersion."""
        return int(self.identity["metadata"].get("resourceVersion") or 0)

    @property
    def users(self) -> dict[str, Entry]:
        """Who is in it; unpacked at each call."""
        return decode(self.content)


def packed(obj: Obj) -> Obj:
    """What the watch cache keeps of a slice: ``slice`` is None where the kind's model refuses the object."""
    spec: dict[str, Any] = obj.get("spec") or {}
    kept = identity_of(obj) | {"spec": {"installation": spec.get("installation")}}
    try:
        read = TalkdeskUserSlice.model_validate(obj).spec
    except ValidationError as problem:
        metadata = obj["metadata"]
        _log.warning(
            "a slice is left out, its model does not accept it",
            slice=metadata["name"],
            problems=problem.error_count(),
        )
        return kept | {"slice": None}
    users = {user: entry_of(one) for user, one in read.users.items()}
    one = Slice(
        identity=identity_of(obj),
        labels=dict(obj["metadata"].get("labels") or {}),
        installation=read.installation,
        buckets=read.buckets,
        bucket=read.bucket,
        count=len(users),
        content=encode(users),
    )
    return kept | {"slice": one}


class SliceCache:
    """Slices by the installation that they are of. ``view`` reads :data:`USER_SLICES`, as :func:`packed`."""

    def __init__(self, view: View) -> None:
        if view.reflector.resource != USER_SLICES:
            raise AssertionError("a view of slices")
        self.view = view

    def by(self, installation: str) -> list[Slice]:
        """The slices of the installation of this name, of every generation."""
        return [obj["slice"] for obj in self.view.by(installation) if obj["slice"] is not None]

    def all(self) -> Iterator[Slice]:
        """Every slice."""
        return (obj["slice"] for obj in self.view.all() if obj["slice"] is not None)

    def remember(self, stored: Obj) -> None:
        """``stored`` is the API server's answer to a write of ours."""
        self.view.remember(packed(stored))

    def forget(self, one: Slice) -> None:
        """We deleted it."""
        self.view.forget(one.identity)

"""What people with kubectl do to the product's objects, and how one sees that the product mends it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from talkdesk_crds.names import ACCOUNT_LABEL
from talkdesk_kube.errors import NotFound
from talkdesk_sandbox.story.observe import NotYet, eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from talkdesk_kube.client import Kube
    from talkdesk_kube.resources import Obj, Resource

_CHANGED = "changed-by-somebody"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object is; ``namespace`` is None where the kind has none."""

    kind: Resource
    name: str
    namespace: str | None = None

    def __str__(self) -> str:
        return f"{self.kind.kind} {self.name}"


async def seen(checks: Iterable[Callable[[], Awaitable[Any]]], *, within: float) -> None:
    """All ``checks`` hold, each within so many seconds. Raises NotObserved."""
    await asyncio.gather(*(eventually(check, within=within) for check in checks))


async def find(kube: Kube, place: Place) -> Obj | None:
    """The object, or None."""
    try:
        return await kube.get(place.kind, place.name, namespace=place.namespace)
    except NotFound:
        return None


async def all_there(kube: Kube, places: Iterable[Place], *, within: float) -> None:
    """Wait until all of ``places`` hold an object. Raises NotObserved."""

    def check(place: Place) -> Callable[[], Awaitable[None]]:
        async def look() -> None:
            if await find(kube, place) is None:
                raise NotYet(f"{place} is not there")

        return look

    await seen([check(place) for place in places], within=within)


async def all_gone(kube: Kube, places: Iterable[Place], *, within: float) -> None:
    """Wait until none of ``places`` holds an object, or one that is on its way out. Raises NotObserved."""

    def check(place: Place) -> Callable[[], Awaitable[None]]:
        async def look() -> None:
            found = await find(kube, place)
            if found is not None and not found["metadata"].get("deletionTimestamp"):
                raise NotYet(f"{place} is still there")

        return look

    await seen([check(place) for place in places], within=within)


async def change_and_see_mended(kube: Kube, places: list[Place], *, within: float) -> None:
    """Change a label that the operator applies on each object; wait until it is as before."""
    wrong = {"metadata": {"labels": {ACCOUNT_LABEL: _CHANGED}}}
    await asyncio.gather(
        *(kube.merge_patch(place.kind, place.name, wrong, namespace=place.namespace) for place in places)
    )

    def check(place: Place) -> Callable[[], Awaitable[None]]:
        async def look() -> None:
            found = await find(kube, place)
            if found is None or found["metadata"]["labels"].get(ACCOUNT_LABEL) == _CHANGED:
                raise NotYet(f"{place} is not mended")

        return look

    await seen([check(place) for place in places], within=within)


async def delete_and_see_made_again(kube: Kube, places: list[Place], *, within: float) -> None:
    """Delete each object; wait until there is another of its name."""
    before = {}
    for place in places:
        found = await kube.get(place.kind, place.name, namespace=place.namespace)
        before[place] = found["metadata"]["uid"]
        await kube.delete(place.kind, place.name, namespace=place.namespace)

    def check(place: Place) -> Callable[[], Awaitable[None]]:
        async def look() -> None:
            found = await find(kube, place)
            if found is None or found["metadata"]["uid"] == before[place]:
                raise NotYet(f"{place} is not made again")

        return look

    await seen([check(place) for place in places], within=within)

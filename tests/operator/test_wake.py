"""Which changes of an installation and of an app wake a pass, and which are the echo of our own writes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

import pytest

from samples import sample_of
from talkdesk_crds import names
from talkdesk_operator.cache import Caches
from talkdesk_operator.directory import Directory
from talkdesk_operator.keys import AppKey, TenantKey
from talkdesk_operator.memory import Memory
from talkdesk_operator.queue import WorkQueue
from talkdesk_operator.tenant import Release
from talkdesk_operator.wake import Waker

if TYPE_CHECKING:
    from talkdesk_kube import Kube
    from talkdesk_kube.view import View
    from talkdesk_operator.keys import Key, MailKey, RevokeKey

RELEASE = Release(namespace="td", name="td", service_account="operator", tenant_cluster_role="tenant")
KINDS = ("TalkdeskInstallation", "TalkdeskApp")


class Woken:
    """A waker whose watches show what a test tells them, and the keys that it woke."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        caches = Caches(cast("Kube", None), RELEASE)
        self.view: View = (caches.apps if kind == "TalkdeskApp" else caches.installations).view
        self._sample = sample_of(kind.lower())
        self._queue: WorkQueue[Key] = WorkQueue()
        urgent: WorkQueue[RevokeKey] = WorkQueue()
        mails: WorkQueue[MailKey] = WorkQueue()
        self.waker = Waker(
            self._queue,
            urgent,
            mails=mails,
            caches=caches,
            directory=Directory(caches, RELEASE),
            memory=Memory(),
            namespace="td",
        )
        self.shows(self.at(9))
        self.waker.subscribe()

    def at(
        self, version: int, *, generation: int = 1, region: str | None = "eu", **annotations: Any
    ) -> dict[str, Any]:
        """The object as it is in ``version``."""
        made = copy.deepcopy(self._sample)
        made["metadata"] |= {"namespace": "td", "uid": "u", "resourceVersion": str(version)}
        written = {f"{names.GROUP}/{name}": text for name, text in annotations.items()}
        made["metadata"] |= {"generation": generation, "annotations": written}
        if self.kind == "TalkdeskInstallation":
            made["spec"]["region"] = region
        return made

    def shows(self, obj: dict[str, Any]) -> None:
        self.view.reflector._put(("td", "sample"), obj)
        self.view.reflector._resource_version = obj["metadata"]["resourceVersion"]

    def seen_outside(self, version: int) -> None:
        self.waker.outside(self.kind, "sample", str(version))

    def woken(self) -> bool:
        """Whether a pass over it was asked for; asking takes that back."""
        keys = set(self._queue._waiting)
        self._queue._waiting.clear()
        if self.kind == "TalkdeskApp":
            assert keys <= {AppKey("sample")}
        else:
            assert all(isinstance(key, TenantKey) for key in keys)
        return bool(keys)


@pytest.fixture(params=KINDS)
async def one(request: pytest.FixtureRequest) -> Woken:
    return Woken(request.param)


async def test_the_echo_of_a_status_write_wakes_nobody(one: Woken) -> None:
    one.view.remember(one.at(10))
    one.seen_outside(10)
    assert not one.woken()
    one.shows(one.at(10))
    assert not one.woken()
    one.seen_outside(10)
    assert not one.woken()


async def test_a_change_of_somebody_else_wakes_at_once_and_our_write_on_top_of_it_no_more(one: Woken) -> None:
    one.view.remember(one.at(11, generation=2))
    one.shows(one.at(10, generation=2))
    assert one.woken()
    one.shows(one.at(11, generation=2))
    one.seen_outside(11)
    assert not one.woken()


async def test_a_change_that_only_our_write_on_top_of_it_shows_wakes(one: Woken) -> None:
    one.view.remember(one.at(11, generation=2))
    one.shows(one.at(11, generation=2))
    assert one.woken()


@pytest.mark.parametrize("annotation", ["resync", "paused", "release-brake"])
async def test_so_does_an_annotation_that_a_person_wrote(one: Woken, annotation: str) -> None:
    marked: dict[str, Any] = {annotation: "2026-01-05T10:00:00Z"}
    written = one.at(11, **marked)
    one.view.remember(written)
    one.shows(written)
    assert one.woken()
    gone = one.at(13)
    one.view.remember(gone)
    one.shows(gone)
    assert one.woken()


async def test_an_annotation_of_our_own_does_not(one: Woken) -> None:
    answered = one.at(11, answers="[]", mails="[]")
    one.view.remember(answered)
    one.shows(answered)
    assert not one.woken()


async def test_a_change_that_our_watch_does_not_show_yet_wakes_when_another_one_shows_it(one: Woken) -> None:
    one.view.remember(one.at(11, generation=2))
    one.seen_outside(11)
    assert one.woken()
    one.shows(one.at(11, generation=2))
    assert one.woken(), "the pass may have begun before"
    one.seen_outside(11)
    assert not one.woken()


async def test_the_region_that_we_wrote_ourselves_wakes_nobody_and_what_came_beside_it_does() -> None:
    one = Woken("TalkdeskInstallation")
    one.shows(one.at(20, generation=1, region=None))
    assert one.woken()
    placed = one.at(21, generation=2)
    one.view.remember(placed)
    one.seen_outside(21)
    one.shows(placed)
    assert not one.woken()
    one.shows(one.at(30, generation=1, region=None))
    assert one.woken()
    beside = one.at(32, generation=3)
    one.view.remember(beside)
    one.shows(beside)
    assert one.woken()

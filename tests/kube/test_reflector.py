from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_kube import Kube, KubeSettings, Reflector, ReflectorTimings
from talkdesk_kube.resources import CONFIG_MAPS, REVOCATIONS, ROLES, SERVICE_ACCOUNTS, Obj

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from talkdesk_kube import Key
    from talkdesk_sandbox.controlplane import ControlPlane

QUICK = ReflectorTimings(first_backoff=0.01, longest_backoff=0.05)
LABELS = "app=test"


def config_map(name: str, **data: str) -> Obj:
    return {"metadata": {"name": name, "labels": {"app": "test"}}, "data": data}


def may(*verbs: str) -> Obj:
    """A rule about ConfigMaps."""
    return {"apiGroups": [""], "resources": ["configmaps"], "verbs": list(verbs)}


class Diary:
    """What a subscriber was told, and the store it would build from that alone."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.store: dict[Key, Obj] = {}

    def __call__(self, key: Key, old: Obj | None, new: Obj | None) -> None:
        assert old == self.store.get(key)
        if new is None:
            self.told.append(("deleted", key[1]))
            del self.store[key]
        else:
            self.told.append(("added" if old is None else "changed", key[1]))
            self.store[key] = new


@asynccontextmanager
async def started(reflector: Reflector) -> AsyncIterator[None]:
    task = asyncio.create_task(reflector.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def running(reflector: Reflector) -> AsyncIterator[Diary]:
    diary = Diary()
    reflector.subscribe(diary)
    async with started(reflector):
        async with asyncio.timeout(10):
            await reflector.synced.wait()
        yield diary


async def held(kube: Kube, namespace: str) -> dict[Key, Obj]:
    """What the server holds, as a reflector keeps it."""
    listing = await kube.list(CONFIG_MAPS, namespace=namespace, labels=LABELS)
    for item in listing.items:
        item["metadata"].pop("managedFields", None)
    return {(namespace, item["metadata"]["name"]): item for item in listing.items}


async def test_it_shows_what_is_there_and_what_changes(kube: Kube, namespace: str, eventually: Any) -> None:
    await kube.create(CONFIG_MAPS, config_map("old"), namespace=namespace)
    reflector = Reflector(kube, CONFIG_MAPS, namespace=namespace, labels=LABELS)
    assert not reflector.fresh_within(3600)
    async with running(reflector) as diary:
        assert diary.told == [("added", "old")]
        await kube.create(CONFIG_MAPS, config_map("new"), namespace=namespace)
        await kube.merge_patch(CONFIG_MAPS, "new", {"data": {"x": "1"}}, namespace=namespace)
        await kube.delete(CONFIG_MAPS, "old", namespace=namespace)
        await eventually(lambda: len(diary.told) == 4)
        assert diary.told[1:] == [("added", "new"), ("changed", "new"), ("deleted", "old")]
        assert dict(reflector.store) == await held(kube, namespace)
        assert reflector.fresh_within(60)
        newest = reflector.store[namespace, "new"]
        assert newest["kind"] == "ConfigMap"
        assert "managedFields" not in newest["metadata"]


async def test_what_leaves_the_selection_is_gone(kube: Kube, namespace: str, eventually: Any) -> None:
    await kube.create(CONFIG_MAPS, config_map("a"), namespace=namespace)
    async with running(Reflector(kube, CONFIG_MAPS, namespace=namespace, labels=LABELS)) as diary:
        away = {"metadata": {"labels": {"app": "other"}}}
        await kube.merge_patch(CONFIG_MAPS, "a", away, namespace=namespace)
        await eventually(lambda: diary.store == {})
        assert diary.told == [("added", "a"), ("deleted", "a")]


async def test_changes_during_a_cut_are_told_afterwards(
    kube: Kube, namespace: str, relay: Any, eventually: Any
) -> None:
    for name in ("deleted", "changed", "made-again", "same"):
        await kube.create(CONFIG_MAPS, config_map(name), namespace=namespace)
    async with await Kube.connect(KubeSettings(kubeconfig=relay.kubeconfig), user_agent="test") as through:
        reflector = Reflector(through, CONFIG_MAPS, namespace=namespace, labels=LABELS, timings=QUICK)
        async with running(reflector) as diary:
            await eventually(lambda: any(method == "WATCH" for method, _ in relay.requests))
            diary.told.clear()
            relay.go_down()
            await kube.delete(CONFIG_MAPS, "deleted", namespace=namespace)
            await kube.merge_patch(CONFIG_MAPS, "changed", {"data": {"x": "1"}}, namespace=namespace)
            await kube.delete(CONFIG_MAPS, "made-again", namespace=namespace)
            await kube.create(CONFIG_MAPS, config_map("made-again"), namespace=namespace)
            await kube.create(CONFIG_MAPS, config_map("made"), namespace=namespace)
            assert diary.told == []
            relay.down = False
            await eventually(lambda: len(diary.told) >= 5)
            assert sorted(diary.told) == [
                ("added", "made"),
                ("added", "made-again"),
                ("changed", "changed"),
                ("deleted", "deleted"),
                ("deleted", "made-again"),
            ]
            assert dict(reflector.store) == diary.store == await held(kube, namespace)


async def test_a_watch_that_expired_is_replaced_by_a_list(
    kube: Kube, namespace: str, relay: Any, eventually: Any
) -> None:
    watches = 0

    def expire_the_second(query: dict[str, str]) -> dict[str, str]:
        nonlocal watches
        if "watch" in query:
            watches += 1
            if watches == 2:
                return query | {"resourceVersion": "1"}
        return query

    relay.rewrite = expire_the_second
    spec = {
        "kind": "SignedOut",
        "appId": "a",
        "accountId": "a",
        "installationId": "i",
        "users": ["u"],
        "cause": "e",
    }
    revocation = {
        "apiVersion": REVOCATIONS.api_version,
        "kind": REVOCATIONS.kind,
        "metadata": {"name": "r"},
        "spec": spec,
    }
    timings = ReflectorTimings(watch=1.0, shortest_watch=0.0, first_backoff=0.01, longest_backoff=0.05)
    async with (
        await Kube.connect(KubeSettings(kubeconfig=relay.kubeconfig), user_agent="test") as through,
        running(Reflector(through, REVOCATIONS, namespace=namespace, timings=timings)) as diary,
    ):
        await eventually(lambda: watches >= 3)
        assert [method for method, _ in relay.requests].count("GET") == 2
        await kube.create(REVOCATIONS, revocation, namespace=namespace)
        await eventually(lambda: diary.told == [("added", "r")])


async def test_a_watch_that_falls_silent_is_given_up(
    kube: Kube, namespace: str, relay: Any, eventually: Any
) -> None:
    timings = ReflectorTimings(silence=0.2, first_backoff=0.01, longest_backoff=0.05)
    async with await Kube.connect(KubeSettings(kubeconfig=relay.kubeconfig), user_agent="test") as through:
        reflector = Reflector(through, CONFIG_MAPS, namespace=namespace, labels=LABELS, timings=timings)
        async with running(reflector) as diary:
            relay.stalled = True
            await kube.create(CONFIG_MAPS, config_map("unseen"), namespace=namespace)
            await eventually(lambda: diary.told == [("added", "unseen")])


@pytest.mark.parametrize("seed", range(3))
async def test_after_any_history_the_store_is_what_the_server_holds(
    kube: Kube, namespace: str, relay: Any, eventually: Any, seed: int
) -> None:
    random = Random(seed)
    exists: set[str] = set()
    async with await Kube.connect(KubeSettings(kubeconfig=relay.kubeconfig), user_agent="test") as through:
        reflector = Reflector(through, CONFIG_MAPS, namespace=namespace, labels=LABELS, timings=QUICK)
        async with running(reflector) as diary:
            for step in range(80):
                name = f"m{random.randrange(6)}"
                if random.random() < 0.1:
                    relay.cut()
                if random.random() < 0.05:
                    relay.down = not relay.down
                    relay.cut()
                if name not in exists:
                    await kube.create(CONFIG_MAPS, config_map(name), namespace=namespace)
                    exists.add(name)
                elif random.random() < 0.5:
                    change = {"data": {"step": str(step)}}
                    await kube.merge_patch(CONFIG_MAPS, name, change, namespace=namespace)
                else:
                    await kube.delete(CONFIG_MAPS, name, namespace=namespace)
                    exists.remove(name)
            relay.down = False
            expected = await held(kube, namespace)
            await eventually(lambda: dict(reflector.store) == expected)
            assert diary.store == expected


async def test_a_transformation_decides_what_is_kept(kube: Kube, namespace: str, eventually: Any) -> None:
    def keep(obj: Obj) -> Obj:
        managers = [entry["manager"] for entry in obj["metadata"]["managedFields"]]
        return {"size": len(obj.get("data", {})), "managers": managers}

    reflector = Reflector(kube, CONFIG_MAPS, namespace=namespace, labels=LABELS, transform=keep)
    async with running(reflector) as diary:
        made = config_map("a", x="1", y="2")
        await kube.create(CONFIG_MAPS, made, namespace=namespace, field_manager="m")
        await eventually(lambda: bool(diary.store))
        assert dict(reflector.store) == {(namespace, "a"): {"size": 2, "managers": ["m"]}}


async def test_a_failing_subscriber_disturbs_nobody(kube: Kube, namespace: str, eventually: Any) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("on purpose")

    reflector = Reflector(kube, CONFIG_MAPS, namespace=namespace, labels=LABELS)
    unsubscribe = reflector.subscribe(fail)
    async with running(reflector) as diary:
        await kube.create(CONFIG_MAPS, config_map("a"), namespace=namespace)
        await eventually(lambda: diary.told == [("added", "a")])
        unsubscribe()
        await kube.delete(CONFIG_MAPS, "a", namespace=namespace)
        await eventually(lambda: dict(reflector.store) == {})


async def test_it_waits_for_the_right_to_look(
    kube: Kube, control_plane: ControlPlane, namespace: str, grant: Any, eventually: Any
) -> None:
    await kube.create(SERVICE_ACCOUNTS, {"metadata": {"name": "limited"}}, namespace=namespace)
    path = control_plane.kubeconfig_for("limited", namespace)
    async with await Kube.connect(KubeSettings(kubeconfig=path), user_agent="test") as limited:
        reflector = Reflector(limited, CONFIG_MAPS, namespace=namespace, timings=QUICK)
        async with started(reflector):
            assert not reflector.synced.is_set()
            await grant("limited", may("list", "watch"))
            await eventually(reflector.synced.is_set)
            assert reflector.resource_version


async def test_it_is_complete_once_what_changes_is_shown_too(
    kube: Kube, control_plane: ControlPlane, namespace: str, grant: Any, eventually: Any
) -> None:
    await kube.create(SERVICE_ACCOUNTS, {"metadata": {"name": "lists"}}, namespace=namespace)
    await grant("lists", may("list"))
    path = control_plane.kubeconfig_for("lists", namespace)
    async with await Kube.connect(KubeSettings(kubeconfig=path), user_agent="test") as limited:
        reflector = Reflector(limited, CONFIG_MAPS, namespace=namespace, timings=QUICK)
        async with started(reflector):
            await eventually(lambda: bool(reflector.resource_version))
            listed = reflector.resource_version
            await kube.create(CONFIG_MAPS, config_map("later"), namespace=namespace)
            # It has listed, and again after a watch that was refused: nothing has been missed, but may be.
            await eventually(lambda: reflector.resource_version != listed)
            assert not reflector.synced.is_set()
            rules = {"rules": [may("list", "watch")]}
            await kube.merge_patch(ROLES, "lists", rules, namespace=namespace)
            await eventually(reflector.synced.is_set)
            assert (namespace, "later") in reflector.store


async def test_freshness_is_the_age_of_the_last_sign_of_life(kube: Kube, namespace: str) -> None:
    now = 100.0
    reflector = Reflector(kube, CONFIG_MAPS, namespace=namespace, clock=lambda: now)
    async with running(reflector):
        now = 160.0
        assert reflector.fresh_within(60)
        assert not reflector.fresh_within(59)

"""The key cache: what it remembers, for how long, and how often it asks. The clocks are passed in."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_webhook.keys import (
    FetchedKey,
    GatewayError,
    KeyCache,
    KeyLimits,
    KeyRefusedError,
    KeyUnavailableError,
    TokenBucket,
)

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2026, 1, 5, tzinfo=UTC)
US, EU = "https://api.us.example", "https://api.eu.example"
CA, AU = "https://api.ca.example", "https://api.au.example"


class World:
    """Two gateways (a test may have more), their keys, and a clock that stands until moved."""

    def __init__(self, public_key: str) -> None:
        self.public_key = public_key
        self.gateways = [US, EU]
        self.seconds = 0.0
        self.keys: dict[tuple[str, str], FetchedKey] = {}
        self.down: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.gate: asyncio.Event | None = None
        self.was_asked = asyncio.Event()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def has(self, key_id: str, *, gateway: str = US, life: float | None = None, text: str = "") -> None:
        expires = None if life is None else self.now() + timedelta(seconds=life)
        self.keys[gateway, key_id] = FetchedKey(public_key=text or self.public_key, expires_at=expires)

    async def fetch(self, gateway: str, key_id: str, /) -> FetchedKey | None:
        self.asked.append((gateway, key_id))
        self.was_asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if gateway in self.down:
            raise GatewayError(gateway)
        return self.keys.get((gateway, key_id))

    async def all_were_asked(self) -> bool:
        """Each gateway has answered the look-up that was begun last."""
        return [gateway for gateway, _ in self.asked[-len(self.gateways) :]] == self.gateways


@pytest.fixture
def world(signers: Any) -> World:
    return World(signers["p256"].public("spki"))


@pytest.fixture
def cache_of(world: World) -> Callable[..., KeyCache]:
    def make(**limits: Any) -> KeyCache:
        return KeyCache(
            gateways=world.gateways,
            fetch=world.fetch,
            clock=world.now,
            monotonic=lambda: world.seconds,
            limits=KeyLimits(**limits),
        )

    return make


async def _reason(cache: KeyCache, key_id: str) -> str:
    with pytest.raises((KeyRefusedError, KeyUnavailableError)) as caught:
        await cache.get(key_id)
    kind = "401" if isinstance(caught.value, KeyRefusedError) else "503"
    return f"{kind} {caught.value.reason}"


async def test_a_key_is_fetched_once_until_it_expires(world: World, cache_of: Any) -> None:
    cache = cache_of(refresh=10)
    world.has("k1", life=1000)
    await cache.get("k1")
    world.seconds = 999
    await cache.get("k1")
    assert world.asked == [(US, "k1")]


async def test_an_expired_key_is_asked_for_again_and_then_refused(world: World, cache_of: Any) -> None:
    cache = cache_of()
    world.has("k1", life=1000)
    await cache.get("k1")
    world.seconds = 1000
    assert await _reason(cache, "k1") == "401 expired-key"
    assert await _reason(cache, "k1") == "401 expired-key"
    assert len(world.asked) == 2
    world.has("k1", life=1000)
    world.seconds += 61
    await cache.get("k1")


async def test_a_key_without_an_end_is_asked_for_again_after_the_refresh(world: World, cache_of: Any) -> None:
    cache = cache_of(refresh=100)
    world.has("k1")
    await cache.get("k1")
    world.seconds = 99
    await cache.get("k1")
    assert len(world.asked) == 1
    world.seconds = 100
    del world.keys[US, "k1"]
    assert await _reason(cache, "k1") == "401 unknown-key-id"


async def test_a_known_key_keeps_working_while_talkdesk_is_away(world: World, cache_of: Any) -> None:
    cache = cache_of(refresh=100, unknown=60)
    world.has("k1")
    key = await cache.get("k1")
    world.down = {US, EU}
    world.seconds = 100
    assert await cache.get("k1") is key
    asked = len(world.asked)
    world.seconds = 159
    assert await cache.get("k1") is key
    assert len(world.asked) == asked, "not asked on every request"
    world.seconds = 161
    await cache.get("k1")
    assert len(world.asked) > asked


async def stale_while_gateways_hang(world: World, cache: Any) -> Any:
    """The key that ``cache`` knows and has to renew, while nobody answers before ``world.gate`` is set."""
    world.has("k1")
    key = await cache.get("k1")
    world.gate = asyncio.Event()
    world.seconds = 100
    return key


async def test_a_known_key_keeps_working_while_the_gateways_hang(
    world: World, cache_of: Any, eventually: Any
) -> None:
    world.gateways = [US, EU, CA, AU]
    cache = cache_of(refresh=100, unknown=60, renewal_wait=0.01)
    key = await stale_while_gateways_hang(world, cache)
    async with asyncio.timeout(5):
        assert await asyncio.gather(*(cache.get("k1") for _ in range(3))) == [key] * 3
        world.seconds = 159
        assert await cache.get("k1") is key
    assert world.asked == [(US, "k1")] * 2, "one renewal, which nobody waits for any more"
    world.down = set(world.gateways)
    world.gate.set()
    await eventually(world.all_were_asked)
    assert world.asked[1:] == [(gateway, "k1") for gateway in world.gateways]
    assert await cache.get("k1") is key
    assert len(world.asked) == 1 + 4, "a renewal that failed late is not begun anew on every request"


async def test_a_known_key_that_the_gateways_deny_too_late_to_be_waited_for_is_dropped(
    world: World, cache_of: Any, eventually: Any
) -> None:
    world.gateways = [US, EU, CA, AU]
    cache = cache_of(refresh=100, renewal_wait=0.01)
    key = await stale_while_gateways_hang(world, cache)
    async with asyncio.timeout(5):
        assert await cache.get("k1") is key
    world.keys.clear()
    world.gate.set()
    await eventually(world.all_were_asked)
    assert await _reason(cache, "k1") == "401 unknown-key-id"


async def test_a_known_key_that_comes_anew_too_late_to_be_waited_for_is_used_from_then_on(
    world: World, cache_of: Any, eventually: Any
) -> None:
    cache = cache_of(refresh=100, renewal_wait=0.01)
    key = await stale_while_gateways_hang(world, cache)
    async with asyncio.timeout(5):
        assert await cache.get("k1") is key
    world.gate.set()

    async def renewed() -> bool:
        return await cache.get("k1") is not key

    await eventually(renewed)
    world.seconds = 199
    await cache.get("k1")
    assert world.asked == [(US, "k1")] * 2


async def test_the_gateways_are_tried_in_turn_and_the_one_with_the_key_first_next_time(
    world: World, cache_of: Any
) -> None:
    cache = cache_of()
    world.has("k1", gateway=EU)
    world.has("k2", gateway=EU)
    await cache.get("k1")
    await cache.get("k2")
    assert world.asked == [(US, "k1"), (EU, "k1"), (EU, "k2")]


async def test_a_key_of_the_second_gateway_is_found_while_the_first_is_down(
    world: World, cache_of: Any
) -> None:
    world.has("k1", gateway=EU)
    world.down = {US}
    await cache_of().get("k1")


async def test_an_id_that_all_gateways_deny_is_refused_and_remembered_for_a_while(
    world: World, cache_of: Any
) -> None:
    cache = cache_of(unknown=60)
    assert await _reason(cache, "k1") == "401 unknown-key-id"
    assert await _reason(cache, "k1") == "401 unknown-key-id"
    assert world.asked == [(US, "k1"), (EU, "k1")]
    world.has("k1")
    world.seconds = 60
    await cache.get("k1")


async def test_an_id_that_one_gateway_could_not_be_asked_for_is_not_refused(
    world: World, cache_of: Any
) -> None:
    cache = cache_of()
    world.down = {EU}
    assert await _reason(cache, "k1") == "503 key-unreachable"
    world.down = set()
    world.has("k1", gateway=EU)
    await cache.get("k1")


async def test_an_unreadable_key_is_our_trouble_and_not_asked_for_on_every_request(
    world: World, cache_of: Any
) -> None:
    cache = cache_of()
    world.has("k1", text="AAAA")
    assert await _reason(cache, "k1") == "503 unreadable-key"
    assert await _reason(cache, "k1") == "503 unreadable-key"
    assert len(world.asked) == 1


async def test_one_look_up_runs_per_id_and_a_caller_who_leaves_does_not_end_it(
    world: World, cache_of: Any
) -> None:
    cache = cache_of()
    world.has("k1")
    world.gate = asyncio.Event()
    first, *others = [asyncio.create_task(cache.get("k1")) for _ in range(5)]
    await world.was_asked.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    world.gate.set()
    keys = await asyncio.gather(*others)
    assert len({id(key) for key in keys}) == 1
    assert world.asked == [(US, "k1")]


async def test_random_ids_exhaust_the_bucket_and_talkdesk_is_left_alone(world: World, cache_of: Any) -> None:
    cache = cache_of(burst=5, per_second=1, refresh=10)
    world.has("good")
    await cache.get("good")
    world.asked.clear()
    reasons = [await _reason(cache, f"random-{number}") for number in range(50)]
    assert reasons == ["401 unknown-key-id"] * 4 + ["503 too-many-key-look-ups"] * 46
    assert len(world.asked) == 4 * 2
    await cache.get("good")
    world.seconds = 10
    world.asked.clear()
    await cache.get("good")
    assert world.asked == [(US, "good")], "renewals are not at strangers' mercy"
    assert await _reason(cache, "random-again") == "401 unknown-key-id"


async def test_a_key_is_learned_although_a_stranger_makes_up_ids_all_the_time(
    world: World, cache_of: Any
) -> None:
    cache = cache_of()
    world.has("good")
    for number in range(40 * 30):
        world.seconds += 1 / 40
        await _reason(cache, f"random-{number}")
    await cache.get("good")


async def test_what_strangers_make_talkdesk_hear_is_bounded_by_default(world: World, cache_of: Any) -> None:
    cache = cache_of()
    for number in range(1000):
        await _reason(cache, f"random-{number}")
    assert len(world.asked) == 200 * 2
    world.seconds += 1
    world.asked.clear()
    for number in range(1000, 2000):
        await _reason(cache, f"random-{number}")
    assert len(world.asked) == 50 * 2


async def test_slow_look_ups_of_strangers_are_few_at_once_and_leave_renewals_alone(
    world: World, cache_of: Any, eventually: Any
) -> None:
    cache = cache_of(at_once=3, refresh=10)
    world.has("good")
    await cache.get("good")
    world.seconds = 10
    world.gate = asyncio.Event()
    waiting = [asyncio.create_task(_reason(cache, f"random-{number}")) for number in range(3)]
    renewal = asyncio.create_task(cache.get("good"))

    async def all_under_way() -> bool:
        return len(world.asked) == 5

    await eventually(all_under_way)
    assert await _reason(cache, "random-3") == "503 too-many-key-look-ups"
    world.gate.set()
    assert await asyncio.gather(*waiting) == ["401 unknown-key-id"] * 3
    await renewal
    assert await _reason(cache, "random-3") == "401 unknown-key-id"


async def test_a_renewal_does_not_wait_for_the_bucket_of_strangers(world: World, cache_of: Any) -> None:
    cache = cache_of(burst=2, per_second=0.0, refresh=10)
    world.has("good")
    await cache.get("good")
    await _reason(cache, "random-1")
    assert await _reason(cache, "random-2") == "503 too-many-key-look-ups"
    world.seconds = 10
    world.asked.clear()
    await cache.get("good")
    assert world.asked == [(US, "good")]


async def test_what_is_remembered_is_bounded(world: World, cache_of: Any) -> None:
    cache = cache_of(burst=10_000, unknown_ids=10, known_ids=3)
    for number in range(50):
        await _reason(cache, f"random-{number}")
        world.has(f"known-{number}")
        await cache.get(f"known-{number}")
    world.asked.clear()
    await _reason(cache, "random-49")
    await cache.get("known-49")
    assert world.asked == []
    await _reason(cache, "random-0")
    await cache.get("known-0")
    assert len(world.asked) == 3


@pytest.mark.parametrize(
    "key_id", ["", ".", "..", "../apps", "a/b", "a b", "a%2e", "ä", "a\n", "-a", "k" * 129, "a?b", "a#b"]
)
async def test_a_malformed_id_is_refused_without_asking(world: World, cache_of: Any, key_id: str) -> None:
    assert await _reason(cache_of(), key_id) == "401 malformed-key-id"
    assert world.asked == []


def test_the_bucket_fills_up_again_but_never_above_its_size() -> None:
    bucket = TokenBucket(burst=2, per_second=0.5)
    assert [bucket.take(0.0) for _ in range(3)] == [True, True, False]
    assert [bucket.take(2.0), bucket.take(2.0)] == [True, False]
    assert [bucket.take(1000.0) for _ in range(3)] == [True, True, False]

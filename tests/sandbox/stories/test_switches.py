"""The story passes with each undocumented behaviour of Talkdesk either way, and the ledger differs.

Where the story comes to no moment in which a switch acts (repeated answers, contrary answers, error shapes),
it passes all the same; that the switch acts is shown by raw requests in ``tests/talkdesk``. Half of
the switches and of the settings have their turn with each commit; ``make stories-all`` has all.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_origin

import pytest
import pytest_asyncio

from talkdesk_sandbox.talkdesk.switches import Switches
from turns import in_turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Hashable

    from talkdesk_sandbox.release import Release

    Entry = dict[str, Any]
    Shown = Callable[[list[Entry]], set[Hashable]]
    Setting = tuple[dict[str, Any], dict[str, str], tuple[Shown, ...]]

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.sandbox]


def _events(entries: list[Entry], kind: str = "") -> list[Entry]:
    """The bodies delivered."""
    return [e["detail"]["body"] for e in entries if e["kind"] == "delivery" and kind in e["event_type"]]


def signature(field: str) -> Shown:
    """What the deliveries' signatures were like."""
    return lambda entries: {e["detail"]["signature"][field] for e in entries if e["kind"] == "delivery"}


def body_keys(entries: list[Entry]) -> set[Hashable]:
    """Which keys the envelopes had."""
    return {key for body in _events(entries) for key in body}


def public_keys(entries: list[Entry]) -> set[Hashable]:
    """Whether the keys of new credentials are in several lines."""
    return {"\n" in body["data"]["public_key"] for body in _events(entries, "app.installed")}


def gateways(entries: list[Entry]) -> set[Hashable]:
    """What the gateways said that were asked for a signing key."""
    return {e["status"] for e in entries if e["kind"] == "key"}


def token_forms(entries: list[Entry]) -> set[Hashable]:
    """What access tokens were like."""
    return {e["detail"]["token_form"] for e in entries if "token_form" in e["detail"]}


def user_keys(entries: list[Entry]) -> set[Hashable]:
    """The keys of what userinfo said."""
    mine = [e for e in entries if (e["url"] or "").endswith("/users/me") and e["status"] == 200]
    answers = [e["detail"]["answer"] for e in mine]
    return {key for answer in answers for key in answer}


def times(entries: list[Entry]) -> set[Hashable]:
    """How ``created_at`` was written."""
    return {re.sub(r"[0-9]", "0", body["created_at"]) for body in _events(entries)}


def install_links(entries: list[Entry]) -> set[Hashable]:
    """The names of the links of an install."""
    return {name for body in _events(entries, "app.installed") for name in body["_links"]}


def self_links(entries: list[Entry]) -> set[Hashable]:
    """Whether the link to the event ends in the event's own id."""
    return {body["_links"]["self"]["href"].endswith(body["id"]) for body in _events(entries)}


def update_keys(entries: list[Entry]) -> set[Hashable]:
    """The keys of an update's data."""
    return {key for body in _events(entries, "app.updated") for key in body["data"]}


def algorithms(entries: list[Entry]) -> set[Hashable]:
    """The key algorithm of new credentials."""
    return {body["data"]["key_algorithm"] for body in _events(entries, "app.installed")}


def expiries(entries: list[Entry]) -> set[Hashable]:
    """Whether a signing key showed its end."""
    answers = [e["detail"]["answer"] for e in entries if e["kind"] == "key" and e["status"] == 200]
    return {"expires_at" in answer for answer in answers}


def first_list_of_update(entries: list[Entry]) -> set[Hashable]:
    """The users in the first list that was read after an update was sent."""
    sent = next(e["seq"] for e in entries if e.get("event_type") == "app.updated")
    for entry in entries:
        if (
            entry["seq"] > sent
            and (entry["url"] or "").partition("?")[0].endswith("/users")
            and entry["status"] == 200
        ):
            return {user["name"] for user in entry["detail"]["answer"]["_embedded"]["users"]}
    return set()


def last_states(entries: list[Entry]) -> set[Hashable]:
    """What installations became."""
    return {e["detail"]["to"] for e in entries if e["kind"] == "transition"}


def statuses(ending: str) -> Shown:
    """The status codes of requests whose path ends so."""
    return lambda entries: {
        e["status"] for e in entries if e.get("url") and e["url"].partition("?")[0].endswith(ending)
    }


def first_tokens(entries: list[Entry]) -> set[Hashable]:
    """The status codes of each installation's first request for a token."""
    first: dict[str, int] = {}
    for entry in entries:
        if entry["kind"] == "token":
            first.setdefault(entry["detail"].get("client_id", ""), entry["status"])
    return set(first.values())


def lives(entries: list[Entry]) -> set[Hashable]:
    """How long tokens live."""
    tokens = [e["detail"].get("answer") or {} for e in entries if e["kind"] == "token"]
    return {answer.get("expires_in") for answer in tokens}


def pages(entries: list[Entry]) -> set[Hashable]:
    """Which pages of users were read."""
    return {e["url"].partition("?")[2] for e in entries if "/users" in (e.get("url") or "")}


def authentications(entries: list[Entry]) -> set[Hashable]:
    """How the client showed who it is."""
    return {e["detail"].get("authentication") for e in entries if e["kind"] == "token" and e["status"] == 200}


def answered_states(entries: list[Entry]) -> set[Hashable]:
    """The ``state`` in the replies to an answer."""
    return {
        e["detail"]["answer"]["state"]
        for e in entries
        if e["method"] == "POST" and (e.get("url") or "").endswith("/state") and e["status"] == 200
    }


#: By story: switch, its other value, and what of the ledger must differ by it; None where the story comes to
#: no moment of it. Those that share a story act in different places.
STORIES: dict[str, list[tuple[str, Any, Shown | None]]] = {
    "signatures, answers and lists": [
        ("signature_encoding", "raw", signature("encoding")),
        ("signature_curve", "p384", signature("curve")),
        ("key_encoding", "point", signature("key_form")),
        ("key_expiry", "absent", expiries),
        ("key_gateways", "own", gateways),
        ("retry_second", "after-first", None),
        ("rejected_install", "revoked", None),
        ("rejected_uninstall", "restored", None),
        ("unanswered_uninstall", "timeout", None),
        ("event_id_field", "event_id", body_keys),
        ("no_trial", "empty", statuses("/trial")),
        ("state_answer", "answer", answered_states),
        ("after_uninstall", "revoked", last_states),
        ("after_trial", "completed", None),
        ("upgrade_ends_trial", "at-update", None),
        ("installation_errors", "common", None),
        ("update_shows", "old", first_list_of_update),
        ("scope_delay_seconds", 1.0, first_tokens),
    ],
    "events, tokens and users": [
        ("event_time", "offset", times),
        ("self_link", "other", self_links),
        ("token_link", "absent", install_links),
        ("unchanged_keys", "empty", update_keys),
        ("key_algorithm", "PS256", algorithms),
        ("licenses", "int", None),
        ("repeated_answer", 409, None),
        ("contrary_answer", 422, None),
        ("overlap", "replace", None),
        ("event_id_field", "both", body_keys),
        ("credential_key", "wrapped", public_keys),
        ("token_form", "opaque", token_forms),
        ("userinfo_id", "sub", user_keys),
        ("revoked_tokens", "until-expiry", None),
        ("logout_events", "off", None),
        ("rotate_answer", 200, None),
        ("ack_state", "object", None),
        ("basic", "refused", None),
        ("token_seconds", 5, lives),
    ],
}

#: What the client cannot find out: switches, their settings, and what of the ledger must differ.
SETTINGS: dict[str, Setting] = {
    "audience, page size and signature hash": (
        {"audience": "host", "page_size": 1, "signature_hash": "sha256"},
        {
            "TALKDESK_CLIENT_ASSERTION_AUDIENCE": "origin",
            "TALKDESK_CLIENT_PAGE_SIZE": "0",
            "TALKDESK_SIGNATURE_HASH": "sha256",
        },
        (pages, signature("hash")),
    ),
    "basic": ({}, {"TALKDESK_CLIENT_AUTH_METHOD": "client_secret_basic"}, (authentications,)),
}


STORIES_IN_TURN = in_turn(STORIES, parts=2)
SETTINGS_IN_TURN = in_turn(SETTINGS, parts=2)


@pytest.mark.parametrize("switches", STORIES_IN_TURN.values(), ids=STORIES_IN_TURN)
async def test_the_story_passes_with_switches_either_way_and_the_ledger_differs_by_each(
    sandbox: Any, undisturbed: Any, play_undisturbed: Any, switches: list[tuple[str, Any, Shown]]
) -> None:
    stand_in = sandbox.environment.stand_in
    before = await asyncio.to_thread(stand_in.get, "/control/switches")
    changed = {name: other for name, other, _ in switches}
    assert not [name for name in changed if before[name] == changed[name]]
    await asyncio.to_thread(stand_in.patch, "/control/switches", changed)
    try:
        ledger = (await play_undisturbed(sandbox)).ledger
    finally:
        await asyncio.to_thread(stand_in.patch, "/control/switches", {name: before[name] for name in changed})
    for name, _, shown in switches:
        if shown is not None:
            assert shown(ledger), name
            assert shown(ledger) != shown(undisturbed.ledger), name


async def test_every_switch_between_words_is_in_a_story() -> None:
    told = {name for story in STORIES.values() for name, *_ in story}
    told |= {name for switches, _, _ in SETTINGS.values() for name in switches}
    words = {name for name, one in Switches.model_fields.items() if get_origin(one.annotation) is Literal}
    assert words - told == set()


@dataclass
class Told:
    """The release, told otherwise by one test after another: whoever answers at the end of each knows it."""

    release: Release
    before: dict[str, Any]

    async def tell(self, setting: dict[str, str]) -> None:
        """From now on this holds, and nothing that was told before."""
        self.release.values = self.before
        await asyncio.to_thread(self.release.install, {"env": setting})


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def told(sandbox: Any) -> AsyncIterator[Told]:
    """It is told nothing in the end."""
    release = sandbox.environment.release
    telling = Told(release, release.values)
    yield telling
    await telling.tell({})


@pytest.mark.parametrize("case", SETTINGS_IN_TURN.values(), ids=SETTINGS_IN_TURN)
async def test_what_the_client_must_be_told_is_a_setting(
    sandbox: Any, undisturbed: Any, play_undisturbed: Any, told: Told, case: Setting
) -> None:
    switch, setting, shown = case
    stand_in = sandbox.environment.stand_in
    before = await asyncio.to_thread(stand_in.get, "/control/switches")
    await asyncio.to_thread(stand_in.patch, "/control/switches", switch)
    try:
        await told.tell(setting)
        assert await asyncio.to_thread(told.release.leaving) == [], "nobody is left who does not know it"
        ledger = (await play_undisturbed(sandbox)).ledger
    finally:
        await asyncio.to_thread(stand_in.patch, "/control/switches", {name: before[name] for name in switch})
    for each in shown:
        assert each(ledger) != each(undisturbed.ledger)

"""The fold converges: any order, duplication and interleaving of the same events gives the same spec."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from talkdesk_webhook import life
from talkdesk_webhook.event import CredentialSet, Event, SubscriptionNews, TrialNews, link_order, parse
from talkdesk_webhook.fold import ForeignEventError, fold
from talkdesk_webhook.merge import merge_diff
from talkdesk_webhook.secret import secret_name

if TYPE_CHECKING:
    from talkdesk_crds.installation import TalkdeskInstallationSpec

NEWS_TYPES = sorted(life.KNOWN_TYPES - {life.USER_LOGOUT})
STATES: dict[str, Literal["started", "extended", "ended"]] = {
    life.TRIAL_STARTED: "started",
    life.TRIAL_EXTENDED: "extended",
    life.TRIAL_ENDED: "ended",
}

_TIMES = [None, *(f"2026-01-05T10:00:{second:02}.000000Z" for second in range(4))]
_LINK_NAMES = ["root", "self", "tokens", *(f"link-{number:02}" for number in range(40))]


_SUBSCRIPTIONS = [
    None,
    None,
    SubscriptionNews(name="Gold", licenses=10),
    SubscriptionNews(name="Gold", licenses=None),
    SubscriptionNews(name="Free", licenses=0),
]
_TYPES = [*sorted(life.KNOWN_TYPES), "app.invented"]


def _event(number: int, event_type: str, at: str | None, random: Random) -> Event:
    """An event with an id of its own, that speaks of some things and not of others."""

    def few() -> str | None:
        return random.choice(["x", "y", None])

    credentials = trial = None
    if random.random() < 0.5:
        credentials = CredentialSet(
            client_id=few(),
            client_secret=None,
            private_key=SecretStr(random.choice(["k1", "k2"])),
            public_key=None,
            key_id=None,
            key_algorithm=None,
        )
    if event_type in STATES:
        trial = TrialNews(
            state=STATES[event_type],
            expires_at=random.choice(_TIMES),
            ended_at=random.choice(_TIMES),
            ended_reason=few(),
            ended_by=few(),
        )
    return Event(
        id=f"e{number:03}",
        type=event_type,
        at=at,
        app_id="a1",
        account_id="d4",
        installation_id="c3",
        account_name=few(),
        version_id=few(),
        version_name=few(),
        links={
            name: random.choice(["h1", "h2"]) for name in random.sample(_LINK_NAMES, random.randint(0, 8))
        },
        credentials=credentials,
        trial=trial,
        subscription=random.choice(_SUBSCRIPTIONS),
        uninstall_reason=few() if event_type == life.UNINSTALLED else None,
        signed_out=("u1",) if event_type == life.USER_LOGOUT else (),
    )


@st.composite
def _histories(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """A set of events, many of the same time or of none; and a delivery, in any order, with repeats."""
    drawn = draw(
        st.lists(st.tuples(st.sampled_from(_TYPES), st.sampled_from(_TIMES)), min_size=1, max_size=35)
    )
    # One number decides the rest: drawn piece by piece it would take a hundred times as long.
    random = Random(draw(st.integers(0, 2**32)))
    events = [_event(number, kind, at, random) for number, (kind, at) in enumerate(drawn)]
    delivery = events + random.choices(events, k=random.randint(0, len(events)))
    random.shuffle(delivery)
    return events, delivery


def _fold_all(delivery: list[Event]) -> TalkdeskInstallationSpec | None:
    spec: TalkdeskInstallationSpec | None = None
    for event in delivery:
        spec = fold(spec, event)
    return spec


RANKS = {"app.installed": 10, "app.updated": 20, "app.trial_started": 30, "app.trial_extended": 40,
         "app.credentials_rotated": 50, "app.trial_ended": 60, "app.uninstalled": 90}  # fmt: skip


def _oracle(events: list[Event]) -> dict[str, Any] | None:
    """Naively: sort the events, then let each overwrite what it speaks of. Nothing of the fold's is used."""
    told = [event for event in events if event.type != "user.logout"]
    told.sort(key=lambda e: (e.at or "", RANKS.get(e.type, 80), e.id))
    if not told:
        return None
    talkdesk: dict[str, Any] = {"links": {}, "recent": []}
    for event in told:
        stamp = {"at": event.at, "rank": RANKS.get(event.type, 80), "event": event.id}
        talkdesk |= {name: stamp | said for name, said in _said(event).items()}
        talkdesk["links"] |= {name: stamp | {"href": href} for name, href in event.links.items()}
        talkdesk["recent"] = [stamp | {"type": event.type}, *talkdesk["recent"]][:20]
    talkdesk["links"] = {n: talkdesk["links"][n] for n in sorted(talkdesk["links"], key=link_order)[:32]}
    spec = {
        "appId": "a1",
        "accountId": "d4",
        "installationId": "c3",
        "suspend": False,
        "approval": "Automatic",
        "talkdesk": talkdesk,
    }
    found = _without_none(spec)
    assert isinstance(found, dict)
    return found


def _said(event: Event) -> dict[str, dict[str, Any]]:
    said: dict[str, dict[str, Any]] = {}
    if event.type in {"app.installed", "app.updated"}:
        said[event.type.removeprefix("app.")] = {}
    if event.type == "app.uninstalled":
        said["uninstalled"] = {"reason": event.uninstall_reason}
    if event.credentials is not None and event.credentials.client_id is not None:
        said["credentials"] = {"secret": secret_name("c3", event.credentials)}
    if event.trial is not None:
        said["trial"] = {
            "state": event.trial.state,
            "expiresAt": event.trial.expires_at,
            "endedAt": event.trial.ended_at,
            "endedReason": event.trial.ended_reason,
            "endedBy": event.trial.ended_by,
        }
    if event.subscription is not None:
        said["subscription"] = {"name": event.subscription.name, "licenses": event.subscription.licenses}
    if event.version_id is not None:
        said["appVersion"] = {"id": event.version_id, "name": event.version_name}
    if event.account_name is not None:
        said["accountName"] = {"name": event.account_name}
    return said


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_none(inner) for name, inner in value.items() if inner is not None}
    return [_without_none(inner) for inner in value] if isinstance(value, list) else value


@settings(max_examples=3 * settings.default.max_examples)
@given(_histories())
def test_any_order_and_duplication_gives_what_the_sorted_history_gives(
    history: tuple[list[Event], list[Event]],
) -> None:
    events, delivery = history
    spec = _fold_all(delivery)
    assert (None if spec is None else spec.to_json()) == _oracle(events)


@pytest.mark.parametrize("seed", range(10))
def test_long_histories_converge_too(seed: int) -> None:
    random = Random(seed)
    events = [_event(n, random.choice(_TYPES), random.choice(_TIMES), random) for n in range(60)]
    delivery = random.sample(events, k=60) + random.choices(events, k=30)
    spec = _fold_all(delivery)
    assert spec is not None
    assert spec.to_json() == _oracle(events)
    assert (len(spec.talkdesk.recent), len(spec.talkdesk.links)) == (20, 32)


@given(_histories(), st.randoms(use_true_random=False))
def test_two_contents_under_one_event_id_still_converge(
    history: tuple[list[Event], list[Event]], random: Any
) -> None:
    events, delivery = history
    clashing = [replace(event, id=f"e{number % 3}") for number, event in enumerate(events)]
    by_old = {event.id: new for event, new in zip(events, clashing, strict=True)}
    first = [by_old[event.id] for event in delivery]
    second = list(clashing)
    random.shuffle(second)
    assert _fold_all(first) == _fold_all(second)


@given(_histories())
def test_folding_what_was_folded_changes_nothing(history: tuple[list[Event], list[Event]]) -> None:
    events, delivery = history
    spec = _fold_all(delivery)
    for event in events:
        assert fold(spec, event) == spec


@given(_histories())
def test_the_patches_lead_where_the_fold_leads(history: tuple[list[Event], list[Event]]) -> None:
    stored: dict[str, Any] = {}
    spec: TalkdeskInstallationSpec | None = None
    for event in history[1]:
        after = fold(spec, event)
        before = {} if spec is None else spec.talkdesk.to_json()
        if after is not None:
            stored = _merge(stored, merge_diff(before, after.talkdesk.to_json()))
            assert stored == after.talkdesk.to_json()
        spec = after


def _merge(target: Any, patch: Any) -> Any:
    """RFC 7386's own pseudo code."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merge(result.get(name), value)
    return result


@pytest.mark.parametrize("event_type", [*NEWS_TYPES, "app.invented"])
@pytest.mark.parametrize("when", ["first", "later"])
def test_each_event_type_that_carries_news_changes_the_spec(
    make_event: Any, credentials: Any, event_type: str, when: str
) -> None:
    spec = None
    if when == "later":
        for known in NEWS_TYPES:
            spec = fold(spec, _parsed(make_event(known)))
    fields = credentials if event_type in {life.INSTALLED, life.CREDENTIALS_ROTATED} else {}
    after = fold(spec, _parsed(make_event(event_type, **fields)))
    assert after is not None
    assert after != spec
    assert after.talkdesk.recent[0].type == event_type
    register = {
        life.INSTALLED: "installed", life.UPDATED: "updated", life.UNINSTALLED: "uninstalled",
        life.TRIAL_STARTED: "trial", life.TRIAL_EXTENDED: "trial", life.TRIAL_ENDED: "trial",
        life.CREDENTIALS_ROTATED: "credentials",
    }.get(event_type)  # fmt: skip
    if register is not None:
        assert getattr(after.talkdesk, register).event == after.talkdesk.recent[0].event


def test_the_plan_of_the_newest_update_that_names_one_is_kept(make_event: Any) -> None:
    gold, silent = (
        _parsed(make_event("app.updated", subscription={"adding": {"name": "Gold", "licenses": "10"}})),
        _parsed(make_event("app.updated", users={"adding": ["u1"]})),
    )
    for order in ([gold, silent], [silent, gold]):
        spec = _fold_all(order)
        assert spec is not None
        assert spec.talkdesk.subscription is not None
        assert spec.talkdesk.updated is not None
        assert spec.talkdesk.subscription.to_json() == {
            "at": gold.at,
            "rank": 20,
            "event": gold.id,
            "name": "Gold",
            "licenses": 10,
        }
        assert spec.talkdesk.updated.event == silent.id


def test_a_logout_changes_no_installation_and_makes_none(make_event: Any) -> None:
    spec = fold(None, _parsed(make_event("app.installed")))
    logout = _parsed(make_event("user.logout", user_id="u1"))
    assert fold(spec, logout) == spec
    assert fold(None, logout) is None


def test_an_update_before_its_install_is_kept(make_event: Any, credentials: Any) -> None:
    installed = _parsed(make_event("app.installed", **credentials))
    updated = _parsed(make_event("app.updated"))
    spec = fold(fold(None, updated), installed)
    assert spec is not None
    assert spec.talkdesk.installed is not None
    assert spec.talkdesk.updated is not None
    assert spec.talkdesk.credentials is not None


def test_a_late_install_does_not_undo_an_uninstall_and_a_reinstall_does(make_event: Any) -> None:
    installed, uninstalled, reinstalled = [
        _parsed(make_event(kind)) for kind in ("app.installed", "app.uninstalled", "app.installed")
    ]
    spec = fold(fold(None, uninstalled), installed)
    assert spec is not None
    assert spec.talkdesk.is_uninstalled
    spec = fold(spec, reinstalled)
    assert spec is not None
    assert not spec.talkdesk.is_uninstalled


def test_at_the_same_moment_the_later_stage_of_life_wins(make_event: Any) -> None:
    moment = {"created_at": "2026-01-05T10:00:00Z"}
    installed, uninstalled = [
        _parsed(make_event(kind, envelope=moment)) for kind in ("app.installed", "app.uninstalled")
    ]
    for order in ([installed, uninstalled], [uninstalled, installed]):
        spec = _fold_all(order)
        assert spec is not None
        assert spec.talkdesk.is_uninstalled


def test_what_lacks_a_time_never_overwrites_what_has_one(make_event: Any) -> None:
    timed = _parsed(make_event("app.trial_started", expires_at="2026-02-05T00:00:00Z"))
    timeless = _parsed(make_event("app.trial_ended", envelope={"created_at": None}))
    for order in ([timed, timeless], [timeless, timed]):
        spec = _fold_all(order)
        assert spec is not None
        assert spec.talkdesk.trial is not None
        assert spec.talkdesk.trial.state == "started"


@pytest.mark.parametrize("field", ["app_id", "account_id", "installation_id"])
def test_an_event_of_a_foreign_installation_is_refused(make_event: Any, field: str) -> None:
    spec = fold(None, _parsed(make_event("app.installed")))
    for event_type in ("app.updated", "user.logout"):
        foreign = replace(_parsed(make_event(event_type)), **{field: "other"})
        with pytest.raises(ForeignEventError) as caught:
            fold(spec, foreign)
        assert caught.value.field == field


def test_the_operators_and_peoples_fields_survive_a_fold(make_event: Any) -> None:
    spec = fold(None, _parsed(make_event("app.installed")))
    assert spec is not None
    after = fold(
        spec.model_copy(update={"region": "eu", "suspend": True}), _parsed(make_event("app.updated"))
    )
    assert after is not None
    assert (after.region, after.suspend) == ("eu", True)


def _parsed(body: dict[str, Any]) -> Event:
    found = parse(json.dumps(body).encode())
    assert isinstance(found, Event)
    return found

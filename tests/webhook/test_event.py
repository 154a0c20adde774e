"""From verified bytes to an Event: the documented shapes, the strange ones, and nonsense."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkdesk_crds.revocation import USERS_PER_PART
from talkdesk_webhook import event as module
from talkdesk_webhook.event import Event, NotAnEvent, parse
from talkdesk_webhook.fold import fold
from talkdesk_webhook.revocations import revocations
from talkdesk_webhook.secret import credentials_secret


def _parsed(body: dict[str, Any]) -> Event:
    found = parse(json.dumps(body).encode())
    assert isinstance(found, Event), found
    return found


def test_an_installed_event_is_read_in_full(make_event: Any, credentials: Any) -> None:
    links = {
        "authorization": {"href": "https://acme.talkdeskid.eu/oauth/authorize"},
        "tokens": {"href": "https://acme.talkdeskid.eu/oauth/token"},
    }
    found = _parsed(make_event("app.installed", links=links, **credentials))
    assert (found.app_id, found.account_id, found.installation_id) == ("a1", "d4", "c3")
    assert (found.type, found.rank, found.account_name) == ("app.installed", 10, "acme")
    assert (found.version_id, found.version_name) == ("b2", "1.4.0")
    assert found.links["tokens"] == "https://acme.talkdeskid.eu/oauth/token"
    assert found.credentials is not None
    assert found.credentials.usable
    assert found.credentials.private_key is not None
    assert found.credentials.private_key.get_secret_value() == credentials["private_key"]
    assert found.oddities == frozenset()


def test_no_secret_stands_in_the_text_of_an_event(make_event: Any, credentials: Any) -> None:
    found = _parsed(make_event("app.installed", **credentials))
    for secret in ("client_secret", "private_key"):
        assert credentials[secret] not in repr(found)
        assert credentials[secret] not in str(found.credentials)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2016-06-14T16:23:07Z", "2016-06-14T16:23:07.000000Z"),
        ("2017-08-18T10:29:52.000+00:00", "2017-08-18T10:29:52.000000Z"),
        ("2017-08-18T12:29:52.123456+02:00", "2017-08-18T10:29:52.123456Z"),
        (" 2016-06-14T16:23:07Z ", "2016-06-14T16:23:07.000000Z"),
    ],
)
def test_both_shapes_of_created_at_are_read(make_event: Any, written: str, meant: str) -> None:
    found = _parsed(make_event("app.updated", envelope={"created_at": written}))
    assert found.at == meant
    assert found.oddities == frozenset()


def test_a_time_without_a_zone_is_utc_and_named(make_event: Any) -> None:
    found = _parsed(make_event("app.updated", envelope={"created_at": "2016-06-14T16:23:07"}))
    assert found.at == "2016-06-14T16:23:07.000000Z"
    assert found.oddities == {module.NO_ZONE}


@pytest.mark.parametrize(
    "written",
    [None, "", "yesterday", 1465921387, "0001-01-01T00:00:00+23:00",
     "9999-12-31T23:59:59-23:00", "2016-02-30T00:00:00Z", {}, "\ud800"],
)  # fmt: skip
def test_an_unreadable_time_is_a_missing_one_and_named(make_event: Any, written: Any) -> None:
    found = _parsed(make_event("app.updated", envelope={"created_at": written}))
    assert found.at is None
    assert module.NO_TIME in found.oddities


def test_the_id_is_id_else_event_id_else_hangs_on_the_bytes(make_event: Any) -> None:
    body = make_event("app.updated", envelope={"event_id": "second"})
    assert _parsed(body).id == body["id"]
    del body["id"]
    assert _parsed(body).id == "second"
    del body["event_id"]
    first, again = _parsed(body), _parsed(body)
    assert first.id == again.id
    assert first.oddities == {module.NO_EVENT_ID}
    body["data"]["account_name"] = "other"
    assert _parsed(body).id != first.id


def test_ids_too_long_for_the_kinds_are_hashed_not_cut(make_event: Any) -> None:
    one = _parsed(make_event("app.updated", envelope={"id": "x" * 500 + "1"}))
    other = _parsed(make_event("app.updated", envelope={"id": "x" * 500 + "2"}))
    assert one.id != other.id
    assert len(one.id) <= 128


def test_ids_may_be_numbers_and_may_stand_outside_of_data() -> None:
    found = _parsed({"type": "app.updated", "id": 7, "app_id": 1, "account_id": 2, "installation_id": 3})
    assert (found.id, found.app_id, found.account_id, found.installation_id) == ("7", "1", "2", "3")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"app_id": None}, "no-app-id"),
        ({"app_id": "a b"}, "no-app-id"),
        ({"app_id": True}, "no-app-id"),
        ({"data": None}, "no-account-id"),
        ({"data": []}, "no-account-id"),
        ({"data": {"account_id": "d4"}}, "no-installation-id"),
        ({"data": {"account_id": "d4", "installation_id": "x" * 129}}, "no-installation-id"),
    ],
)
def test_without_usable_ids_it_is_no_event_and_says_why(make_event: Any, change: Any, reason: str) -> None:
    body = make_event("app.updated", envelope=change)
    found = parse(json.dumps(body).encode())
    assert found == NotAnEvent(reason=reason, id=body["id"], type="app.updated")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [(b"", "not-json"), (b"hello", "not-json"), (b"[]", "not-an-object"), (b'"app_id"', "not-an-object")],
)
def test_what_is_no_json_object_is_no_event(raw: bytes, reason: str) -> None:
    assert parse(raw) == NotAnEvent(reason=reason)


def test_an_update_names_who_is_removed_whatever_the_licences_look_like(make_event: Any) -> None:
    users = {"adding": ["u1"], "removing": ["u3", "u2", "u3", {"id": "u4"}, 5]}
    plan = {"adding": {"name": "Pro", "licenses": "10"}, "removing": {"licenses": 3}}
    found = _parsed(make_event("app.updated", users=users, subscription=plan))
    assert found.removed == ("5", "u2", "u3", "u4")
    assert found.signed_out == ()
    assert found.oddities == frozenset()


@pytest.mark.parametrize("users", ["a string", [], None, 7, {"removing": None}, {"adding": ["u1"]}])
def test_users_in_another_shape_remove_nobody(make_event: Any, users: Any) -> None:
    assert _parsed(make_event("app.updated", users=users)).removed == ()


def test_unusable_user_ids_are_left_out_and_named(make_event: Any) -> None:
    found = _parsed(make_event("app.updated", users={"removing": ["u1", "a b", None, "x" * 200, ["u2"]]}))
    assert found.removed == ("u1",)
    assert found.oddities == {module.BAD_USER}


def test_a_logout_signs_one_user_out(make_event: Any) -> None:
    found = _parsed(make_event("user.logout", user_id="u1", user_email="u1@example.com"))
    assert found.signed_out == ("u1",)
    assert found.removed == ()


def test_trial_events_carry_their_times(make_event: Any) -> None:
    ended = _parsed(
        make_event(
            "app.trial_ended",
            expires_at="2026-02-05T00:00:00Z",
            ended_at="2026-02-01T00:00:00.000+00:00",
            ended_reason="plan_upgraded",
            ended_by="user",
        )
    ).trial
    assert ended is not None
    assert (ended.state, ended.ended_reason, ended.ended_by) == ("ended", "plan_upgraded", "user")
    assert (ended.expires_at, ended.ended_at) == (
        "2026-02-05T00:00:00.000000Z",
        "2026-02-01T00:00:00.000000Z",
    )
    for event_type, state in (("app.trial_started", "started"), ("app.trial_extended", "extended")):
        trial = _parsed(make_event(event_type, expires_at="2026-02-05T00:00:00Z")).trial
        assert trial is not None
        assert trial.state == state


def test_the_reason_of_an_uninstall_is_kept(make_event: Any) -> None:
    reason = {"type": "other", "message": "too expensive"}
    assert _parsed(make_event("app.uninstalled", reason=reason)).uninstall_reason == "other: too expensive"
    assert _parsed(make_event("app.uninstalled", reason="why not")).uninstall_reason == "why not"
    assert _parsed(make_event("app.uninstalled")).uninstall_reason is None


def test_long_texts_are_clipped_and_named(make_event: Any) -> None:
    found = _parsed(make_event("x" * 500, account_name="n" * 5000, envelope={"app_version_name": "v" * 5000}))
    assert len(found.type) == 128
    assert found.account_name is not None
    assert len(found.account_name) == 1024
    assert found.oddities == {module.CLIPPED}


def test_links_may_be_texts_or_lists_and_unusable_ones_are_left_out(make_event: Any) -> None:
    links = {
        "text": "https://a.example",
        "list": [{"href": "https://b.example"}, {"href": "https://c.example"}],
        "long": {"href": "https://d.example/" + "x" * 3000},
        "number": 7,
        "empty": [],
        "": {"href": "https://e.example"},
        "n" * 65: {"href": "https://f.example"},
    }
    found = _parsed(make_event("app.updated", links=links))
    assert set(found.links) == {"root", "text", "list"}
    assert found.links["list"] == "https://b.example"
    assert found.oddities == {module.BAD_LINK}


def test_of_too_many_links_the_known_ones_stay(make_event: Any) -> None:
    links = {f"a{number:03}": {"href": "https://a.example"} for number in range(100)}
    found = _parsed(make_event("app.updated", links=links | {"userinfo": {"href": "https://u.example"}}))
    assert len(found.links) == 32
    assert {"root", "userinfo", "a000"} <= set(found.links)
    assert found.oddities == {module.CLIPPED}


def test_partial_credentials_are_kept_and_named(make_event: Any) -> None:
    found = _parsed(make_event("app.credentials_rotated", private_key="AAAA"))
    assert found.credentials is not None
    assert not found.credentials.usable
    assert found.oddities == {module.PARTIAL_CREDENTIALS}
    assert _parsed(make_event("app.updated", client_id="e5")).credentials is None


def test_lone_surrogates_do_not_reach_what_is_stored(make_event: Any) -> None:
    body = make_event("app.\udfff", account_name="a\ud800b", client_id="\ud800", client_secret="\udbff")
    found = _parsed(body | {"_links": {"bad\ud800": {"href": "https://a.example"}}})
    assert found.account_name == "a\ufffdb"
    assert {module.NOT_TEXT, module.BAD_LINK} <= found.oddities
    _everything(found)


def test_ten_thousand_removed_users_are_one_revocation_and_one_more_are_two(make_event: Any) -> None:
    users = [f"{number:024x}" for number in range(USERS_PER_PART + 1)]
    one = revocations(_parsed(make_event("app.updated", users={"removing": users[:-1]})), namespace="td")
    two = revocations(_parsed(make_event("app.updated", users={"removing": users})), namespace="td")
    assert [len(part.spec.users) for part in one] == [USERS_PER_PART]
    assert [(part.spec.part, len(part.spec.users)) for part in two] == [(0, USERS_PER_PART), (1, 1)]
    assert len({part.metadata.name for part in two}) == 2


def test_the_same_users_in_another_order_are_the_same_revocation(make_event: Any) -> None:
    body = make_event("app.updated", users={"removing": ["u1", "u2"]})
    other = body | {"data": body["data"] | {"users": {"removing": ["u2", "u1", "u2"]}}}
    assert revocations(_parsed(body), namespace="td") == revocations(_parsed(other), namespace="td")


def test_a_logout_becomes_a_revocation_that_ends_sessions(make_event: Any) -> None:
    (found,) = revocations(_parsed(make_event("user.logout", user_id="u1")), namespace="td")
    assert (found.spec.kind, found.spec.users, found.metadata.namespace) == ("SignedOut", ["u1"], "td")


def test_the_secret_holds_the_credentials_and_is_named_by_them(make_event: Any, credentials: Any) -> None:
    one = _parsed(make_event("app.installed", **credentials))
    same = _parsed(make_event("app.credentials_rotated", **credentials))
    other = _parsed(make_event("app.installed", **credentials | {"private_key": "QUFBQQ=="}))
    secrets = [_secret(found) for found in (one, same, other)]
    names = [secret["metadata"]["name"] for secret in secrets]
    assert names[0] == names[1] != names[2]
    assert secrets[0]["immutable"] is True
    assert secrets[0]["metadata"]["namespace"] == "credentials"
    assert set(secrets[0]["data"]) == {*credentials, "links", "event", "created_at"}


def _secret(found: Event) -> dict[str, Any]:
    assert found.credentials is not None
    return credentials_secret(found, found.credentials, namespace="credentials", release="apps.td")


def _everything(found: Event) -> None:
    """All that is made of an event: none of it may fail, and all of it must be encodable."""
    spec = fold(None, found)
    if spec is not None:
        spec.to_json()
        json.dumps(spec.to_json(), ensure_ascii=False).encode()
    for revocation in revocations(found, namespace="td"):
        json.dumps(revocation.to_json(), ensure_ascii=False).encode()
    if found.credentials is not None:
        _secret(found)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_fields = [
    "id", "event_id", "created_at", "type", "app_version_id", "app_version_name", "_links", "account_name",
    "client_id", "client_secret", "private_key", "key_id", "users", "subscription", "reason", "expires_at",
    "ended_at", "ended_by", "user_id",
]  # fmt: skip
_types = [
    "app.installed", "app.updated", "app.uninstalled", "app.trial_started", "app.trial_extended",
    "app.trial_ended", "app.credentials_rotated", "user.logout", "app.invented",
]  # fmt: skip


@given(
    event_type=st.sampled_from(_types),
    strange=st.dictionaries(st.sampled_from(_fields), _values, max_size=8),
    links=st.dictionaries(st.text(max_size=70), _values, max_size=5) | _values,
    removing=_values,
)
def test_any_json_with_ids_is_an_event_that_the_kinds_accept(
    event_type: str, strange: dict[str, Any], links: Any, removing: Any
) -> None:
    ids = {"app_id": "a1", "account_id": "d4", "installation_id": "c3"}
    data = strange | ids | {"users": {"removing": removing}}
    body = {"type": event_type, "_links": links} | strange | ids | {"data": data}
    found = parse(json.dumps(body).encode())
    assert isinstance(found, Event)
    assert found.installation_id == "c3"
    _everything(found)


@given(st.binary(max_size=200))
def test_nonsense_is_never_more_than_no_event(raw: bytes) -> None:
    found = parse(raw)
    assert isinstance(found, NotAnEvent)
    assert found.reason


@pytest.mark.parametrize(
    ("adding", "name", "licenses"),
    [
        ({"name": "Gold", "licenses": "10"}, "Gold", 10),
        ({"name": "Gold", "licenses": 10}, "Gold", 10),
        ({"name": "Gold"}, "Gold", None),
        ({"name": "Gold", "licenses": None}, "Gold", None),
    ],
)
def test_an_updates_plan_is_read_with_its_licences_as_text_or_number(
    make_event: Any, adding: Any, name: str, licenses: int | None
) -> None:
    found = _parsed(make_event("app.updated", subscription={"adding": adding}))
    assert found.subscription == module.SubscriptionNews(name=name, licenses=licenses)
    assert found.oddities == frozenset()


@pytest.mark.parametrize(
    "licenses", ["ten", "-1", -1, 1.5, True, [], {}, 2**60, str(2**60), "1" * 400, "\u0661", ""]
)
def test_licences_that_are_no_number_are_left_out_and_named(make_event: Any, licenses: Any) -> None:
    found = _parsed(
        make_event("app.updated", subscription={"adding": {"name": "Gold", "licenses": licenses}})
    )
    assert found.subscription == module.SubscriptionNews(name="Gold", licenses=None)
    assert found.oddities == {module.BAD_PLAN}


@pytest.mark.parametrize("name", ["", "x" * 257, 7, {}, "a\ud800"])
def test_a_plans_name_that_cannot_be_kept_whole_is_left_out_and_named(make_event: Any, name: Any) -> None:
    found = _parsed(make_event("app.updated", subscription={"adding": {"name": name, "licenses": 1}}))
    assert found.subscription is None
    assert found.oddities == {module.BAD_PLAN}


@pytest.mark.parametrize(
    "subscription", [None, {}, [], "Gold", {"adding": None}, {"adding": []}, {"adding": {}}]
)
def test_an_update_without_a_plan_has_no_subscription(make_event: Any, subscription: Any) -> None:
    found = _parsed(make_event("app.updated", subscription=subscription))
    assert found.subscription is None
    assert found.oddities == frozenset()

"""Every rule of the decision, as values in and a verdict out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.user_slice import LicensedUser
from talkdesk_gateway.decide import Facts, decide
from talkdesk_gateway.sessions import Session
from talkdesk_gateway.tenancy import Tenancy
from talkdesk_gateway.verdict import Passed, Refusal, Refused

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
HOST = "i1.apps.example.com"
ORIGIN = f"https://{HOST}"
GET = Facts("GET", HOST)
USER = LicensedUser(epoch="e1", name="Ada", email="ada@example.com", role="admin")


@pytest.fixture(scope="session")
def tenancy(objects: Any) -> Tenancy:
    made = objects.installation(users=(1, "7"))
    made["metadata"]["uid"] = "uid-i1"
    return Tenancy(
        installation=TalkdeskInstallation.model_validate(made),
        app=TalkdeskApp.model_validate(objects.app()),
        host=HOST,
        upstream="10.0.0.7:8080",
        user={"u1": USER}.get,
    )


def session(**changes: Any) -> Session:
    made = Session(
        HOST, "i1", "uid-i1", "u1", "e1", "s1", NOW - timedelta(hours=1), NOW - timedelta(minutes=1)
    )
    return replace(made, **changes)


def verdict(
    tenancy: Tenancy | None,
    of: Session | None,
    facts: Facts = GET,
    *,
    fresh: bool = True,
    now: datetime = NOW,
) -> Passed | Refused:
    return decide(tenancy, of, facts, now=now, fresh=fresh, origin=ORIGIN)


def why(*args: Any, **more: Any) -> Refusal | None:
    found = verdict(*args, **more)
    return found.why if isinstance(found, Refused) else None


def other(tenancy: Tenancy, **status: Any) -> Tenancy:
    installation = tenancy.installation
    changed = installation.model_copy(update={"status": installation.status.model_copy(update=status)})
    return replace(tenancy, installation=changed)


def test_a_licensed_user_with_a_session_passes(tenancy: Tenancy) -> None:
    found = verdict(tenancy, session())
    assert isinstance(found, Passed)
    assert (found.user, found.session, found.tenancy) == (USER, session(), tenancy)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_every_method_passes_from_the_tenants_own_pages(tenancy: Tenancy, method: str) -> None:
    assert why(tenancy, session(), Facts(method, HOST, origin=ORIGIN, fetch_site="same-origin")) is None


def test_without_word_from_kubernetes_nobody_passes(tenancy: Tenancy) -> None:
    assert why(tenancy, session(), fresh=False) is Refusal.UNAVAILABLE
    assert why(None, None, fresh=False) is Refusal.UNAVAILABLE


def test_a_host_that_is_no_tenant_is_unknown() -> None:
    assert why(None, session()) is Refusal.UNKNOWN_HOST


def test_access_that_status_refuses_is_refused_before_anybody_signs_in(tenancy: Tenancy) -> None:
    refused = tenancy.installation.status.access.model_copy(  # type: ignore[union-attr] # it has one
        update={"state": "Refused", "reason": "TrialEnded"}
    )
    for one in (session(), None):
        found = verdict(other(tenancy, access=refused), one)
        assert isinstance(found, Refused)
        assert (found.why, found.detail) == (Refusal.SUSPENDED, "TrialEnded")
    assert why(other(tenancy, access=None), session()) is Refusal.SUSPENDED


def test_an_uninstalled_register_refuses_whatever_status_still_says(tenancy: Tenancy, objects: Any) -> None:
    left = {"at": "2026-01-06T10:00:00.000000Z", "rank": 90, "event": "e-2"}
    made = TalkdeskInstallation.model_validate(objects.installation(talkdesk={"uninstalled": left}))
    assert made.status.access is not None
    assert made.status.access.state == "Allowed"
    assert why(replace(tenancy, installation=made), session()) is Refusal.SUSPENDED


def test_a_persons_switch_refuses_at_once_and_is_lifted_by_status_alone(
    tenancy: Tenancy, objects: Any
) -> None:
    def of(*, suspend: bool, access: str) -> Tenancy:
        made = objects.installation(access=access)
        made["metadata"]["uid"] = "uid-i1"
        made["spec"]["suspend"] = suspend
        return replace(tenancy, installation=TalkdeskInstallation.model_validate(made))

    found = verdict(of(suspend=True, access="Allowed"), session())
    assert isinstance(found, Refused)
    assert (found.why, found.detail) == (Refusal.SUSPENDED, "Suspended")
    assert why(of(suspend=False, access="Refused"), session()) is Refusal.SUSPENDED
    assert why(of(suspend=False, access="Allowed"), session()) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"host": "i2.apps.example.com"}, Refusal.SIGN_IN),
        ({"installation": "i2"}, Refusal.SIGN_IN),
        ({"uid": "an-earlier-life"}, Refusal.SIGN_IN),
        ({"epoch": "e0"}, Refusal.SIGN_IN),
        ({"user": "u2"}, Refusal.NOT_LICENSED),
        ({"began": NOW - timedelta(days=7)}, Refusal.SIGN_IN),
        ({"used": NOW - timedelta(hours=12)}, Refusal.SIGN_IN),
        ({"used": None, "began": NOW - timedelta(hours=12)}, Refusal.SIGN_IN),
        ({"began": NOW - timedelta(days=7) + timedelta(seconds=1)}, None),
        ({"used": NOW - timedelta(hours=12) + timedelta(seconds=1)}, None),
    ],
)
def test_a_session_holds_for_its_host_installation_epoch_and_time_alone(
    tenancy: Tenancy, changes: dict[str, Any], expected: Refusal | None
) -> None:
    assert why(tenancy, session(**changes)) is expected


def test_nobody_is_called_unlicensed_while_the_users_are_not_known(tenancy: Tenancy) -> None:
    partly = replace(tenancy, users_known=False)
    assert why(partly, session(user="u2")) is Refusal.UNAVAILABLE
    assert why(partly, session()) is None


def test_a_missing_service_is_told_to_those_alone_who_may_enter(tenancy: Tenancy) -> None:
    gone = replace(tenancy, upstream=None)
    assert why(gone, session()) is Refusal.NO_SERVICE
    assert why(gone, None) is Refusal.SIGN_IN


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({"origin": ORIGIN}, False),
        ({"origin": ORIGIN, "fetch_site": "same-origin"}, False),
        ({"origin": "https://i2.apps.example.com"}, True),
        ({"origin": "https://i2.apps.example.com", "fetch_site": "same-site"}, True),
        ({"origin": "https://apps.example.com"}, True),
        ({"origin": f"http://{HOST}"}, True),
        ({"origin": f"{ORIGIN}:8443"}, True),
        ({"origin": f"{ORIGIN}.evil.example"}, True),
        ({"origin": f"{ORIGIN}, {ORIGIN}"}, True),
        ({"origin": "null"}, True),
        ({"origin": "null", "fetch_site": "same-origin"}, False),
        ({"origin": "null", "fetch_site": "same-site"}, True),
        ({"origin": "null", "fetch_site": "cross-site"}, True),
        ({"origin": "null", "fetch_site": "none"}, True),
        ({"origin": "null", "fetch_site": "same-origin, same-origin"}, True),
        ({"origin": "null, null", "fetch_site": "same-origin"}, True),
        ({"origin": "https://i2.apps.example.com", "fetch_site": "same-origin"}, True),
        ({"origin": ""}, True),
        ({"fetch_site": "cross-site"}, True),
        ({"fetch_site": "same-site"}, True),
        ({"fetch_site": "same-origin, cross-site"}, True),
        ({"fetch_site": "same-origin"}, False),
        ({"fetch_site": "none"}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "LINK"])
def test_an_unsafe_request_of_another_origin_is_refused(
    tenancy: Tenancy, method: str, headers: dict[str, str], refused: bool
) -> None:
    found = why(tenancy, session(), Facts(method, HOST, **headers))  # type: ignore[arg-type] # texts all
    assert found is (Refusal.CROSS_SITE if refused else None)


@pytest.mark.parametrize("fetch_site", [None, "same-origin"])
@pytest.mark.parametrize(
    ("origin", "refused"),
    [(ORIGIN, False), ("https://i2.apps.example.com", True), ("null", True), (None, True)],
)
def test_an_upgrade_needs_the_tenants_own_origin(
    tenancy: Tenancy, origin: str | None, fetch_site: str | None, refused: bool
) -> None:
    facts = Facts("GET", HOST, origin=origin, fetch_site=fetch_site, upgrade=True)
    found = why(tenancy, session(), facts)
    assert found is (Refusal.CROSS_SITE if refused else None)


def test_a_foreign_link_is_followed(tenancy: Tenancy) -> None:
    assert why(tenancy, session(), Facts("GET", HOST, fetch_site="cross-site", fetch_mode="navigate")) is None


@pytest.mark.parametrize(
    ("facts", "navigation"),
    [
        (Facts("GET", HOST, fetch_mode="navigate"), True),
        (Facts("HEAD", HOST, fetch_mode="navigate"), True),
        (Facts("POST", HOST, fetch_mode="navigate"), False),
        (Facts("GET", HOST, fetch_mode="cors", accept="text/html"), False),
        (Facts("GET", HOST, fetch_site="same-origin", accept="text/html"), False),
        (Facts("GET", HOST, accept="text/html,*/*"), True),
        (Facts("GET", HOST, accept="*/*"), False),
        (Facts("GET", HOST, fetch_mode="navigate", upgrade=True), False),
    ],
)
def test_a_navigation_is_what_a_browser_calls_one(facts: Facts, navigation: bool) -> None:
    assert facts.is_navigation is navigation


MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 2, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


@given(
    st.builds(
        Session,
        host=st.sampled_from([HOST, "i2.apps.example.com"]),
        installation=st.sampled_from(["i1", "i2"]),
        uid=st.sampled_from(["uid-i1", "uid-i2"]),
        user=st.sampled_from(["u1", "u2"]),
        epoch=st.sampled_from(["e1", "e2"]),
        sid=st.just("s"),
        began=MOMENTS,
        used=st.none() | MOMENTS,
    ),
    st.builds(
        Facts,
        method=st.sampled_from(["GET", "POST"]),
        host=st.just(HOST),
        origin=st.sampled_from([None, ORIGIN, "null", "https://i2.apps.example.com"]),
        fetch_site=st.sampled_from([None, "same-origin", "same-site", "cross-site"]),
        upgrade=st.booleans(),
    ),
    st.booleans(),
)
def test_whoever_passes_has_every_right_to(tenancy: Tenancy, of: Session, facts: Facts, fresh: bool) -> None:
    found = verdict(tenancy, of, facts, fresh=fresh)
    if isinstance(found, Passed):
        assert fresh
        assert (of.host, of.installation, of.uid, of.user, of.epoch) == (HOST, "i1", "uid-i1", "u1", "e1")
        assert NOW - of.began < timedelta(days=7)
        assert NOW - (of.used or of.began) < timedelta(hours=12)
        if facts.upgrade:
            assert facts.origin == ORIGIN
        elif facts.method == "POST" and facts.origin == "null":
            assert facts.fetch_site == "same-origin"
        elif facts.method == "POST":
            assert facts.origin in {ORIGIN, None}

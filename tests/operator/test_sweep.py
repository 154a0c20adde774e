"""Which credentials nobody needs any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samples import sample_of
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.revocation import TalkdeskRevocation
from talkdesk_kube import parse
from talkdesk_operator.sweep import Ages, Kept, owner_of, superfluous, unclaimed_revocations

NOW = datetime(2026, 3, 1, tzinfo=UTC)
AGES = Ages(superseded=timedelta(hours=1), unclaimed=timedelta(days=30))
OURS, THEIRS = "prod.td", "staging.td"
ACKNOWLEDGED = {"credentials": "new", "acknowledged": "new"}


def installation(status: dict[str, Any], *, register: str | None = "new") -> TalkdeskInstallation:
    obj = sample_of("talkdeskinstallation")
    said = obj["spec"]["talkdesk"]
    said["installed"] = {"at": "2026-01-05T10:00:00.000000Z", "rank": 10, "event": "e-1"}
    said.pop("credentials", None)
    if register is not None:
        at = "2026-02-01T10:00:00.000000Z"
        said["credentials"] = {"at": at, "rank": 50, "event": "e-2", "secret": register}
    obj["status"] = status
    return parse(TalkdeskInstallation, obj)


def secret(name: str, *, age: timedelta = timedelta(days=40), **owner: str) -> Kept:
    app, account, own = owner_of(installation({}))
    whose = (owner.get("app", app), owner.get("account", account), owner.get("own", own))
    return Kept(name, f"uid-{name}", whose, NOW - age, release=owner.get("release"))


def swept(secrets: list[Kept], *installations: TalkdeskInstallation, **more: Any) -> dict[str, str]:
    app, account, _ = owner_of(installation({}))
    given: dict[str, Any] = {
        "release": OURS, "apps": {app}, "tenants": {(app, account)}, "ages": AGES, "now": NOW
    } | more  # fmt: skip
    return {one.secret.name: one.why for one in superfluous(secrets, installations, **given)}


def test_a_set_goes_once_the_newest_is_in_use_and_acknowledged() -> None:
    both = [secret("old"), secret("new")]
    assert swept(both, installation(ACKNOWLEDGED)) == {"old": "superseded"}
    assert swept(both, installation({"credentials": "old"})) == {}
    assert swept(both, installation({"credentials": "new"})) == {}
    assert swept(both, installation({})) == {}


def test_a_young_one_stays_for_its_event_may_be_on_its_way() -> None:
    coming = secret("coming", age=timedelta(minutes=59))
    assert swept([coming, secret("new")], installation(ACKNOWLEDGED)) == {}
    assert swept([coming], apps={coming.owner[0]}, tenants=set()) == {}


def test_one_that_came_after_the_newest_known_is_no_old_one() -> None:
    coming, known = secret("coming", age=timedelta(hours=2)), secret("new", age=timedelta(days=3))
    assert swept([coming, known], installation(ACKNOWLEDGED)) == {}
    late = secret("late", age=timedelta(days=30))
    assert swept([late, secret("new")], installation(ACKNOWLEDGED)) == {"late": "superseded"}


def test_one_of_the_same_second_as_the_newest_known_may_be_the_next() -> None:
    hours = timedelta(hours=2)
    coming, known = secret("coming", age=hours), secret("new", age=hours)
    assert swept([coming, known], installation(ACKNOWLEDGED)) == {}


def test_nothing_goes_where_the_newest_set_is_missing_or_unknown() -> None:
    assert swept([secret("old")], installation(ACKNOWLEDGED)) == {}
    assert swept([secret("old")], installation({"credentials": "old"}, register=None)) == {}


def test_what_no_installation_and_no_tenant_claims_goes_after_a_long_time() -> None:
    lost = secret("lost", own="somebody-else")
    assert swept([lost]) == {}  # its account has a tenant, whose retention decides
    assert swept([lost], tenants=set()) == {"lost": "unclaimed"}
    young = secret("young", own="somebody-else", age=timedelta(days=29))
    assert swept([young], tenants=set()) == {}


def test_what_belongs_to_an_app_that_is_not_declared_here_goes_only_if_this_release_stored_it() -> None:
    assert swept([secret("foreign", app="other")], tenants=set()) == {}
    own = secret("own", app="other", release=OURS)
    assert swept([own], tenants=set()) == {"own": "unclaimed"}
    assert swept([own], tenants={own.owner[:2]}) == {}


def test_what_another_release_stored_is_not_this_ones_to_delete_though_the_app_is_declared_here_too() -> None:
    lost, theirs = secret("lost", own="theirs"), secret("theirs", own="theirs", release=THEIRS)
    assert swept([lost, theirs], tenants=set()) == {"lost": "unclaimed"}
    assert swept([theirs], release=THEIRS, tenants=set()) == {"theirs": "unclaimed"}


def test_a_set_that_came_to_another_release_is_not_superseded_by_the_newest_that_is_known_here() -> None:
    known = secret("new", age=timedelta(days=40))
    before, after = (
        secret("before", age=timedelta(days=50), release=THEIRS),
        secret("after", age=timedelta(days=35), release=THEIRS),
    )
    assert swept([before, known, after], installation(ACKNOWLEDGED)) == {}
    assert swept([before, known, after], installation(ACKNOWLEDGED), release=THEIRS) == {
        "before": "superseded", "after": "superseded",
    }  # fmt: skip


def test_the_set_in_use_may_be_one_that_another_release_stored() -> None:
    both = [secret("old", release=OURS), secret("new", release=THEIRS)]
    assert swept(both, installation(ACKNOWLEDGED)) == {"old": "superseded"}


def revocation(name: str, *, age: timedelta, **spec: str) -> TalkdeskRevocation:
    said = installation({}).spec
    whose = {"appId": said.app_id, "accountId": said.account_id, "installationId": said.installation_id}
    made = (NOW - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    obj = {
        "apiVersion": "talkdesk-operator.io/v1alpha1",
        "kind": "TalkdeskRevocation",
        "metadata": {"name": name, "namespace": "apps", "creationTimestamp": made},
        "spec": {"kind": "SignedOut", "users": ["u1"], "cause": "e-1"} | whose | spec,
    }
    return parse(TalkdeskRevocation, obj)


def test_a_revocation_of_no_installation_goes_after_its_time_and_a_tenants_or_a_living_ones_stays() -> None:
    day = timedelta(days=1)
    claimed, lost = revocation("a", age=9 * day), revocation("b", age=day, installationId="gone")
    young = revocation("c", age=day - timedelta(seconds=1), installationId="gone")
    elsewhere = revocation("d", age=day, accountId="another")
    items = [claimed, lost, young, elsewhere]

    def gone(tenants: set[tuple[str, str]]) -> list[str]:
        there = [installation({})]
        found = unclaimed_revocations(items, there, tenants=tenants, age=day, now=NOW)
        return [one.metadata.name for one in found]

    assert gone(set()) == ["b", "d"]
    assert gone({owner_of(installation({}))[:2]}) == ["d"]


@pytest.mark.parametrize("status", [{}, {"credentials": "old"}, {"credentials": "new"}, ACKNOWLEDGED])
@given(ages=st.lists(st.integers(0, 100), min_size=4, max_size=4), present=st.sets(st.sampled_from("abc")))
def test_the_newest_and_the_one_in_use_are_never_deleted(
    status: dict[str, Any], ages: list[int], present: set[str]
) -> None:
    all_names = ["new", "old", *sorted(present)]
    secrets = [secret(name, age=timedelta(days=age)) for name, age in zip(all_names, ages, strict=False)]
    gone = swept(secrets, installation(status), tenants=set())
    assert not {"new", status.get("credentials")} & set(gone)

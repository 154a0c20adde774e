"""How many installations of apps that nobody declared are kept, and which go."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from samples import sample_of
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_kube import parse
from talkdesk_operator.undeclared import surplus


def installation(
    name: str, second: int, *, app: str = "unknown", status: dict[str, Any] | None = None, **metadata: Any
) -> TalkdeskInstallation:
    obj = sample_of("talkdeskinstallation")
    obj["metadata"] |= {"name": name, "creationTimestamp": f"2026-01-01T00:00:{second:02}Z"} | metadata
    obj["spec"] |= {"appId": app, "accountId": f"account-of-{name}"}
    obj["status"] = status or {}
    return parse(TalkdeskInstallation, obj)


def pruned(*installations: TalkdeskInstallation, kept: int, **more: Any) -> list[str]:
    given: dict[str, Any] = {"declared": {"known"}, "tenants": set()} | more
    return [one.metadata.name for one in surplus(installations, kept=kept, **given)]


def test_the_oldest_beyond_the_bound_go() -> None:
    three = [installation("b", 2), installation("c", 3), installation("a", 1)]
    assert pruned(*three, kept=3) == []
    assert pruned(*three, kept=2) == ["a"]
    assert pruned(*three, kept=0) == ["a", "b", "c"]


def test_of_a_declared_app_none_goes_and_none_counts() -> None:
    declared = [installation(f"declared-{number}", 0, app="known") for number in range(5)]
    assert pruned(*declared, installation("a", 1), kept=1) == []
    assert pruned(*declared, kept=0) == []


def test_one_that_has_or_had_a_tenant_stays_and_does_not_count() -> None:
    had = installation("had", 0, status={"tenant": "td-abc-1"})
    has = installation("has", 0)
    rest = [installation("a", 1), installation("b", 2)]
    tenants = {("unknown", "account-of-has")}
    assert pruned(had, has, *rest, kept=1, tenants=tenants) == ["a"]
    assert pruned(had, has, *rest, kept=2, tenants=tenants) == []


def test_what_a_person_paused_and_what_is_on_its_way_out_stays() -> None:
    paused = installation("paused", 0, annotations={"talkdesk-operator.io/paused": "look at it"})
    leaving = installation("leaving", 0, deletionTimestamp="2026-01-02T00:00:00Z")
    assert pruned(paused, leaving, kept=0) == []


@given(
    seconds=st.lists(st.integers(0, 59), max_size=12),
    known=st.sets(st.integers(0, 11)),
    kept=st.integers(0, 12),
)
def test_never_more_stay_than_are_kept_and_those_that_stay_are_the_newest(
    seconds: list[int], known: set[int], kept: int
) -> None:
    all_of_them = [
        installation(f"i{number:02}", second, app="known" if number in known else "unknown")
        for number, second in enumerate(seconds)
    ]
    gone = surplus(all_of_them, declared={"known"}, tenants=set(), kept=kept)
    stay = [one for one in all_of_them if one.spec.app_id == "unknown" and one not in gone]
    assert all(one.spec.app_id == "unknown" for one in gone)
    assert len(stay) == min(kept, len(stay) + len(gone))
    oldest = min((one.metadata.creation_timestamp or "" for one in stay), default="~")
    assert all((one.metadata.creation_timestamp or "") <= oldest for one in gone)

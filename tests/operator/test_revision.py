"""Revisions: what their names hang on, what is used, which one a tenant gets, and which are kept."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from samples import sample_of
from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.blueprint import Blueprint, blueprint_of
from talkdesk_operator.revision import (
    Revision,
    choose,
    controller_revision,
    newest,
    parse,
    prunable,
    revision_name,
)

SAMPLE = sample_of("talkdeskapp")


def app(**changes: Any) -> TalkdeskApp:
    """The sample, which has a value for every field, with changes of its spec."""
    changed = copy.deepcopy(SAMPLE)
    changed["spec"] |= changes
    return TalkdeskApp.model_validate(changed)


def stored(of: TalkdeskApp, number: int = 1) -> dict[str, Any]:
    return controller_revision(of, number=number, namespace="own", labels={"a": "b"})


def usable(name: str, number: int = 1) -> Revision:
    return Revision(name, "app", number, Blueprint.model_validate(SAMPLE["spec"]))


def test_a_revision_holds_the_blueprint_and_nothing_else() -> None:
    made = stored(app())
    assert set(made["data"]) == {info.alias for info in Blueprint.model_fields.values()}
    assert "ownerReferences" not in made["metadata"]


def test_what_is_stored_gives_the_same_blueprint_back() -> None:
    found = parse(stored(app(), number=7))
    assert found.blueprint == blueprint_of(app().spec)
    assert found.blueprint is not None
    assert found.blueprint.template[0].to_json() == SAMPLE["spec"]["template"][0]
    assert (found.number, found.name) == (7, revision_name(app()))


@pytest.mark.parametrize(
    "change",
    [
        {"service": {"name": "web", "port": 9}},
        {"plans": {}},
        {"variants": []},
        {"copies": []},
        {"namespaceLabels": {}},
    ],
)
def test_another_blueprint_is_another_revision(change: dict[str, Any]) -> None:
    assert revision_name(app(**change)) != revision_name(app())


@pytest.mark.parametrize(
    "change",
    [
        {"rollout": {"maxUnavailable": 9}},
        {"egress": []},
        {"contact": "x@example.com"},
        {"retention": {"seconds": 5}},
    ],
)
def test_what_is_no_part_of_a_blueprint_makes_no_revision(change: dict[str, Any]) -> None:
    assert revision_name(app(**change)) == revision_name(app())


def test_going_back_gives_the_old_name_again() -> None:
    before = revision_name(app())
    assert revision_name(app(copies=[])) != before
    assert revision_name(app()) == before


def test_a_name_is_of_bounded_length_and_two_long_ones_differ() -> None:
    def long(last: str) -> TalkdeskApp:
        return TalkdeskApp.model_validate(SAMPLE | {"metadata": {"name": "a" * 252 + last}})

    names = {revision_name(long("a")), revision_name(long("b"))}
    assert len(names) == 2
    assert all(len(name) <= 253 for name in names)


def test_content_that_is_not_what_the_name_says_is_not_used() -> None:
    made = stored(app())
    made["data"]["service"]["port"] = 1
    found = parse(made)
    assert found.blueprint is None
    assert found.name in found.problem


@pytest.mark.parametrize("data", [None, {}, [], "text", {"template": 5}])
def test_what_no_model_reads_is_shown_and_does_not_crash(data: Any) -> None:
    found = parse({**stored(app()), "data": data})
    assert found.blueprint is None
    assert found.problem


def test_an_order_goes_before_the_inventory_and_both_before_what_is_left() -> None:
    every = {name: usable(name) for name in "abcd"}
    assert choose(("a", "b"), ("c", "d"), find=every.get).revision == every["a"]
    assert choose((None, "b"), ("c", "d"), find=every.get).revision == every["b"]
    assert choose((None, None), ("c", "d"), find=every.get).revision == every["c"]
    assert choose((None, None), (None, "d"), find=every.get).revision == every["d"]
    assert choose((None, None), (None, None), find=every.get).revision is None


def test_where_the_order_is_gone_the_inventorys_is_used() -> None:
    choice = choose(("gone", "b"), ("c",), find={"b": usable("b"), "c": usable("c")}.get)
    assert choice.revision == usable("b")
    assert choice.missing == "gone"


def test_a_running_tenant_whose_revision_is_gone_gets_none_and_one_at_rest_another() -> None:
    find = {"c": usable("c"), "broken": Revision("broken", "app", 1, None, "unreadable")}.get
    assert choose(("broken", "gone"), ("c",), find=find).revision is None
    assert choose(("broken", "gone"), ("c",), find=find).missing == "broken"
    assert choose((None, "gone"), ("c",), find=find, at_rest=True).revision == usable("c")


def test_the_newest_is_the_greatest_number_that_can_be_used() -> None:
    assert newest([usable("a", 2), usable("b", 1), Revision("c", "app", 9)]) == usable("a", 2)
    assert newest([]) is None


def test_only_what_nobody_names_is_pruned() -> None:
    every = [usable(name) for name in "abcd"]
    assert prunable(every, kept=("a", None), named=("c", None)) == ["b", "d"]

"""Replicas that an autoscaler or a person set: remembered at the suspension, given back afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkdesk_operator import inventory
from talkdesk_operator.compact import compact
from talkdesk_operator.inventory import Inventory, Record, object_id
from talkdesk_operator.replicas import FIELD_MANAGER, owed, remembered, scale_of, to_remember


def wanted(replicas: int | None, kind: str = "Deployment") -> dict[str, Any]:
    spec = {} if replicas is None else {"replicas": replicas}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web", "namespace": "t"},
        "spec": spec,
    }


def stored(replicas: int, *, ours: bool) -> dict[str, Any]:
    fields = {"f:spec": {"f:replicas": {}} if ours else {"f:template": {}}}
    managed = [
        {"manager": "talkdesk-operator", "operation": "Apply", "fieldsV1": fields},
        {"manager": "hpa", "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {}}},
    ]
    metadata = {"name": "web", "namespace": "t", "uid": "u", "generation": 1, "managedFields": managed}
    spec = {"replicas": replicas, "template": {}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def live(replicas: int, *, ours: bool) -> dict[str, Any]:
    return compact(stored(replicas, ours=ours))


def test_the_cache_knows_whose_the_replicas_are() -> None:
    assert scale_of(stored(3, ours=False)) == {"replicas": 3, "ours": False}
    assert live(3, ours=True)["scale"] == {"replicas": 3, "ours": True}


@given(st.integers(0, 1000))
def test_a_number_that_somebody_else_set_is_remembered_through_a_suspension_and_given_back(
    number: int,
) -> None:
    found = remembered(wanted(0), Record(), live(number, ours=False), suspended=True)
    assert found == number
    record = Record(replicas=found)
    assert remembered(wanted(0), record, live(0, ours=True), suspended=True) == number
    assert remembered(wanted(None), record, live(0, ours=True), suspended=False) == number
    gives = owed(wanted(None), record, live(0, ours=True))
    assert gives is not None
    assert gives["spec"] == {"replicas": number}
    assert gives["metadata"] == {"name": "web", "namespace": "t", "uid": "u"}


def test_an_object_that_was_deleted_meanwhile_gets_its_number_too() -> None:
    gives = owed(wanted(None), Record(replicas=4), None)
    assert gives is not None
    assert "uid" not in gives["metadata"]


@pytest.mark.parametrize(
    ("item", "record", "found"),
    [
        (wanted(None), Record(), live(0, ours=True)),
        (wanted(2), Record(replicas=4), live(0, ours=True)),
        (wanted(None), Record(replicas=4), live(7, ours=False)),
        (wanted(None), None, live(0, ours=True)),
    ],
    ids=["nothing remembered", "the template has a number", "somebody has set it since", "no record"],
)
def test_nothing_is_given_back_where_nothing_is_owed(
    item: dict[str, Any], record: Record | None, found: dict[str, Any]
) -> None:
    assert owed(item, record, found) is None


def test_what_is_the_operators_own_is_not_remembered() -> None:
    assert remembered(wanted(0), Record(), live(2, ours=True), suspended=True) is None
    assert remembered(wanted(0), Record(), live(2, ours=False), suspended=False) is None
    assert remembered(wanted(0), Record(), None, suspended=True) is None


def test_the_number_is_in_the_inventory_before_anything_is_applied_and_survives_a_restart() -> None:
    name = object_id(wanted(0))
    known = Inventory(records={name: Record(uid="u")})
    numbers = to_remember([wanted(0)], known.records, lambda _: live(5, ours=False), suspended=True)
    kept = known.remembering(numbers)
    assert kept.records[name] == Record(uid="u", replicas=5)

    class Tenant:
        inventory, object_labels = "inventory-t", {}

        class release:  # noqa: N801 - stands for an attribute
            namespace = "own"

    data = inventory.config_map(kept, Tenant())["data"]  # type: ignore[arg-type] # as much of it as is asked for
    assert inventory.parse(data).records[name].replicas == 5
    assert FIELD_MANAGER != "talkdesk-operator"


@pytest.mark.parametrize("spec", [{}, {"spec": None}, {"spec": "text"}], ids=["none", "null", "no object"])
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_what_has_no_spec_has_no_replicas_to_remember_or_to_give_back(
    kind: str, spec: dict[str, Any]
) -> None:
    item = {key: value for key, value in wanted(None, kind).items() if key != "spec"} | spec
    name = object_id(item)
    there = live(3, ours=False)
    assert to_remember([item], {}, lambda _: there, suspended=True) == {name: None}
    known = Record(replicas=4)
    assert to_remember([item], {name: known}, lambda _: there, suspended=True) == {name: 4}
    gives = owed(item, known, live(0, ours=True))
    assert gives is not None
    assert gives["spec"] == {"replicas": 4}

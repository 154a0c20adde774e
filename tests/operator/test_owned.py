"""What is ours in an object, what the inventory keeps of it, and when nothing needs doing."""

from __future__ import annotations

from typing import Any

import pytest

from talkdesk_crds.names import UNCLAIMED_ANNOTATION
from talkdesk_operator import inventory
from talkdesk_operator.compact import compact
from talkdesk_operator.confirm import Readiness
from talkdesk_operator.gate import judge, workload_state
from talkdesk_operator.inventory import Inventory, Record
from talkdesk_operator.keys import TenantKey
from talkdesk_operator.owned import digest_of, is_ours, owned_digest
from talkdesk_operator.tenant import Facts, Release

KEY = TenantKey("app", "eu", "account")
RELEASE = Release("talkdesk-system", "td", "td-operator", "talkdesk-system-td-tenant")
FACTS = Facts(app_id="app", region="eu", account_id="account", installation_id="inst")

FIELDS = {
    "f:metadata": {"f:labels": {"f:a": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}},
        "f:finalizers": {'v:"x"': {}},
    },
}


def stored(**changes: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "namespace": "t",
            "uid": "u1",
            "resourceVersion": "5",
            "labels": {"a": "1", "foreign": "x"},
            "managedFields": [
                {"manager": "kubelet", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}},
                {"manager": "talkdesk-operator", "operation": "Apply", "fieldsV1": FIELDS},
            ],
        },
        "spec": {
            "replicas": 1,
            "paused": False,
            "finalizers": ["x", "y"],
            "ports": [{"port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "TCP"}],
            **changes,
        },
        "status": {"readyReplicas": 1},
    }


def test_only_our_own_fields_count() -> None:
    before = owned_digest(stored())
    assert before == owned_digest(stored(paused=True, finalizers=["x", "z"]))
    assert before != owned_digest(stored(replicas=2))
    assert before != owned_digest(stored(finalizers=["y"]))
    assert before != owned_digest(stored(ports=[{"port": 81, "protocol": "TCP"}]))


def test_a_field_that_another_manager_took_over_changes_the_digest() -> None:
    taken = stored()
    taken["metadata"]["managedFields"][1]["fieldsV1"] = {"f:metadata": FIELDS["f:metadata"]}
    assert owned_digest(taken) != owned_digest(stored())


def test_an_object_without_our_manager_is_not_ours() -> None:
    foreign = stored()
    foreign["metadata"]["managedFields"] = foreign["metadata"]["managedFields"][:1]
    assert is_ours(stored())
    assert not is_ours(foreign)
    assert owned_digest(foreign) == ""


def test_nothing_is_applied_where_wish_object_and_identity_are_as_recorded() -> None:
    wish, live = {"spec": 1}, compact(stored())
    record = Record(uid="u1", wanted=digest_of(wish), owned=live["owned"])
    assert inventory.unchanged(record, wish, live)
    assert not inventory.unchanged(record, {"spec": 2}, live)
    assert not inventory.unchanged(record, wish, None)
    assert not inventory.unchanged(record, wish, compact(stored(replicas=2)))
    assert not inventory.unchanged(Record(uid="u0", wanted=record.wanted, owned=record.owned), wish, live)


def test_an_inventory_survives_its_config_map_and_rubbish_counts_as_empty() -> None:
    records = {("v1", "Secret", "a"): Record(uid="u", wanted="w"), ("v1", "Secret", "b"): Record()}
    kept = Inventory(records, FACTS)
    made = inventory.config_map(kept, RELEASE.tenant(KEY))
    assert inventory.parse(made["data"]) == kept
    assert made["metadata"]["namespace"] == RELEASE.namespace
    assert inventory.parse({"objects.json": "[{]", "facts.json": "{}"}) == Inventory()


def test_claims_and_namespaces_are_never_pruned() -> None:
    kept = Inventory(
        {
            ("v1", "PersistentVolumeClaim", "data"): Record(uid="u"),
            ("v1", "Namespace", "t"): Record(uid="u"),
            ("v1", "ConfigMap", "old"): Record(uid="u"),
            ("v1", "ConfigMap", "kept"): Record(uid="u"),
        }
    )
    assert set(kept.prunable([("v1", "ConfigMap", "kept")])) == {("v1", "ConfigMap", "old")}


def job(condition: str) -> dict[str, Any]:
    status = {"conditions": [{"type": condition, "status": "True"}]}
    return {"kind": "Job", "metadata": {}, "status": status}


def deployment(generation: int, observed: int, updated: int, available: int) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"generation": generation},
        "spec": {"replicas": 2},
        "status": {
            "observedGeneration": observed,
            "updatedReplicas": updated,
            "availableReplicas": available,
        },
    }


@pytest.mark.parametrize(
    ("obj", "readiness"),
    [
        (deployment(2, 1, 2, 2), Readiness.NOT_YET),
        (deployment(2, 2, 1, 2), Readiness.NOT_YET),
        (deployment(2, 2, 2, 1), Readiness.NOT_YET),
        (deployment(2, 2, 2, 2), Readiness.USABLE),
        ({"kind": "Job", "metadata": {}}, Readiness.NOT_YET),
        (job("Complete"), Readiness.USABLE),
        (job("Failed"), Readiness.FAILED),
        (
            {
                "kind": "StatefulSet",
                "metadata": {"generation": 1},
                "spec": {},
                "status": {
                    "observedGeneration": 1,
                    "availableReplicas": 1,
                    "currentRevision": "a",
                    "updateRevision": "b",
                },
            },
            Readiness.NOT_YET,
        ),
    ],
)  # fmt: skip
def test_a_workload_is_ready_only_in_its_present_generation(
    obj: dict[str, Any], readiness: Readiness
) -> None:
    assert workload_state(obj)["readiness"] == readiness.value


def test_a_deployment_is_not_ready_while_pods_of_before_the_change_may_still_answer() -> None:
    changing = deployment(2, 2, 2, 2)
    changing["status"]["replicas"] = 3
    state = workload_state(changing)
    assert state["readiness"] == Readiness.NOT_YET.value
    assert state["message"].startswith("1 replicas of before")


def test_a_tenant_is_usable_once_all_its_workloads_are() -> None:
    good = {"workload": workload_state(deployment(1, 1, 2, 2))}
    late = {"workload": workload_state(deployment(1, 1, 2, 1))}
    assert judge([("Deployment", "a", good)]).readiness is Readiness.USABLE
    assert judge([("Deployment", "a", good), ("Deployment", "b", late)]).message.startswith("Deployment b")
    assert judge([("Deployment", "a", None)]).readiness is Readiness.NOT_YET
    assert judge([]).readiness is Readiness.USABLE


def test_of_a_clean_up_record_the_cache_knows_when_it_was_written_whoever_did_it() -> None:
    field = {"f:metadata": {"f:annotations": {".": {}, f"f:{UNCLAIMED_ANNOTATION}": {}}}}
    other = {"f:metadata": {"f:annotations": {"f:note": {}}}}

    def namespace(*entries: tuple[str, str, Any], **annotations: str) -> Any:
        managed = [
            {"manager": manager, "operation": "Update", "time": at, "fieldsV1": fields}
            for manager, at, fields in entries
        ]
        metadata = {"name": "t", "annotations": annotations, "managedFields": managed}
        return compact({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    record = {UNCLAIMED_ANNOTATION: "2020-01-01T00:00:00Z"}
    ours = ("talkdesk-operator-retention", "2026-03-01T12:00:00Z", field)
    later = ("kubectl-annotate", "2026-03-02T12:00:00Z", field)
    beside = ("somebody", "2026-03-03T12:00:00Z", other)
    assert namespace(ours, beside, **record)["unclaimedWritten"] == "2026-03-01T12:00:00Z"
    assert namespace(ours, later, beside, **record)["unclaimedWritten"] == "2026-03-02T12:00:00Z"
    assert namespace(beside, **record)["unclaimedWritten"] is None
    assert "unclaimedWritten" not in namespace(beside)

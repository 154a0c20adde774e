"""When a workload counts as ready."""

from __future__ import annotations

import pytest

from talkdesk_operator.confirm import Readiness
from talkdesk_operator.gate import workload_state


def deployment(**status: int) -> dict[str, object]:
    return {
        "kind": "Deployment",
        "metadata": {"name": "demo", "generation": 2},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 2, **status},
    }


def readiness(**status: int) -> Readiness:
    return Readiness(workload_state(deployment(**status))["readiness"])


def test_a_deployment_is_ready_when_all_its_pods_are_new_and_available() -> None:
    assert readiness(replicas=1, updatedReplicas=1, availableReplicas=1) is Readiness.USABLE


def test_new_pods_that_crash_beside_an_old_one_that_answers_are_not_ready() -> None:
    state = workload_state(deployment(replicas=2, updatedReplicas=1, availableReplicas=1))
    assert state["readiness"] == Readiness.NOT_YET.value
    assert state["message"] == "1 replicas of before are not replaced yet"


@pytest.mark.parametrize("status", [{}, {"replicas": 1}, {"replicas": 1, "updatedReplicas": 1}])
def test_pods_that_are_missing_or_unavailable_are_not_ready(status: dict[str, int]) -> None:
    assert readiness(**status) is Readiness.NOT_YET

"""The node's decisions without a cluster: addresses, back-off, probes, status, endpoints, placement."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from talkdesk_sandbox.node.addresses import AddressPool, NoAddressLeft
from talkdesk_sandbox.node.backoff import Backoff
from talkdesk_sandbox.node.endpoints import cluster_addresses
from talkdesk_sandbox.node.environment import ConfigError, PodFacts, service_links
from talkdesk_sandbox.node.probes import Schedule, Verdict
from talkdesk_sandbox.node.records import ContainerRecord, PodRecord
from talkdesk_sandbox.node.registration import awaits_binding, why_unschedulable
from talkdesk_sandbox.node.status import PodSituation, conditions, phase
from talkdesk_sandbox.node.stop import Stop

Obj = dict[str, Any]
NOW = "2026-01-01T00:00:00Z"


def test_addresses_in_use_are_not_given_out() -> None:
    pool = AddressPool("10.77.0.0/16")
    pool.take_known(["10.77.0.5"])
    assert pool.take() == "10.77.0.6"
    pool.give_back("10.77.0.6")
    assert pool.take() == "10.77.0.7"


def test_a_full_network_is_refused_and_the_control_planes_share_is_left_out() -> None:
    pool = AddressPool("10.77.0.0/22")
    given = [pool.take() for _ in range(3 * 254 - 1)]
    with pytest.raises(NoAddressLeft, match=r"10\.77\.0\.0/22"):
        pool.take()
    assert len(given) == len(set(given))
    assert not [address for address in given if address.startswith("10.77.3.")]
    pool.give_back(given[0])
    assert pool.take() == given[0]


def test_back_off_doubles_to_its_cap_after_a_first_free_restart() -> None:
    backoff = Backoff(base=1, cap=5, reset=10)
    assert [backoff.delay(failures) for failures in range(1, 7)] == [0, 1, 2, 4, 5, 5]
    assert backoff.delay(10_000) == 5


def test_a_container_that_ran_long_enough_starts_over() -> None:
    backoff = Backoff(base=1, cap=5, reset=10)
    assert backoff.failures(before=4, ran=9.9) == 5
    assert backoff.failures(before=4, ran=10) == 1


def test_a_verdict_needs_its_threshold_in_a_row() -> None:
    verdict = Verdict(Schedule(delay=0, period=1, timeout=1, successes=2, failures=3))
    looks = [True, False, True, True, False, False, True, False, False, False]
    changes = [index for index, success in enumerate(looks) if verdict.add(success=success)]
    assert changes == [3, 9]
    assert verdict.healthy is False


def test_a_probes_defaults_are_kubernetes() -> None:
    assert Schedule.of({}) == Schedule(delay=0, period=10, timeout=1, successes=1, failures=3)


async def test_the_shortest_grace_counts() -> None:
    stop = Stop()
    stop.ask(100)
    stop.ask(0)
    stop.ask(100)
    await asyncio.wait_for(stop.over.wait(), 1)
    assert stop.remaining == 0
    stop.close()


async def test_a_pause_ends_when_the_stop_is_asked() -> None:
    stop = Stop()
    pause = asyncio.create_task(stop.pause(1000))
    await asyncio.sleep(0)
    stop.ask(1000)
    await asyncio.wait_for(pause, 1)
    stop.close()


def pod(*, policy: str = "Always", init: list[Obj] | None = None, **spec: Any) -> Obj:
    containers = [{"name": "main", "image": "app"}]
    return {
        "metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {"restartPolicy": policy, "containers": containers, "initContainers": init or [], **spec},
    }


def ended(code: int) -> ContainerRecord:
    return ContainerRecord(state={"terminated": {"exitCode": code}})


RUNNING = ContainerRecord(state={"running": {"startedAt": NOW}}, started=True, ready=True)
BACKING_OFF = ContainerRecord(
    state={"waiting": {"reason": "CrashLoopBackOff"}}, last_state={"terminated": {"exitCode": 1}}
)


@pytest.mark.parametrize(
    ("policy", "main", "running", "expected"),
    [
        ("Always", ContainerRecord(), True, "Pending"),
        ("Always", RUNNING, True, "Running"),
        ("Always", BACKING_OFF, True, "Running"),
        ("Always", ended(0), True, "Running"),
        ("Never", ended(0), True, "Succeeded"),
        ("Never", ended(1), True, "Failed"),
        ("OnFailure", ended(1), True, "Running"),
        ("OnFailure", ended(0), True, "Succeeded"),
        ("Always", ended(0), False, "Succeeded"),
        ("Always", ended(143), False, "Failed"),
        ("Always", ContainerRecord(), False, "Failed"),
    ],
)
def test_the_phase_follows_the_containers(
    policy: str, main: ContainerRecord, running: bool, expected: str
) -> None:
    record = PodRecord("u", "10.77.0.2", {"main": main})
    situation = PodSituation(("10.77.0.2", "127.0.0.1"), NOW, running=running)
    assert phase(pod(policy=policy), record, situation) == expected


def test_a_pod_whose_init_container_has_not_succeeded_is_pending() -> None:
    record = PodRecord("u", "10.77.0.2", {"main": RUNNING, "first": ended(1)})
    situation = PodSituation(("10.77.0.2", "127.0.0.1"), NOW)
    assert phase(pod(init=[{"name": "first"}]), record, situation) == "Pending"


def test_ready_waits_for_the_gates_of_others_and_their_conditions_are_kept() -> None:
    gated = pod(readinessGates=[{"conditionType": "example.com/gate"}])
    record = PodRecord("u", "10.77.0.2", {"main": RUNNING})
    situation = PodSituation(("10.77.0.2", "127.0.0.1"), NOW)
    closed = {one["type"]: one for one in conditions(gated, record, situation, now=NOW)}
    assert closed["ContainersReady"]["status"] == "True"
    assert (closed["Ready"]["status"], closed["Ready"]["reason"]) == ("False", "ReadinessGatesNotReady")
    gated["status"] = {"conditions": [{"type": "example.com/gate", "status": "True"}]}
    opened = {one["type"]: one for one in conditions(gated, record, situation, now=NOW)}
    assert opened["Ready"]["status"] == "True"
    assert opened["example.com/gate"] == {"type": "example.com/gate", "status": "True"}


def test_a_conditions_time_moves_only_with_its_status() -> None:
    before = pod()
    before["status"] = {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "earlier"}]}
    record = PodRecord("u", "10.77.0.2", {"main": RUNNING})
    situation = PodSituation(("10.77.0.2", "127.0.0.1"), NOW)
    found = {one["type"]: one["lastTransitionTime"] for one in conditions(before, record, situation, now=NOW)}
    assert found["Ready"] == "earlier"
    assert found["ContainersReady"] == NOW


def service(**spec: Any) -> Obj:
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    return {
        "metadata": {"name": "s", "namespace": "n"},
        "spec": {"clusterIP": "127.200.0.9", "ports": ports, **spec},
    }


def endpoint_slice(*endpoints: tuple[str, Obj], port: int = 8080) -> Obj:
    return {
        "metadata": {"namespace": "n", "labels": {"kubernetes.io/service-name": "s"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port}],
        "endpoints": [{"addresses": [address], "conditions": state} for address, state in endpoints],
    }


READY = {"ready": True, "serving": True, "terminating": False}
LEAVING = {"ready": False, "serving": True, "terminating": True}
UNREADY = {"ready": False, "serving": False, "terminating": False}


def backends(*endpoints: tuple[str, Obj]) -> list[tuple[str, int]] | None:
    found = cluster_addresses(
        [service()], [endpoint_slice(*endpoints)], listens_on=lambda one: one.replace("10.77", "127.201")
    )
    return found.get(("127.200.0.9", 80))


def test_only_ready_endpoints_stand_behind_a_cluster_ip() -> None:
    assert backends(("10.77.0.2", READY), ("10.77.0.3", UNREADY), ("10.77.0.4", LEAVING)) == [
        ("127.201.0.2", 8080)
    ]


def test_those_that_still_serve_are_used_when_none_is_ready() -> None:
    assert backends(("10.77.0.3", UNREADY), ("10.77.0.4", LEAVING)) == [("127.201.0.4", 8080)]


def test_a_service_without_usable_endpoints_has_no_listener() -> None:
    assert backends(("10.77.0.3", UNREADY)) is None


def test_headless_services_and_udp_have_no_listener() -> None:
    slices = [endpoint_slice(("10.77.0.2", READY))]
    udp = service(ports=[{"name": "http", "port": 53, "protocol": "UDP"}])
    assert cluster_addresses([service(clusterIP="None"), udp], slices, listens_on=lambda one: one) == {}


def test_links_name_each_service_and_the_api_servers_real_address() -> None:
    links = service_links([service()], ("127.0.0.1", 6443))
    assert links["KUBERNETES_SERVICE_HOST"] == "127.0.0.1"
    assert links["KUBERNETES_SERVICE_PORT_HTTPS"] == "6443"
    assert links["S_SERVICE_HOST"] == "127.200.0.9"
    assert links["S_SERVICE_PORT_HTTP"] == "80"
    assert links["S_PORT_80_TCP"] == "tcp://127.200.0.9:80"


def test_a_field_the_downward_api_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"spec\.containers"):
        PodFacts(pod(), "127.201.0.2").field("spec.containers")


def test_a_cordoned_node_and_a_foreign_selector_say_why() -> None:
    node: Obj = {"metadata": {"labels": {"kubernetes.io/os": "linux"}}, "spec": {}}
    assert why_unschedulable(pod(nodeSelector={"kubernetes.io/os": "linux"}), node) == ""
    assert "kubernetes.io/os=windows" in why_unschedulable(
        pod(nodeSelector={"kubernetes.io/os": "windows"}), node
    )
    node["spec"]["unschedulable"] = True
    assert "unschedulable" in why_unschedulable(pod(), node)


def test_bound_gated_and_leaving_pods_do_not_await_binding() -> None:
    assert awaits_binding(pod())
    assert not awaits_binding(pod(nodeName="other"))
    assert not awaits_binding(pod(schedulingGates=[{"name": "g"}]))
    leaving = pod()
    leaving["metadata"]["deletionTimestamp"] = NOW
    assert not awaits_binding(leaving)

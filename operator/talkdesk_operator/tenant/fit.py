"""Whether what a tenant is made of fits into its plan's quota, before anything is applied. Pure.

The API server accepts a Deployment whatever the quota says, and refuses its pods later, one by one: a tenant
would be half-changed and nobody told. So the totals are added up here, as the quota controller will count
them (https://kubernetes.io/docs/concepts/policy/resource-quotas/). What cannot be told from the objects alone
is not judged: scoped quotas, extra pods during a rolling update, what others make in the namespace.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from talkdesk_kube import resource_of
from talkdesk_operator.tenant.demand import Demand, amount_of, pod_demand

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from talkdesk_crds.blueprint import Plan

#: Names of a quota that mean the same.
_ALIASES = {
    "cpu": "requests.cpu",
    "memory": "requests.memory",
    "ephemeral-storage": "requests.ephemeral-storage",
    "count/pods": "pods",
    "configmaps": "count/configmaps",
    "secrets": "count/secrets",
    "services": "count/services",
    "persistentvolumeclaims": "count/persistentvolumeclaims",
}
#: A quota of one of these refuses pods with a container that states nothing of it.
_DEMANDED = frozenset({"requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
#: Kubernetes itself puts ConfigMap kube-root-ca.crt into every namespace.
_ALWAYS_THERE = "count/configmaps"
_BYTES = ("memory", "storage")
_UNITS = (("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10))


@dataclass(frozen=True)
class Misfit:
    """One resource of the quota, and why it is not enough."""

    resource: str
    why: str

    def __str__(self) -> str:
        return f"{self.resource}: {self.why}"


def misfits(
    objects: Iterable[Mapping[str, Any]],
    plan: Plan,
    *,
    finished: Collection[str] = (),
) -> tuple[Misfit, ...]:
    """What of the plan's quota the tenant's ``objects`` exceed, by name of the resource; empty: it fits.

    :param objects: everything in the tenant's namespace, rendered.
    :param finished: names of Jobs that have run already: their pods count no more.
    """
    objects = list(objects)
    demand = Demand()
    for item in objects:
        for part in _demands(item, objects, plan, finished):
            demand.add(part)
    _count(demand, objects)
    found = []
    for name, text in sorted(plan.quota.items()):
        resource = _ALIASES.get(name, name)
        wanted, allowed = demand.totals.get(resource, Decimal(0)), amount_of(text)
        if allowed is not None and wanted > allowed:
            found.append(Misfit(name, f"{_shown(resource, wanted)} needed, {text} allowed"))
        elif resource in _DEMANDED and (silent := demand.silent.get(resource)):
            found.append(Misfit(name, f"{silent} states none, and the plan has no default"))
    found += [Misfit(resource, why) for resource, why in sorted(demand.contradictions.items())]
    return tuple(found)


def _demands(
    item: Mapping[str, Any],
    objects: list[Mapping[str, Any]],
    plan: Plan,
    finished: Collection[str],
) -> Iterable[Demand]:
    """What one object asks of the quota beside its own number."""
    kind, name = item["kind"], item["metadata"]["name"]
    spec = _mapping(item.get("spec"))
    where = f"{kind} {name}"
    if kind in ("Deployment", "StatefulSet"):
        replicas = _replicas(kind, name, spec, objects)
        yield pod_demand(_mapping(_mapping(spec.get("template")).get("spec")), plan, where).times(replicas)
        for claim in _items(spec.get("volumeClaimTemplates")):
            yield _claim(_mapping(claim.get("spec"))).times(replicas)
    elif kind == "Job" and name not in finished:
        yield _job(spec, plan, where)
    elif kind == "CronJob" and spec.get("suspend") is not True:
        yield _job(_mapping(_mapping(spec.get("jobTemplate")).get("spec")), plan, where)
    elif kind == "PersistentVolumeClaim":
        yield _claim(spec)
    elif kind == "Service":
        yield _service(spec)


def _replicas(kind: str, name: str, spec: Mapping[str, Any], objects: list[Mapping[str, Any]]) -> int:
    """As many as stated; at least as many as an autoscaler keeps, unless it is stopped."""
    replicas = _whole(spec.get("replicas"), default=1)
    if replicas == 0:
        return 0
    for other in objects:
        if other["kind"] != "HorizontalPodAutoscaler":
            continue
        scaler = _mapping(other.get("spec"))
        target = _mapping(scaler.get("scaleTargetRef"))
        if (target.get("kind"), target.get("name")) == (kind, name):
            replicas = max(replicas, _whole(scaler.get("minReplicas"), default=1))
    return replicas


def _job(spec: Mapping[str, Any], plan: Plan, where: str) -> Demand:
    if spec.get("suspend") is True:
        return Demand()
    side_by_side = min(
        _whole(spec.get("parallelism"), default=1), _whole(spec.get("completions"), default=2**31)
    )
    return pod_demand(_mapping(_mapping(spec.get("template")).get("spec")), plan, where).times(side_by_side)


def _claim(spec: Mapping[str, Any]) -> Demand:
    requests = _mapping(_mapping(spec.get("resources")).get("requests"))
    demand = Demand()
    demand.count("count/persistentvolumeclaims")
    demand.ask("requests.storage", requests.get("storage"))
    if storage_class := spec.get("storageClassName"):
        of_class = f"{storage_class}.storageclass.storage.k8s.io"
        demand.ask(f"{of_class}/requests.storage", requests.get("storage"))
        demand.count(f"{of_class}/persistentvolumeclaims")
    return demand


def _service(spec: Mapping[str, Any]) -> Demand:
    demand = Demand()
    kind = spec.get("type")
    if kind == "LoadBalancer":
        demand.count("services.loadbalancers")
    if kind in ("LoadBalancer", "NodePort"):
        demand.count("services.nodeports", len(_items(spec.get("ports"))))
    return demand


def _count(demand: Demand, objects: list[Mapping[str, Any]]) -> None:
    demand.count(_ALWAYS_THERE)
    for item in objects:
        resource = resource_of(item)
        if item["kind"] != "PersistentVolumeClaim":  # counted with those that StatefulSets will have made
            name = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
            demand.count(f"count/{name}")


def _shown(resource: str, amount: Decimal) -> str:
    """A quantity as people write it."""
    if resource.endswith(_BYTES):
        for unit, size in _UNITS:
            if amount and amount % size == 0:
                return f"{amount // size}{unit}"
    if amount == amount.to_integral_value():
        return str(int(amount))
    return f"{int(amount * 1000)}m"


def _whole(value: Any, *, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []

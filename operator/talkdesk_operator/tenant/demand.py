"""What pods ask of a quota, with what the API server and the tenant's LimitRange fill in. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from talkdesk_operator.tenant.quantity import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from talkdesk_crds.blueprint import Plan

Amounts = dict[str, Decimal]


def plus(one: Amounts, other: Amounts) -> Amounts:
    """Both together."""
    return one | {name: one.get(name, Decimal(0)) + amount for name, amount in other.items()}


def most(one: Amounts, other: Amounts) -> Amounts:
    """The greater of each."""
    return one | {name: max(one.get(name, Decimal(0)), amount) for name, amount in other.items()}


@dataclass
class Demand:
    """Totals by the quota's names (``requests.cpu``, ``pods``), and what would be refused in any case."""

    totals: Amounts = field(default_factory=dict)
    #: By resource, a container that states nothing where the quota wants something stated.
    silent: dict[str, str] = field(default_factory=dict)
    #: By resource, a container that asks for more than its limit.
    contradictions: dict[str, str] = field(default_factory=dict)

    def ask(self, resource: str, quantity: Any) -> None:
        """Add ``quantity``; what is none is left to the API server to refuse."""
        if (amount := amount_of(quantity)) is not None:
            self.totals = plus(self.totals, {resource: amount})

    def count(self, resource: str, number: int = 1) -> None:
        """Add ``number`` objects."""
        self.totals = plus(self.totals, {resource: Decimal(number)})

    def add(self, other: Demand) -> None:
        """Take ``other`` in."""
        self.totals = plus(self.totals, other.totals)
        self.silent = other.silent | self.silent
        self.contradictions = other.contradictions | self.contradictions

    def times(self, number: int) -> Demand:
        """So many of it; nothing where there are none."""
        if number <= 0:
            return Demand()
        totals = {name: amount * number for name, amount in self.totals.items()}
        return Demand(totals, self.silent, self.contradictions)


def amount_of(quantity: Any) -> Decimal | None:
    """A Kubernetes quantity as a number, None where it is none."""
    if isinstance(quantity, str):
        return parse(quantity)
    return Decimal(quantity) if isinstance(quantity, int | float) and not isinstance(quantity, bool) else None


def pod_demand(pod: Mapping[str, Any], plan: Plan, where: str) -> Demand:
    """One pod of ``where`` (``Deployment web``)."""
    demand = Demand()
    demand.count("pods")
    requests, limits = _Sum(), _Sum()
    for place, container in _containers(pod):
        asked, limited = _container(container, plan)
        requests.take(asked, place)
        limits.take(limited, place)
        who = f"container {container.get('name')} of {where}"
        _judge(demand, asked, limited, who)
    overhead = _amounts(pod.get("overhead"))
    whole = pod.get("resources") if isinstance(pod.get("resources"), dict) else {}
    for kind, total in (("requests", requests), ("limits", limits)):
        # What the pod states as a whole counts instead of the sum.
        needed = plus(total.needed() | _amounts((whole or {}).get(kind)), overhead)
        demand.totals = plus(demand.totals, {f"{kind}.{name}": amount for name, amount in needed.items()})
    return demand


@dataclass
class _Sum:
    """The most that a pod's containers have at once: the initial ones run one by one, before the others."""

    running: Amounts = field(default_factory=dict)
    sidecars: Amounts = field(default_factory=dict)
    peak: Amounts = field(default_factory=dict)

    def take(self, amounts: Amounts, place: str) -> None:
        if place == "containers":
            self.running = plus(self.running, amounts)
        elif place == "sidecars":
            self.sidecars = plus(self.sidecars, amounts)
            self.peak = most(self.peak, self.sidecars)
        else:
            self.peak = most(self.peak, plus(amounts, self.sidecars))

    def needed(self) -> Amounts:
        return most(plus(self.running, self.sidecars), self.peak)


def _containers(pod: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Initial containers first, in their order; those that go on running are sidecars."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for field_name in ("initContainers", "containers"):
        for container in pod.get(field_name) or []:
            if not isinstance(container, dict):
                continue
            stays = field_name == "initContainers" and container.get("restartPolicy") == "Always"
            found.append(("sidecars" if stays else field_name, container))
    return found


def _container(container: Mapping[str, Any], plan: Plan) -> tuple[Amounts, Amounts]:
    """Requests and limits as they will be: a limit is also the request, then come the plan's defaults."""
    resources = container.get("resources") if isinstance(container.get("resources"), dict) else {}
    limits = _amounts((resources or {}).get("limits"))
    requests = limits | _amounts((resources or {}).get("requests"))
    defaults = plan.container_defaults
    default_limits = _amounts(defaults.limits.to_json())
    # A LimitRange with a default limit and no default request takes the one for the other.
    default_requests = default_limits | _amounts(defaults.requests.to_json())
    return default_requests | requests, default_limits | limits


def _judge(demand: Demand, requests: Amounts, limits: Amounts, who: str) -> None:
    for name in ("cpu", "memory"):
        if name not in requests:
            demand.silent.setdefault(f"requests.{name}", who)
        if name not in limits:
            demand.silent.setdefault(f"limits.{name}", who)
        elif requests.get(name, Decimal(0)) > limits[name]:
            why = f"{who} requests more than its limit (stated, or the plan's default)"
            demand.contradictions.setdefault(f"limits.{name}", why)


def _amounts(stated: Any) -> Amounts:
    if not isinstance(stated, dict):
        return {}
    return {name: amount for name, text in stated.items() if (amount := amount_of(text)) is not None}

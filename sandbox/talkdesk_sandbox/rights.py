"""The rights of a release's processes: what its live roles grant, taken away one by one, and what was used.

A right is (where, API group, resource, verb); ``where`` says which role of the chart grants it.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import yaml

from talkdesk_sandbox.controlplane.assets import locate
from talkdesk_sandbox.controlplane.programs import output_of
from talkdesk_sandbox.release import RELEASE, ReleaseNames, chart

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from talkdesk_sandbox.release import Release

Where = Literal[
    "webhook",
    "webhook-credentials",
    "gateway",
    "gateway-credentials",
    "gateway-cluster",
    "operator",
    "operator-credentials",
    "cluster",
    "tenant",
]
PLACES: tuple[Where, ...] = get_args(Where)
#: Processes with rights of their own.
COMPONENTS = frozenset({"webhook", "gateway", "operator"})


@dataclass(frozen=True, order=True, slots=True)
class Right:
    """``verb`` on ``resource`` (with its subresource) of ``group``, granted by the role at ``where``."""

    where: Where
    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.where}: {self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"


def _role(release: ReleaseNames, where: Where) -> tuple[str, ...]:
    """What kubectl calls the role."""
    name, own, credentials = release.name, release.namespace, release.credentials_namespace
    outside = f"{own}-{name}"
    return {
        "webhook": ("role", f"{name}-webhook", "--namespace", own),
        "webhook-credentials": ("role", f"{outside}-webhook", "--namespace", credentials),
        "gateway": ("role", f"{name}-gateway", "--namespace", own),
        "gateway-credentials": ("role", f"{outside}-gateway", "--namespace", credentials),
        "gateway-cluster": ("clusterrole", f"{outside}-gateway"),
        "operator": ("role", f"{name}-operator", "--namespace", own),
        "operator-credentials": ("role", f"{outside}-operator", "--namespace", credentials),
        "cluster": ("clusterrole", f"{outside}-operator"),
        "tenant": ("clusterrole", release.tenant_cluster_role),
    }[where]


def _rules(release: Release, where: Where) -> list[dict[str, Any]]:
    text = release.control_plane.kubectl("get", *_role(release, where), "--output", "json")
    rules: list[dict[str, Any]] = json.loads(text)["rules"]
    return rules


def granted(release: Release) -> list[Right]:
    """Every right that the live roles of ``release`` grant."""
    return [right for where in PLACES for right in _expanded(where, _rules(release, where))]


def promised() -> list[Right]:
    """Every right that the chart grants, as helm renders it by default, and with a Secret to copy."""
    values = ("--set", "operator.copySecrets[0]=any")
    arguments = ("template", RELEASE, chart(), "--namespace", "own", *values)
    text = output_of(locate().path("helm"), arguments, env=os.environ)
    rules: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for item in yaml.safe_load_all(text):
        if item and item["kind"] in {"Role", "ClusterRole"}:
            metadata = item["metadata"]
            key: tuple[str, ...] = (item["kind"].lower(), metadata["name"])
            if item["kind"] == "Role":
                key += ("--namespace", metadata.get("namespace", "own"))
            rules[key] = item["rules"]
    found = {where: rules.pop(_role(ReleaseNames("own"), where)) for where in PLACES}
    if rules:
        raise LookupError(f"the chart has roles that nobody looks at: {sorted(rules)}")
    return [right for where, of_role in found.items() for right in _expanded(where, of_role)]


def _expanded(where: Where, rules: list[dict[str, Any]]) -> Iterator[Right]:
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield Right(where, group, resource, verb)


@dataclass(frozen=True, slots=True)
class Taken:
    """A right that was taken; :meth:`give_back` restores the role as it was."""

    release: Release
    where: Where
    rules: tuple[dict[str, Any], ...]

    def give_back(self) -> None:
        """Restore the role."""
        _write(self.release, self.where, list(self.rules))


def take(release: Release, right: Right) -> Taken:
    """Take ``right`` out of the live role. LookupError where the role does not grant it."""
    before = _rules(release, right.where)
    if right not in set(_expanded(right.where, before)):
        raise LookupError(f"{right} is not granted")
    after = []
    for rule in before:
        if (right.group, right.resource, right.verb) not in {
            (each.group, each.resource, each.verb) for each in _expanded(right.where, [rule])
        }:
            after.append(rule)
            continue
        others = [name for name in rule["resources"] if name != right.resource]
        verbs = [verb for verb in rule["verbs"] if verb != right.verb]
        after += [{**rule, "resources": others}] if others else []
        after += [{**rule, "resources": [right.resource], "verbs": verbs}] if verbs else []
    _write(release, right.where, after)
    return Taken(release, right.where, tuple(before))


def _write(release: Release, where: Where, rules: list[dict[str, Any]]) -> None:
    patch = json.dumps({"rules": rules})
    release.control_plane.kubectl("patch", *_role(release, where), "--type", "merge", "--patch", patch)


def used(entry: Mapping[str, Any]) -> set[Right]:
    """The rights that an allowed request in the audit log needed; none where it is of no release's process.

    Any release in any namespace counts, by its service accounts' names; what every authenticated user may do
    (discovery, self-reviews) needs no right of ours. A patch that made its object (server-side apply) needed
    ``create`` as well, and making a RoleBinding needed ``bind``.
    """
    if entry.get("annotations", {}).get("authorization.k8s.io/decision") != "allow" or is_refused(entry):
        return set()
    right = asked(entry)
    if right is None:
        return set()
    needed = {right}
    if right.verb == "patch" and entry["responseStatus"]["code"] == 201:
        needed.add(replace(right, verb="create"))
        if right.resource == "rolebindings":
            needed.add(Right("cluster", right.group, "clusterroles", "bind"))
    return needed


def asked(entry: Mapping[str, Any]) -> Right | None:
    """What a request in the audit log asked for, as a right; None where it is of no release's process."""
    parts = entry["user"]["username"].split(":")
    where = entry.get("objectRef")
    if parts[:2] != ["system", "serviceaccount"] or len(parts) != 4 or not where:
        return None
    own, component = parts[2], parts[3].rpartition("-")[2]
    if component not in COMPONENTS or where.get("apiGroup") in _FOR_EVERYBODY:
        return None
    resource = "/".join(part for part in (where["resource"], where.get("subresource")) if part)
    return Right(
        _place(component, own=own, name=parts[3], where=where),
        where.get("apiGroup") or "",
        resource,
        entry["verb"],
    )


def is_refused(entry: Mapping[str, Any]) -> bool:
    """Whether RBAC or an admission policy refused the request; a full quota takes nobody's right."""
    answer = entry.get("responseStatus") or {}
    message = answer.get("message") or ""
    by_quota = "exceeded quota" in message
    return (answer.get("code") == 403 and not by_quota) or "ValidatingAdmissionPolicy" in message


def missing(entry: Mapping[str, Any]) -> Right | None:
    """The right for whose absence the request was refused; None where it was not, or for another reason."""
    right = asked(entry)
    if right is None or not is_refused(entry):
        return None
    message = entry["responseStatus"].get("message") or ""
    if "attempting to grant RBAC permissions" in message:
        return Right("cluster", right.group, "clusterroles", "bind")
    # A server-side apply of what is not there yet is refused as a create.
    told = re.search(r"cannot (\w+) resource \"([^\"]+)\"", message)
    return replace(right, verb=told[1], resource=told[2]) if told else None


_FOR_EVERYBODY = frozenset({"authentication.k8s.io", "authorization.k8s.io"})
_CLUSTER_WIDE = frozenset({"namespaces", "clusterroles", "rolebindings"})


def _place(component: str, *, own: str, name: str, where: Mapping[str, Any]) -> Where:
    namespace = where.get("namespace") or ""
    credentials = f"{own}-{name.rpartition('-')[0]}-credentials"
    if component == "webhook":
        return "webhook-credentials" if namespace == credentials else "webhook"
    if component == "gateway" and namespace:
        return "gateway-credentials" if namespace == credentials else "gateway"
    if component == "gateway":
        return "gateway-cluster"
    if where["resource"] in _CLUSTER_WIDE or not namespace:
        return "cluster"
    if namespace == own:
        return "operator"
    return "operator-credentials" if namespace == credentials else "tenant"

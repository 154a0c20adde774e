"""What the operator's own identity cannot do, tried on the API server: with its real rights, and with all.

``test_rights`` asks the API server what is granted, and ``test_policies`` tries namespaces of others. Here is
what is left to an operator that somebody has taken over.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from talkdesk_crds.names import (
    ACCOUNT_LABEL,
    TENANT_LABEL,
    UNCLAIMED_ANNOTATION,
    release_id,
    tenant_prefix,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from talkdesk_sandbox.controlplane import ControlPlane

RBAC = "rbac.authorization.k8s.io"
BINDINGS = f"/apis/{RBAC}/v1/namespaces/{{}}/rolebindings"
NAMESPACES = "/api/v1/namespaces"
ENFORCE = "pod-security.kubernetes.io/enforce"
EVERYBODY = {"kind": "Group", "name": "system:authenticated", "apiGroup": RBAC}
ANYBODY = {"kind": "Group", "name": "system:unauthenticated", "apiGroup": RBAC}


def binding(role: str, *subjects: dict[str, str], kind: str = "ClusterRole") -> dict[str, Any]:
    return {
        "metadata": {"name": f"b-{secrets.token_hex(3)}"},
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": role},
        "subjects": list(subjects),
    }


def account(name: str, namespace: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def settled(request: Callable[[], tuple[int, str]], words: str) -> tuple[int, str]:
    """The answer, once it has ``words``: a policy is in force some moments after it was made."""
    deadline = time.monotonic() + 30
    while words not in (answer := request())[1]:
        assert time.monotonic() < deadline, answer
        time.sleep(0.02)
    return answer


@pytest.fixture(scope="module")
def tenant(release: Any) -> Iterator[str]:
    """A tenant with the operator's binding, made by the operator."""
    name = f"{tenant_prefix(release.namespace, release.name)}{secrets.token_hex(4)}"
    labels = {TENANT_LABEL: release_id(release.namespace, release.name), ACCOUNT_LABEL: "a"}
    made = {"metadata": {"name": name, "labels": labels | {ENFORCE: "restricted"}}}
    assert release.operator.create(NAMESPACES, made)[0] == 201
    own = binding(f"{release.cluster_name}-tenant", account("td-operator", release.namespace))
    assert release.operator.create(BINDINGS.format(name), own)[0] == 201
    yield name
    release.person.delete(f"{NAMESPACES}/{name}")


@pytest.fixture(scope="module")
def by_hand(release: Any) -> Iterator[str]:
    """A namespace that somebody labelled as a tenant of this release; its name is none."""
    name = f"{release.namespace}-by-hand"
    labels = {TENANT_LABEL: release_id(release.namespace, release.name)}
    assert release.person.create(NAMESPACES, {"metadata": {"name": name, "labels": labels}})[0] == 201
    yield name
    release.person.delete(f"{NAMESPACES}/{name}")


@pytest.fixture
def all_rights(control_plane: ControlPlane, release: Any) -> Iterator[None]:
    """Every right in RBAC for the operator: what is refused now, a policy refuses."""
    name = f"{release.cluster_name}-escalation"
    who = f"--serviceaccount={release.namespace}:td-operator"
    control_plane.kubectl("create", "clusterrolebinding", name, "--clusterrole=cluster-admin", who)
    yield
    control_plane.kubectl("delete", "clusterrolebinding", name)


@pytest.mark.parametrize("role", ["cluster-admin", "admin", "edit", "view", "system:node"])
def test_it_binds_no_other_role_not_even_in_its_own_tenant(release: Any, tenant: str, role: str) -> None:
    wanted = binding(role, account("td-operator", release.namespace))
    assert release.operator.create(BINDINGS.format(tenant), wanted)[0] == 403
    local = binding("anything", account("td-operator", release.namespace), kind="Role")
    assert release.operator.create(BINDINGS.format(tenant), local)[0] in {403, 404, 422}


def test_it_gives_its_role_to_nobody_else(release: Any, tenant: str) -> None:
    role = f"{release.cluster_name}-tenant"
    for subjects in (
        [EVERYBODY],
        [account("td-operator", release.namespace), EVERYBODY],
        [account("default", tenant)],
        [account("td-webhook", release.namespace)],
    ):
        code, told = settled(
            lambda subjects=subjects: release.operator.create(  # type: ignore[misc] # a default argument
                BINDINGS.format(tenant), binding(role, *subjects), dryRun="All"
            ),
            "operator-bindings",
        )
        assert code == 422, told


def test_in_its_own_namespaces_it_binds_no_role_to_anybody(release: Any) -> None:
    oneself = account("td-operator", release.namespace)
    tenants = binding(f"{release.cluster_name}-tenant", oneself)
    wider = {"subjects": [oneself, ANYBODY]}
    for namespace, own in (
        (release.namespace, "td-operator"),
        (release.credentials_namespace, f"{release.cluster_name}-operator"),
    ):
        path = BINDINGS.format(namespace)
        for attempt in (
            lambda path=path: release.operator.create(path, tenants, dryRun="All"),
            lambda path=path, own=own: release.operator.create(
                path, binding(own, ANYBODY, kind="Role"), dryRun="All"
            ),
            lambda path=path, own=own: release.operator.patch(f"{path}/{own}", wider, dryRun="All"),
        ):
            code, told = settled(attempt, "operator-objects")
            assert code == 422, told


@pytest.mark.parametrize("level", [None, "privileged", "baseline"])
def test_it_makes_no_tenant_without_pod_security_and_takes_it_from_none(
    release: Any, tenant: str, level: str | None
) -> None:
    def made(enforced: str | None) -> tuple[int, str]:
        labels = {TENANT_LABEL: release_id(release.namespace, release.name)}
        labels |= {ENFORCE: enforced} if enforced else {}
        name = f"{tenant_prefix(release.namespace, release.name)}new"
        return cast(
            "tuple[int, str]",
            release.operator.create(NAMESPACES, {"metadata": {"name": name, "labels": labels}}, dryRun="All"),
        )

    code, told = settled(lambda: made(level), "operator-namespaces")
    assert code == 422, told
    code, told = made("restricted")
    assert code == 201, told
    weaker = {"metadata": {"labels": {ENFORCE: level}}}
    code, told = release.operator.patch(f"{NAMESPACES}/{tenant}", weaker, dryRun="All")
    assert code == 422, told
    assert "operator-namespaces" in told


@pytest.mark.parametrize("level", [None, "privileged"])
def test_it_still_annotates_and_mends_a_tenant_whose_pod_security_an_administrator_changed(
    release: Any, tenant: str, level: str | None
) -> None:
    path = f"{NAMESPACES}/{tenant}"
    assert release.person.patch(path, {"metadata": {"labels": {ENFORCE: level}}})[0] == 200
    code, told = release.operator.patch(path, {"metadata": {"annotations": {UNCLAIMED_ANNOTATION: "t"}}})
    assert code == 200, told
    code, told = release.operator.patch(path, {"metadata": {"labels": {ENFORCE: "restricted"}}})
    assert code == 200, told


def test_it_becomes_nobody_else(release: Any, tenant: str) -> None:
    for user in ("system:admin", f"system:serviceaccount:{release.namespace}:td-webhook"):
        client, headers = release.operator._client, [("Impersonate-User", user)]
        assert client.get(NAMESPACES, headers=headers).status_code == 403
    request = {"spec": {"audiences": ["https://kubernetes.default.svc"]}}
    for namespace, name in (
        (tenant, "default"),
        (release.namespace, "td-webhook"),
        (release.namespace, "td-operator"),
        ("kube-system", "namespace-controller"),
    ):
        path = f"{NAMESPACES}/{namespace}/serviceaccounts/{name}/token"
        assert release.operator.create(path, request)[0] == 403


def test_it_reads_no_secret_but_those_it_was_given(release: Any, tenant: str) -> None:
    for namespace in (tenant, release.namespace, "kube-system", "default"):
        assert release.operator.send("GET", f"{NAMESPACES}/{namespace}/secrets")[0] == 403
        assert release.operator.send("GET", f"{NAMESPACES}/{namespace}/secrets/any")[0] == 403


def test_a_secret_that_the_chart_names_can_be_read_by_its_name_alone(
    control_plane: ControlPlane, render: Any
) -> None:
    roles = [one for one in render("--set", "operator.copySecrets={shared}") if one["kind"] == "Role"]
    rules = [
        rule
        for role in roles
        for rule in role["rules"]
        if "secrets" in rule["resources"] and role["metadata"]["name"] == "td-operator"
        if "namespace" not in role["metadata"]
    ]
    named = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["shared"], "verbs": ["get"]}
    assert named in rules
    others = [rule for rule in rules if rule != named]
    keys = ["td-session-keys", "td-identity-keys"]
    # And the gateway's keys; what the operator may create at all, a policy says.
    assert [rule.get("resourceNames") for rule in others] == [keys, None]
    assert others[1]["verbs"] == ["create"]
    assert control_plane


@pytest.mark.usefixtures("all_rights")
def test_with_every_right_it_is_kept_out_of_a_namespace_that_was_labelled_by_hand(
    release: Any, by_hand: str
) -> None:
    thing = {"metadata": {"name": "x"}}
    path = f"{NAMESPACES}/{by_hand}/configmaps"
    code, told = settled(lambda: release.operator.create(path, thing, dryRun="All"), "operator-objects")
    assert code == 422, told


#: (method, path in the namespace, body): what else than plain objects there is to write.
SUBRESOURCES = [
    ("POST", "pods/p/exec?command=id&stdout=true", None),
    ("POST", "pods/p/attach", None),
    ("POST", "pods/p/portforward", None),
    ("POST", "pods/p/proxy", None),
    ("POST", "services/s/proxy", None),
    ("POST", "pods/p/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}),
    ("POST", "pods/p/binding", {"target": {"kind": "Node", "name": "n"}, "metadata": {"name": "p"}}),
    ("PATCH", "pods/p/status", {"status": {"phase": "Succeeded"}}),
    ("PATCH", "pods/p/ephemeralcontainers", {"metadata": {"labels": {"a": "b"}}}),
    ("PATCH", "services/s/status", {"metadata": {"labels": {"a": "b"}}}),
    ("PATCH", "configmaps/c", {"data": {"a": "b"}}),
    ("POST", "serviceaccounts/default/token", {"spec": {}}),
    ("DELETE", "pods/p", None),
    ("DELETE", "configmaps", None),
    ("DELETE", "secrets", None),
]


@pytest.fixture(scope="module")
def elsewhere(release: Any, by_hand: str) -> Iterator[dict[str, str]]:
    """Namespaces that are none of its own, with a pod, a Service and a ConfigMap in each."""
    another = f"{tenant_prefix('elsewhere', 'td')}{secrets.token_hex(4)}"
    labels = {TENANT_LABEL: "elsewhere.td"}
    assert release.person.create(NAMESPACES, {"metadata": {"name": another, "labels": labels}})[0] == 201
    found = {
        "kube-system": "kube-system",
        "default": "default",
        "another release's tenant": another,
        "labelled by hand": by_hand,
    }
    things = {
        "pods": {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "any"}]}},
        "services": {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}},
        "configmaps": {"metadata": {"name": "c"}},
        "secrets": {"metadata": {"name": "s"}},
    }
    for namespace in found.values():
        deadline = time.monotonic() + 30
        for resource, thing in things.items():
            path = f"{NAMESPACES}/{namespace}/{resource}"
            while (answer := release.person.create(path, thing))[0] not in {201, 409}:
                assert time.monotonic() < deadline, answer  # the ServiceAccount default comes a moment later
                time.sleep(0.02)
    yield found
    for namespace in found.values():
        for resource, thing in things.items():
            release.person.delete(
                f"{NAMESPACES}/{namespace}/{resource}/{thing['metadata']['name']}", gracePeriodSeconds="0"
            )
    release.person.delete(f"{NAMESPACES}/{another}")


@pytest.mark.usefixtures("all_rights")
@pytest.mark.parametrize("where", ["kube-system", "default", "another release's tenant", "labelled by hand"])
def test_with_every_right_no_verb_and_no_subresource_reaches_a_foreign_namespace(
    release: Any, elsewhere: dict[str, str], where: str
) -> None:
    base = f"{NAMESPACES}/{elsewhere[where]}"
    settled(
        lambda: release.operator.create(f"{base}/configmaps", {"metadata": {"name": "x"}}, dryRun="All"),
        "operator-objects",
    )
    faults = []
    for method, path, body in SUBRESOURCES:
        code, told = release.operator.send(method, f"{base}/{path}", body)
        if code not in {403, 422} or "operator-objects" not in told:
            faults.append(f"{method} {path}: {code} {told}")
    assert faults == []


@pytest.fixture(scope="module")
def provisioner(control_plane: ControlPlane, release: Any) -> Iterator[Any]:
    """Somebody who may write all namespaces, as a self-service does, and is no administrator."""
    name = f"{release.namespace}-provisioner"
    verbs = ("--verb=create,update,patch,get", "--resource=namespaces,namespaces/finalize,namespaces/status")
    control_plane.kubectl("create", "clusterrole", name, *verbs)
    control_plane.kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", f"--user={name}")
    person = release.person
    yield type(person)(person._client, [("Impersonate-User", name)])
    control_plane.kubectl("delete", "clusterrole", name)
    control_plane.kubectl("delete", "clusterrolebinding", name)


def test_who_may_write_namespaces_can_neither_make_nor_alter_a_tenant(
    release: Any, tenant: str, provisioner: Any
) -> None:
    path = f"{NAMESPACES}/{tenant}"
    ours = release_id(release.namespace, release.name)
    claim = {"metadata": {"name": f"{release.namespace}-claim", "labels": {TENANT_LABEL: ours}}}
    code, told = settled(lambda: provisioner.create(NAMESPACES, claim, dryRun="All"), "tenant-labels")
    assert code == 403, told
    for labels in (
        {ACCOUNT_LABEL: "another"},
        {TENANT_LABEL: None},
        {TENANT_LABEL: "elsewhere.td"},
        {"pod-security.kubernetes.io/enforce": "privileged"},
    ):
        patch = {"metadata": {"labels": labels}}
        for where in (path, f"{path}/status"):
            code, told = provisioner.patch(where, patch, dryRun="All")
            assert code == 403, f"{where} {labels}: {code} {told}"
            assert "tenant-labels" in told
    assert provisioner.patch(path, {"metadata": {"labels": {"team": "x"}}}, dryRun="All")[0] == 200
    for allowed in (release.person, release.operator, release.restorer):
        patch = {"metadata": {"labels": {ACCOUNT_LABEL: "b"}}}
        assert allowed.patch(path, patch, dryRun="All")[0] == 200

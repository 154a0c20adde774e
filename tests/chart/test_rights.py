"""What the chart's roles give each service account, and what not, asked of the API server."""

from __future__ import annotations

import time
from typing import Any

import pytest

from talkdesk_crds.names import API_VERSION, GROUP, TENANT_LABEL, release_id, tenant_prefix

BINDINGS = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings"


def allowed(release: Any, component: str, verb: str, resource: str, where: str) -> bool:
    """One SubjectAccessReview. ``where`` is ``own``, ``credentials``, ``elsewhere`` or ``cluster``.

    ``resource`` may name one object: ``secrets=td-session-keys``.
    """
    resource, _, name = resource.partition("=")
    plural, _, subresource = resource.partition("/")
    group = ""
    if "." in plural:
        plural, _, group = plural.partition(".")
    namespaces = {
        "own": release.namespace,
        "credentials": release.credentials_namespace,
        "elsewhere": "kube-system",
        "cluster": "",
    }
    attributes = {"verb": verb, "group": group, "resource": plural, "subresource": subresource, "name": name}
    review = {
        "spec": {
            "user": release.service_account(component),
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{release.namespace}"],
            "resourceAttributes": attributes | {"namespace": namespaces[where]},
        }
    }
    code, status = release.person.review(review)
    assert code == 201
    return bool(status["allowed"])


INSTALLATIONS = f"talkdeskinstallations.{GROUP}"
SLICES = f"talkdeskuserslices.{GROUP}"
REVOCATIONS = f"talkdeskrevocations.{GROUP}"
APPS = f"talkdeskapps.{GROUP}"

REFUSED = [
    ("webhook", "list", INSTALLATIONS, "own"),
    ("webhook", "watch", INSTALLATIONS, "own"),
    ("webhook", "delete", INSTALLATIONS, "own"),
    ("webhook", "patch", f"{INSTALLATIONS}/status", "own"),
    ("webhook", "get", INSTALLATIONS, "elsewhere"),
    ("webhook", "get", REVOCATIONS, "own"),
    ("webhook", "delete", REVOCATIONS, "own"),
    ("webhook", "get", SLICES, "own"),
    ("webhook", "create", SLICES, "own"),
    ("webhook", "get", APPS, "own"),
    ("webhook", "get", "secrets", "credentials"),
    ("webhook", "list", "secrets", "credentials"),
    ("webhook", "patch", "secrets", "credentials"),
    ("webhook", "create", "secrets", "own"),
    ("webhook", "get", "configmaps", "own"),
    ("webhook", "list", "namespaces", "cluster"),
    ("webhook", "get", "secrets=td-session-keys", "own"),
    ("gateway", "create", INSTALLATIONS, "own"),
    ("gateway", "delete", INSTALLATIONS, "own"),
    ("gateway", "patch", f"{INSTALLATIONS}/status", "own"),
    ("gateway", "list", INSTALLATIONS, "elsewhere"),
    ("gateway", "patch", APPS, "own"),
    ("gateway", "patch", SLICES, "own"),
    ("gateway", "create", SLICES, "own"),
    ("gateway", "get", REVOCATIONS, "own"),
    ("gateway", "patch", f"{REVOCATIONS}/status", "own"),
    ("gateway", "delete", REVOCATIONS, "own"),
    ("gateway", "list", "secrets", "credentials"),
    ("gateway", "watch", "secrets", "credentials"),
    ("gateway", "create", "secrets", "credentials"),
    ("gateway", "delete", "secrets", "credentials"),
    ("gateway", "list", "secrets", "own"),
    ("gateway", "watch", "secrets", "own"),
    ("gateway", "create", "secrets", "own"),
    ("gateway", "patch", "secrets=td-session-keys", "own"),
    ("gateway", "delete", "secrets=td-session-keys", "own"),
    ("gateway", "get", "configmaps", "own"),
    ("gateway", "list", "pods", "cluster"),
    ("gateway", "list", "namespaces", "cluster"),
    ("gateway", "list", "secrets", "cluster"),
    ("gateway", "patch", "services", "cluster"),
    ("operator", "create", INSTALLATIONS, "own"),
    ("operator", "create", REVOCATIONS, "own"),
    ("operator", "patch", APPS, "own"),
    ("operator", "patch", SLICES, "elsewhere"),
    ("operator", "watch", "secrets", "credentials"),
    ("operator", "patch", "secrets", "credentials"),
    ("operator", "get", "secrets", "own"),
    ("operator", "list", "secrets", "own"),
    ("operator", "watch", "secrets", "own"),
    ("operator", "patch", "secrets", "own"),
    ("operator", "delete", "secrets=td-session-keys", "own"),
    ("operator", "list", "secrets", "cluster"),
    ("operator", "get", "secrets", "elsewhere"),
    ("operator", "create", "deployments.apps", "elsewhere"),
    ("operator", "create", "pods", "cluster"),
    ("operator", "create", "pods/exec", "cluster"),
    ("operator", "create", "serviceaccounts/token", "own"),
    ("operator", "bind", "clusterroles.rbac.authorization.k8s.io", "cluster"),
    ("operator", "escalate", "clusterroles.rbac.authorization.k8s.io", "cluster"),
    ("operator", "create", "clusterrolebindings.rbac.authorization.k8s.io", "cluster"),
    ("operator", "impersonate", "serviceaccounts", "cluster"),
    ("operator", "deletecollection", "namespaces", "cluster"),
]
GRANTED = [
    ("webhook", "get", INSTALLATIONS, "own"),
    ("webhook", "create", INSTALLATIONS, "own"),
    ("webhook", "patch", INSTALLATIONS, "own"),
    ("webhook", "create", REVOCATIONS, "own"),
    ("webhook", "create", "secrets", "credentials"),
    ("gateway", "watch", INSTALLATIONS, "own"),
    ("gateway", "patch", INSTALLATIONS, "own"),
    ("gateway", "create", REVOCATIONS, "own"),
    ("gateway", "watch", "secrets=td-session-keys", "own"),
    ("gateway", "watch", "secrets=td-identity-keys", "own"),
    ("gateway", "get", "secrets", "credentials"),
    ("gateway", "watch", "services", "cluster"),
    ("operator", "get", "secrets=td-session-keys", "own"),
    ("operator", "watch", "secrets=td-identity-keys", "own"),
    ("operator", "patch", "secrets=td-identity-keys", "own"),
    ("operator", "patch", f"{INSTALLATIONS}/status", "own"),
    ("operator", "patch", SLICES, "own"),
    ("operator", "get", "secrets", "credentials"),
    ("operator", "list", "secrets", "credentials"),
    ("operator", "delete", "secrets", "credentials"),
    ("operator", "create", "namespaces", "cluster"),
    ("operator", "delete", "namespaces", "cluster"),
]


@pytest.mark.parametrize(("component", "verb", "resource", "where"), REFUSED)
def test_a_process_has_no_right_that_it_does_not_need(
    release: Any, component: str, verb: str, resource: str, where: str
) -> None:
    assert not allowed(release, component, verb, resource, where)


@pytest.mark.parametrize(("component", "verb", "resource", "where"), GRANTED)
def test_a_process_has_the_rights_that_it_needs(
    release: Any, component: str, verb: str, resource: str, where: str
) -> None:
    assert allowed(release, component, verb, resource, where)


def binding(release: Any, role: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "operator"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "td-operator", "namespace": release.namespace}],
    }


def test_the_operator_gives_itself_a_tenant_and_no_more(release: Any) -> None:
    name = f"{tenant_prefix(release.namespace, release.name)}rights"
    labels = {TENANT_LABEL: release_id(release.namespace, release.name)}
    labels |= {"pod-security.kubernetes.io/enforce": "restricted"}
    operator = release.operator
    assert operator.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})[0] == 201
    try:
        services = f"/api/v1/namespaces/{name}/services"
        service = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
        assert operator.create(services, service)[0] == 403
        for role in ("cluster-admin", "admin", "edit", "view"):
            code, message = operator.create(BINDINGS.format(name), binding(release, role))
            assert code == 403, message
        role = f"{release.cluster_name}-tenant"
        assert operator.create(BINDINGS.format(name), binding(release, role))[0] == 201
        deadline = time.monotonic() + 10
        while (answer := operator.create(services, service))[0] == 403:
            assert time.monotonic() < deadline, answer
            time.sleep(0.01)
        assert answer[0] == 201, answer
        assert operator.send("GET", f"/api/v1/namespaces/{name}/secrets")[0] == 403
        # Its own tenant it may delete: after the retention nobody else would.
        assert operator.delete(f"/api/v1/namespaces/{name}")[0] == 200
    finally:
        release.person.delete(f"/api/v1/namespaces/{name}")


def test_the_operator_cannot_give_itself_a_namespace_that_is_not_its_own(release: Any) -> None:
    role = f"{release.cluster_name}-tenant"
    deadline = time.monotonic() + 30
    while (
        answer := release.operator.create(BINDINGS.format("default"), binding(release, role), dryRun="All")
    )[0] == 201:
        assert time.monotonic() < deadline, "the policy is not in force"
        time.sleep(0.02)
    assert answer[0] == 422
    assert f"{release.cluster_name}-operator-objects" in answer[1]


def test_a_stranger_reads_no_installation(release: Any) -> None:
    path = f"/apis/{API_VERSION}/namespaces/{release.namespace}/talkdeskinstallations"
    assert release.stranger.send("GET", path)[0] == 403

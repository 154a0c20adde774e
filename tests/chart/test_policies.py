"""Who may write what, tried on the API server.

The service accounts of the release get every right in RBAC here (``all_rights``), so that what is refused is
refused by the admission policies alone; what RBAC itself holds is tried in ``test_rights``.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from samples import sample_of
from talkdesk_crds.names import (
    API_VERSION,
    PAUSED_ANNOTATION,
    RESYNC_ANNOTATION,
    TENANT_LABEL,
    identity_keys_name,
    release_id,
    session_keys_name,
    tenant_prefix,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from talkdesk_sandbox.controlplane import ControlPlane

pytestmark = pytest.mark.usefixtures("all_rights")

SECURE = {"pod-security.kubernetes.io/enforce": "restricted"}
ANSWERS = "talkdesk-operator.io/answers"
MAILS = "talkdesk-operator.io/mails"
#: Every policy over a group of fields that is tried below.
GROUPS = {
    *("reported", "region", "switches", "answers", "status", "app-status", "slices"),
    *("paused", "resync", "resync-length", "gateway", "revocations", "revocation-status", "mails"),
}
CALLERS = ("webhook", "operator", "gateway", "person", "restorer")


SWITCHES = [
    ("suspend", True),
    ("approval", "Manual"),
    ("decision", {"answer": "approve", "updatedAt": "2026-01-05T10:00:00Z"}),
    ("showBar", True),
    ("roles", {"5f0c6a2e9d1b4c00dddddddd": "admin"}),
]


def sample(kind: str, name: str) -> dict[str, Any]:
    obj = sample_of(kind)
    obj["metadata"] = {"name": name}
    return obj


def reported(name: str) -> dict[str, Any]:
    """An installation as the webhook makes it."""
    obj = sample("talkdeskinstallation", name)
    del obj["status"]
    for field in ("region", *(name for name, _ in SWITCHES)):
        del obj["spec"][field]
    return obj


def policy_of(message: str) -> str | None:
    """The policy that denied a request."""
    found = re.search("ValidatingAdmissionPolicy '([^']*)'", message)
    return found[1] if found else None


@pytest.fixture(scope="module")
def all_rights(control_plane: ControlPlane, release: Any) -> Iterator[None]:
    """Every right in RBAC for all service accounts; the policies are in force when this returns."""
    binding = f"{release.cluster_name}-test"
    accounts = [
        f"--serviceaccount={release.namespace}:td-{name}" for name in ("webhook", "operator", "gateway")
    ]
    control_plane.kubectl("create", "clusterrolebinding", binding, "--clusterrole=cluster-admin", *accounts)
    deadline = time.monotonic() + 30
    config_map = {"metadata": {"name": "probe"}}
    suspended = reported("probe")
    suspended["spec"]["suspend"] = True
    probes = [
        (release.operator, "/api/v1/namespaces/default/configmaps", config_map, "operator-objects"),
        (release.operator, "/api/v1/namespaces", config_map, "operator-namespaces"),
        (
            release.operator,
            f"/api/v1/namespaces/{release.namespace}/secrets",
            config_map,
            "operator-keys",
        ),
    ]
    probes += [
        (caller, root(release, resource), obj, f"write-{policy}")
        for caller, resource, obj, policy in (
            (release.person, "talkdeskinstallations", reported("probe"), "reported"),
            (release.person, "talkdeskuserslices", sample("talkdeskuserslice", "probe"), "slices"),
            (release.person, "talkdeskrevocations", sample("talkdeskrevocation", "probe"), "revocations"),
            (release.webhook, "talkdeskuserslices", sample("talkdeskuserslice", "probe"), "slices"),
            (release.webhook, "talkdeskinstallations", suspended, "switches"),
        )
    ]
    for caller, path, obj, policy in probes:
        while policy_of(caller.create(path, obj, dryRun="All")[1]) != f"{release.cluster_name}-{policy}":
            assert time.monotonic() < deadline, f"policy {policy} is not in force"
            time.sleep(0.02)
    yield
    control_plane.kubectl("delete", "clusterrolebinding", binding)


def root(release: Any, resource: str, name: str = "", *, status: bool = False) -> str:
    parts = [
        f"/apis/{API_VERSION}/namespaces/{release.namespace}/{resource}",
        name,
        "status" if status else "",
    ]
    return "/".join(part for part in parts if part)


@pytest.fixture(scope="module")
def installation(release: Any, all_rights: None) -> str:  # noqa: ARG001 -- for its effect
    """Path of an installation that the webhook made and the operator has worked on."""
    assert release.webhook.create(root(release, "talkdeskinstallations"), reported("i"))[0] == 201
    path = root(release, "talkdeskinstallations", "i")
    assert release.operator.patch(path, {"metadata": {"annotations": {ANSWERS: "[]", MAILS: "[]"}}})[0] == 200
    return path


@pytest.fixture(scope="module")
def others(release: Any, all_rights: None) -> dict[str, str]:  # noqa: ARG001 -- for its effect
    """Paths of one object of each other kind, made by its writer."""
    writers = {
        "talkdeskapps": release.person,
        "talkdeskuserslices": release.operator,
        "talkdeskrevocations": release.webhook,
    }
    for resource, writer in writers.items():
        obj = sample(resource.removesuffix("s"), "o")
        code, message = writer.create(root(release, resource), obj)
        assert code == 201, message
    return {resource: root(release, resource, "o") for resource in writers}


def judged(release: Any, request: Any, writers: set[str], policy: str) -> None:
    """``request(caller)`` succeeds for ``writers``, and ``policy`` alone refuses everybody else.

    The gateway is refused by the policy that is about it alone as well; the server names the first it meets.
    """
    assert policy in GROUPS
    for name in CALLERS:
        code, message = request(getattr(release, name))
        if name in writers:
            assert code in {200, 201}, f"{name}: {code} {message}"
            continue
        assert code == 403, f"{name}: {code} {message}"
        refusing = {policy, "gateway"} if name == "gateway" else {policy}
        named = {f"{release.cluster_name}-write-{one}" for one in refusing}
        assert policy_of(message) in named, f"{name}: {message}"


REGISTERS = sorted(sample("talkdeskinstallation", "x")["spec"]["talkdesk"])


@pytest.mark.parametrize("register", REGISTERS)
def test_only_the_webhook_writes_what_talkdesk_said(release: Any, installation: str, register: str) -> None:
    changed: Any = None if register != "recent" else []
    patch = {"spec": {"talkdesk": {register: changed}}}
    judged(
        release,
        lambda caller: caller.patch(installation, patch, dryRun="All"),
        {"webhook", "restorer"},
        "reported",
    )


def test_nobody_else_takes_all_of_it_away(release: Any, installation: str) -> None:
    patch = {"spec": {"talkdesk": None}}
    judged(
        release,
        lambda caller: caller.patch(installation, patch, dryRun="All"),
        {"webhook", "restorer"},
        "reported",
    )


def test_only_the_webhook_creates_installations(release: Any) -> None:
    path = root(release, "talkdeskinstallations")
    judged(
        release,
        lambda caller: caller.create(path, reported("new"), dryRun="All"),
        {"webhook", "restorer"},
        "reported",
    )


def test_only_the_operator_resolves_the_region(release: Any, installation: str) -> None:
    patch = {"spec": {"region": "eu"}}
    judged(
        release,
        lambda caller: caller.patch(installation, patch, dryRun="All"),
        {"operator", "restorer"},
        "region",
    )


@pytest.mark.parametrize(("field", "value"), SWITCHES)
def test_only_people_throw_the_switches(release: Any, installation: str, field: str, value: object) -> None:
    patch = {"spec": {field: value}}
    judged(
        release,
        lambda caller: caller.patch(installation, patch, dryRun="All"),
        {"person", "restorer"},
        "switches",
    )


def test_only_the_operator_notes_the_answers_it_gave(release: Any, installation: str) -> None:
    for value in ('[{"answer": "approve"}]', None):
        patch = {"metadata": {"annotations": {ANSWERS: value}}}
        judged(
            release,
            lambda caller, patch=patch: caller.patch(installation, patch, dryRun="All"),
            {"operator", "restorer"},
            "answers",
        )


def test_only_the_operator_notes_the_mails_it_owes(release: Any, installation: str) -> None:
    for value in ('[{"outcome": "installed"}]', None):
        patch = {"metadata": {"annotations": {MAILS: value}}}
        judged(
            release,
            lambda caller, patch=patch: caller.patch(installation, patch, dryRun="All"),
            {"operator", "restorer"},
            "mails",
        )


def test_only_people_pause_a_tenant(release: Any, installation: str) -> None:
    patch = {"metadata": {"annotations": {PAUSED_ANNOTATION: "maintenance"}}}
    judged(
        release,
        lambda caller: caller.patch(installation, patch, dryRun="All"),
        {"person", "restorer"},
        "paused",
    )


def test_a_look_at_talkdesk_is_asked_for_by_people_the_operator_and_the_gateway(
    release: Any, installation: str
) -> None:
    for value in ("token", None):
        patch = {"metadata": {"annotations": {RESYNC_ANNOTATION: value}}}
        before = {"metadata": {"annotations": {RESYNC_ANNOTATION: "before"}}}
        assert release.person.patch(installation, before)[0] == 200
        judged(
            release,
            lambda caller, patch=patch: caller.patch(installation, patch, dryRun="All"),
            {"person", "operator", "gateway", "restorer"},
            "resync",
        )


def test_nobody_asks_for_a_look_by_more_than_a_status_can_show(release: Any, installation: str) -> None:
    def asking(length: int) -> dict[str, Any]:
        return {"metadata": {"annotations": {RESYNC_ANNOTATION: "é" * length}}}

    judged(
        release,
        lambda caller: caller.patch(installation, asking(128), dryRun="All"),
        {"person", "operator", "gateway", "restorer"},
        "resync",
    )
    for name in ("person", "operator", "gateway"):
        code, message = getattr(release, name).patch(installation, asking(129), dryRun="All")
        assert (code, policy_of(message)) == (403, f"{release.cluster_name}-write-resync-length"), message
        assert "128" in message
    # One that is there already keeps nobody from writing anything else, and can be taken away.
    assert release.restorer.patch(installation, asking(200))[0] == 200
    noted = {"metadata": {"annotations": {ANSWERS: "[1]"}}}
    assert release.operator.patch(installation, noted, dryRun="All")[0] == 200
    assert release.person.patch(installation, asking(200), dryRun="All")[0] == 200
    none = {"metadata": {"annotations": {RESYNC_ANNOTATION: None}}}
    assert release.person.patch(installation, none)[0] == 200


#: What else of an installation there is to write, each a patch that is valid for somebody.
OTHERWISE = {
    "a switch": {"spec": {"suspend": True}},
    "the bar": {"spec": {"showBar": True}},
    "roles": {"spec": {"roles": {"5f0c6a2e9d1b4c00dddddddd": "admin"}}},
    "the region": {"spec": {"region": "eu"}},
    "what Talkdesk said": {"spec": {"talkdesk": {"uninstalled": None}}},
    "a label": {"metadata": {"labels": {"team": "a"}}},
    "another annotation": {"metadata": {"annotations": {"note": "a"}}},
    "an annotation beside its own": {"metadata": {"annotations": {"note": "a", RESYNC_ANNOTATION: "t"}}},
    "an annotation of the operator's, away": {"metadata": {"annotations": {ANSWERS: None}}},
    "a pause": {"metadata": {"annotations": {PAUSED_ANNOTATION: "yes"}}},
    "a finalizer": {"metadata": {"finalizers": ["example.com/held"]}},
    "an owner": {
        "metadata": {
            "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "0-0-0"}]
        }
    },
}


@pytest.mark.parametrize("what", OTHERWISE)
def test_the_gateway_changes_nothing_else_of_an_installation(
    release: Any, installation: str, what: str
) -> None:
    code, message = release.gateway.patch(installation, OTHERWISE[what], dryRun="All")
    assert code == 403, message
    assert f"{release.cluster_name}-write-" in (policy_of(message) or "")
    assert release.restorer.patch(installation, OTHERWISE[what], dryRun="All")[0] == 200


def test_the_gateway_is_held_by_its_own_policy_where_no_other_speaks(release: Any, installation: str) -> None:
    for what in ("a label", "another annotation", "a finalizer", "an owner"):
        code, message = release.gateway.patch(installation, OTHERWISE[what], dryRun="All")
        assert code == 403, message
        assert policy_of(message) == f"{release.cluster_name}-write-gateway", what
        assert release.person.patch(installation, OTHERWISE[what], dryRun="All")[0] == 200


def test_the_gateway_reports_sign_outs_and_no_removals(release: Any, installation: str) -> None:
    revocations = root(release, "talkdeskrevocations")
    assert installation
    for kind, writers in (
        ("SignedOut", {"webhook", "gateway", "restorer"}),
        ("Removed", {"webhook", "restorer"}),
    ):
        obj = sample("talkdeskrevocation", "new")
        obj["spec"]["kind"] = kind
        judged(
            release,
            lambda caller, obj=obj: caller.create(revocations, obj, dryRun="All"),
            writers,
            "revocations",
        )


def test_of_the_secrets_beside_it_the_operator_writes_the_gateways_keys_alone(
    release: Any,
    all_rights: None,  # noqa: ARG001 -- for its effect
) -> None:
    secrets = f"/api/v1/namespaces/{release.namespace}/secrets"
    of_a_token = "kubernetes.io/service-account-token"
    ours = {session_keys_name(release.name), identity_keys_name(release.name)}
    for name in (*sorted(ours), "other"):
        for kind in ("talkdesk-operator.io/keys", "Opaque", of_a_token):
            annotations = {"kubernetes.io/service-account.name": "td-webhook"}
            obj = {"metadata": {"name": name, "annotations": annotations}, "type": kind}
            code, message = release.operator.create(secrets, obj, dryRun="All")
            if name in ours and kind == "talkdesk-operator.io/keys":
                assert code == 201, message
            else:
                assert code == 422, f"{name} {kind}: {code} {message}"
                assert policy_of(message) == f"{release.cluster_name}-operator-keys"
            assert release.person.create(secrets, obj, dryRun="All")[0] == 201


@pytest.mark.parametrize(
    ("field", "value", "policy"),
    [("region", "eu", "region"), *((field, value, "switches") for field, value in SWITCHES)],
)
def test_the_webhook_cannot_create_an_installation_with_fields_of_others(
    release: Any,
    field: str,
    value: object,
    policy: str,
) -> None:
    obj = reported("new")
    obj["spec"][field] = value
    code, message = release.webhook.create(root(release, "talkdeskinstallations"), obj, dryRun="All")
    assert code == 403
    assert policy_of(message) == f"{release.cluster_name}-write-{policy}"
    obj["spec"] |= {"suspend": False}
    del obj["spec"][field]
    assert release.webhook.create(root(release, "talkdeskinstallations"), obj, dryRun="All")[0] == 201


def test_the_webhook_cannot_create_an_installation_with_answers(
    release: Any,
    all_rights: None,  # noqa: ARG001 -- for its effect
) -> None:
    obj = reported("new")
    obj["metadata"]["annotations"] = {ANSWERS: "[]"}
    code, message = release.webhook.create(root(release, "talkdeskinstallations"), obj, dryRun="All")
    assert code == 403
    assert policy_of(message) == f"{release.cluster_name}-write-answers"


@pytest.mark.parametrize("field", ["appId", "accountId", "installationId"])
@pytest.mark.parametrize("caller", CALLERS)
def test_ids_never_change_whoever_asks(release: Any, installation: str, caller: str, field: str) -> None:
    code, message = getattr(release, caller).patch(installation, {"spec": {field: "other"}}, dryRun="All")
    assert code == 422
    assert f"spec.{field}" in message
    assert "immutable" in message


def test_people_may_label_and_annotate_an_installation(release: Any, installation: str) -> None:
    patch = {
        "metadata": {
            "labels": {"team": "a"},
            "annotations": {"note": "b", "talkdesk-operator.io/resync": "1"},
        }
    }
    assert release.person.patch(installation, patch, dryRun="All")[0] == 200


@pytest.mark.parametrize(
    ("resource", "policy"),
    [
        ("talkdeskinstallations", "status"),
        ("talkdeskapps", "app-status"),
        ("talkdeskrevocations", "revocation-status"),
    ],
)
def test_only_the_operator_writes_status(
    release: Any, installation: str, others: dict[str, str], resource: str, policy: str
) -> None:
    path = ({"talkdeskinstallations": installation} | others)[resource]
    status = sample(resource.removesuffix("s"), "x")["status"]
    judged(
        release,
        lambda caller: caller.patch(f"{path}/status", {"status": status}, dryRun="All"),
        {"operator", "restorer"},
        policy,
    )


def test_only_the_operator_says_who_may_enter(release: Any, others: dict[str, str]) -> None:
    slices = root(release, "talkdeskuserslices")
    intruder = {"spec": {"users": {"intruder": {"epoch": "e"}}}}
    judged(
        release,
        lambda caller: caller.create(slices, sample("talkdeskuserslice", "new"), dryRun="All"),
        {"operator", "restorer"},
        "slices",
    )
    judged(
        release,
        lambda caller: caller.patch(others["talkdeskuserslices"], intruder, dryRun="All"),
        {"operator", "restorer"},
        "slices",
    )


def test_only_the_webhook_reports_a_revocation_and_nobody_alters_it(
    release: Any, others: dict[str, str]
) -> None:
    judged(
        release,
        lambda caller: caller.create(
            root(release, "talkdeskrevocations"), sample("talkdeskrevocation", "new"), dryRun="All"
        ),
        {"webhook", "restorer"},
        "revocations",
    )
    for caller in CALLERS:
        code, _ = getattr(release, caller).patch(
            others["talkdeskrevocations"], {"spec": {"users": ["other"]}}, dryRun="All"
        )
        assert code in {403, 422}, caller


def test_a_restored_backup_comes_back_whole(release: Any) -> None:
    obj = sample("talkdeskinstallation", "restored")
    obj["metadata"]["annotations"] = {ANSWERS: "[]"}
    code, message = release.restorer.create(root(release, "talkdeskinstallations"), obj)
    assert code == 201, message
    path = root(release, "talkdeskinstallations", "restored")
    assert release.restorer.patch(f"{path}/status", {"status": obj["status"]})[0] == 200
    assert release.restorer.delete(path)[0] == 200


def test_no_policy_over_fields_is_missing_from_this_file(control_plane: ControlPlane, release: Any) -> None:
    prefix = f"{release.cluster_name}-write-"
    names = control_plane.kubectl("get", "validatingadmissionpolicies", "-o", "name").split()
    assert {name.partition(prefix)[2] for name in names if prefix in name} == GROUPS


@pytest.fixture(scope="module")
def tenant(release: Any, all_rights: None) -> Iterator[str]:  # noqa: ARG001 -- for its effect
    """A tenant namespace that the operator made."""
    name = f"{tenant_prefix(release.namespace, release.name)}tenant"
    labels = {TENANT_LABEL: release_id(release.namespace, release.name), **SECURE}
    code, message = release.operator.create(
        "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}}
    )
    assert code == 201, message
    yield name
    assert release.operator.delete(f"/api/v1/namespaces/{name}")[0] == 200


@pytest.fixture(scope="module")
def foreign(release: Any) -> dict[str, str]:
    """Namespaces that look ever more like a tenant, and are none of this release's."""
    prefix = tenant_prefix(release.namespace, release.name)
    labels = {
        "plain": {},
        "labelled by another release": {TENANT_LABEL: "elsewhere.td"},
        "unlabelled with the prefix": {},
    }
    names = {
        "plain": f"{release.namespace}-plain",
        "labelled by another release": f"{release.namespace}-other",
        "unlabelled with the prefix": f"{prefix}foreign",
    }
    for key, name in names.items():
        assert (
            release.person.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels[key]}})[
                0
            ]
            == 201
        )
        release.person.create(
            f"/api/v1/namespaces/{name}/configmaps", {"metadata": {"name": "theirs"}, "data": {"a": "b"}}
        )
    return names


FOREIGN = ("plain", "labelled by another release", "unlabelled with the prefix")


def refused(release: Any, answer: tuple[int, str], policy: str) -> None:
    code, message = answer
    assert policy_of(message) == f"{release.cluster_name}-operator-{policy}", f"{code} {message}"
    assert code == 422


@pytest.mark.parametrize("where", FOREIGN)
def test_the_operator_writes_nothing_in_a_namespace_it_does_not_own(
    release: Any,
    foreign: dict[str, str],
    where: str,
) -> None:
    base = f"/api/v1/namespaces/{foreign[where]}"
    binding = {
        "metadata": {"name": "b"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
    }
    bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{foreign[where]}/rolebindings"
    token = {"spec": {"audiences": ["https://kubernetes.default.svc"]}}
    operator = release.operator
    for answer in (
        operator.create(f"{base}/configmaps", {"metadata": {"name": "new"}}),
        operator.patch(f"{base}/configmaps/theirs", {"data": {"a": "c"}}),
        operator.delete(f"{base}/configmaps/theirs"),
        operator.delete(f"{base}/configmaps"),
        operator.create(f"{base}/secrets", {"metadata": {"name": "new"}}),
        operator.create(bindings, binding),
        operator.create(f"{base}/serviceaccounts/default/token", token),
        operator.create(
            f"{base}/events", {"metadata": {"name": "e"}, "involvedObject": {"namespace": foreign[where]}}
        ),
    ):
        refused(release, answer, "objects")


def test_nobody_elses_writes_are_looked_at(release: Any, foreign: dict[str, str]) -> None:
    for namespace in foreign.values():
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        assert release.person.create(path, {"metadata": {"name": "mine"}}, dryRun="All")[0] == 201
        assert release.webhook.create(path, {"metadata": {"name": "mine"}}, dryRun="All")[0] == 201


def test_the_operator_works_in_its_tenants_and_its_own_namespaces(release: Any, tenant: str) -> None:
    for namespace in (tenant, release.namespace, release.credentials_namespace):
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        assert release.operator.create(path, {"metadata": {"name": "mine"}})[0] == 201
        assert release.operator.patch(f"{path}/mine", {"data": {"a": "b"}})[0] == 200
        assert release.operator.delete(f"{path}/mine")[0] == 200


@pytest.mark.parametrize(
    ("prefixed", "label"),
    [(True, None), (True, "elsewhere.td"), (False, "ours"), (False, None)],
    ids=["no label", "label of another release", "no prefix", "neither"],
)
def test_the_operator_creates_no_namespace_that_is_not_marked_as_its_own(
    release: Any,
    prefixed: bool,
    label: str | None,
) -> None:
    name = f"{tenant_prefix(release.namespace, release.name) if prefixed else 'free-'}new"
    value = release_id(release.namespace, release.name) if label == "ours" else label
    labels = SECURE | ({TENANT_LABEL: value} if value else {})
    obj = {"metadata": {"name": name, "labels": labels}}
    refused(release, release.operator.create("/api/v1/namespaces", obj, dryRun="All"), "namespaces")


@pytest.mark.parametrize("label", [None, "elsewhere.td"], ids=["removed", "given to another release"])
def test_the_operator_cannot_take_its_mark_from_a_tenant(
    release: Any, tenant: str, label: str | None
) -> None:
    patch = {"metadata": {"labels": {TENANT_LABEL: label}}}
    answer = release.operator.patch(f"/api/v1/namespaces/{tenant}", patch, dryRun="All")
    refused(release, answer, "namespaces")


@pytest.mark.parametrize("where", FOREIGN)
def test_the_operator_cannot_claim_alter_or_delete_a_foreign_namespace(
    release: Any,
    foreign: dict[str, str],
    where: str,
) -> None:
    path = f"/api/v1/namespaces/{foreign[where]}"
    finalized = {"metadata": {"name": foreign[where]}, "spec": {"finalizers": []}}
    claim = {"metadata": {"labels": {TENANT_LABEL: release_id(release.namespace, release.name)}}}
    for answer in (
        release.operator.patch(path, claim, dryRun="All"),
        release.operator.patch(path, {"metadata": {"annotations": {"a": "b"}}}, dryRun="All"),
        release.operator.patch(f"{path}/status", {"metadata": {"annotations": {"a": "b"}}}, dryRun="All"),
        release.operator.send("PUT", f"{path}/finalize", finalized, dryRun="All"),
        release.operator.delete(path, dryRun="All"),
    ):
        refused(release, answer, "namespaces")


def test_the_operator_deletes_no_namespace_by_its_label_alone(
    control_plane: ControlPlane, release: Any
) -> None:
    name = f"labelled-{release.namespace}"
    control_plane.kubectl("create", "namespace", name)
    mark = f"{TENANT_LABEL}={release_id(release.namespace, release.name)}"
    control_plane.kubectl("label", "namespace", name, mark)
    refused(release, release.operator.delete(f"/api/v1/namespaces/{name}", dryRun="All"), "namespaces")


def test_the_operator_annotates_and_deletes_its_own_tenants(release: Any, tenant: str) -> None:
    path = f"/api/v1/namespaces/{tenant}"
    assert release.operator.patch(path, {"metadata": {"annotations": {"a": "b"}}}, dryRun="All")[0] == 200
    assert release.operator.delete(path, dryRun="All")[0] == 200

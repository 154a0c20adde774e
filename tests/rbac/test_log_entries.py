"""What a line of the audit log says about rights."""

from __future__ import annotations

from typing import Any

import pytest

from talkdesk_sandbox.rights import Right, missing, used

OURS = "talkdesk-operator.io"
BINDINGS = "rbac.authorization.k8s.io"


def entry(
    verb: str, resource: str, *, group: str = "", namespace: str = "", by: str = "operator", **more: Any
) -> dict[str, Any]:
    plural, _, subresource = resource.partition("/")
    where = {"resource": plural, "subresource": subresource, "apiGroup": group, "namespace": namespace}
    code, message = more.get("code", 200), more.get("message", "")
    return {
        "verb": verb,
        "user": {"username": more.get("user", f"system:serviceaccount:own:td-{by}")},
        "objectRef": {key: value for key, value in where.items() if value},
        "responseStatus": {"code": code, "message": message},
        "annotations": {"authorization.k8s.io/decision": "forbid" if code == 403 else "allow"},
    }


def cannot(verb: str, resource: str) -> str:
    """The API server's words."""
    return f'x is forbidden: User "u" cannot {verb} resource "{resource}" in API group "g"'


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        (entry("list", "deployments", group="apps"), Right("cluster", "apps", "deployments", "list")),
        (entry("patch", "services", namespace="tenant"), Right("tenant", "", "services", "patch")),
        (entry("patch", "configmaps", namespace="own"), Right("operator", "", "configmaps", "patch")),
        (
            entry("get", "secrets", namespace="own-td-credentials"),
            Right("operator-credentials", "", "secrets", "get"),
        ),
        (
            entry("create", "secrets", namespace="own-td-credentials", by="webhook"),
            Right("webhook-credentials", "", "secrets", "create"),
        ),
        (
            entry("watch", "secrets", namespace="own", by="gateway"),
            Right("gateway", "", "secrets", "watch"),
        ),
        (
            entry("get", "secrets", namespace="own-td-credentials", by="gateway"),
            Right("gateway-credentials", "", "secrets", "get"),
        ),
        (
            entry("watch", "services", by="gateway"),
            Right("gateway-cluster", "", "services", "watch"),
        ),
        (
            entry("patch", "talkdeskapps/status", group=OURS, namespace="own"),
            Right("operator", OURS, "talkdeskapps/status", "patch"),
        ),
        (
            entry("get", "talkdeskinstallations", group=OURS, namespace="own", by="webhook", code=404),
            Right("webhook", OURS, "talkdeskinstallations", "get"),
        ),
    ],
    ids=str,
)
def test_a_request_used_the_right_of_the_place_where_it_went(line: dict[str, Any], needed: Right) -> None:
    assert used(line) == {needed}


def test_an_apply_that_makes_its_object_used_create_as_well() -> None:
    line = entry("patch", "services", namespace="tenant", code=201)
    assert used(line) == {Right("tenant", "", "services", verb) for verb in ("patch", "create")}


def test_making_a_binding_used_bind() -> None:
    line = entry("patch", "rolebindings", group=BINDINGS, namespace="tenant", code=201)
    assert used(line) == {
        Right("cluster", BINDINGS, "rolebindings", "patch"),
        Right("cluster", BINDINGS, "rolebindings", "create"),
        Right("cluster", BINDINGS, "clusterroles", "bind"),
    }


@pytest.mark.parametrize(
    "line",
    [
        entry("get", "secrets", namespace="own", user="admin"),
        entry("get", "secrets", namespace="own", user="system:serviceaccount:tenant:default"),
        entry("create", "selfsubjectreviews", group="authentication.k8s.io"),
        entry("list", "secrets", namespace="own", code=403),
        entry(
            "patch", "services", namespace="tenant", code=422, message="ValidatingAdmissionPolicy 'x' denied"
        ),
    ],
)
def test_nothing_was_used_by_others_or_by_what_was_refused(line: dict[str, Any]) -> None:
    assert used(line) == set()


@pytest.mark.parametrize(
    ("line", "lacked"),
    [
        (
            entry(
                "patch", "services", namespace="tenant", code=403,
                message=cannot("create", "services"),
            ),
            Right("tenant", "", "services", "create"),
        ),
        (
            entry(
                "patch", "talkdeskapps/status", group=OURS, namespace="own", code=403,
                message=cannot("patch", "talkdeskapps/status"),
            ),
            Right("operator", OURS, "talkdeskapps/status", "patch"),
        ),
        (
            entry(
                "patch", "rolebindings", group=BINDINGS, namespace="tenant", code=403,
                message='user "u" is attempting to grant RBAC permissions not currently held: {…}',
            ),
            Right("cluster", BINDINGS, "clusterroles", "bind"),
        ),
        (entry("patch", "services", namespace="t", code=403, message="t is being terminated"), None),
        (entry("patch", "services", namespace="t"), None),
    ],
)  # fmt: skip
def test_a_refusal_names_the_right_that_lacked(line: dict[str, Any], lacked: Right | None) -> None:
    assert missing(line) == lacked

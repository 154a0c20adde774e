"""What the chart renders, and what its values may be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from talkdesk_crds.names import release_id, tenant_name, tenant_prefix
from talkdesk_crds.schema.crd import crd
from talkdesk_crds.schema.kinds import KINDS
from talkdesk_sandbox.controlplane import CommandError

if TYPE_CHECKING:
    from pathlib import Path

    from talkdesk_sandbox.controlplane import ControlPlane


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [obj for obj in objects if obj["kind"] == kind]


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pod spec of each Deployment."""
    return {
        obj["metadata"]["name"]: obj["spec"]["template"]["spec"] for obj in of_kind(objects, "Deployment")
    }


def variables(pod: dict[str, Any]) -> dict[str, str]:
    (container,) = pod["containers"]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def test_helm_lint_finds_nothing(control_plane: ControlPlane, chart: Path) -> None:
    assert "0 chart(s) failed" in control_plane.helm("lint", "--strict", chart)


def test_every_process_runs_without_root_and_cannot_write_its_image(render: Any) -> None:
    found = pods(render())
    assert set(found) == {"td-webhook", "td-operator"}
    for pod in found.values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"startupProbe", "readinessProbe", "livenessProbe", "resources"} <= container.keys()
    assert len({container["image"] for pod in found.values() for container in pod["containers"]}) == 1


def test_the_crds_are_the_generated_ones_and_survive_an_uninstall(render: Any) -> None:
    found = {obj["metadata"]["name"]: obj for obj in of_kind(render(), "CustomResourceDefinition")}
    assert len(found) == len(KINDS)
    for kind in KINDS:
        obj = found[f"{kind.plural}.talkdesk-operator.io"]
        assert obj["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
        assert obj == crd(kind)
    assert of_kind(render("--set", "crds.install=false"), "CustomResourceDefinition") == []


def test_the_credentials_namespace_survives_an_uninstall_or_is_somebody_elses(render: Any) -> None:
    (namespace,) = of_kind(render(), "Namespace")
    assert namespace["metadata"]["name"] == "talkdesk-system-td-credentials"
    assert namespace["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    given = render("--set", "credentialsNamespace.create=false,credentialsNamespace.name=vault")
    assert of_kind(given, "Namespace") == []
    assert {variables(pod)["TALKDESK_CREDENTIALS_NAMESPACE"] for pod in pods(given).values()} == {"vault"}
    roles = [obj["metadata"]["namespace"] for obj in of_kind(given, "Role") if "namespace" in obj["metadata"]]
    assert roles == ["vault", "vault"]


def test_a_private_authority_reaches_every_process_as_a_file(render: Any, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    objects = render("--set-file", f"egress.ca={tmp_path / 'ca.pem'}")
    (config,) = of_kind(objects, "ConfigMap")
    assert config["data"]["ca.pem"] == (tmp_path / "ca.pem").read_text()
    for pod in pods(objects).values():
        (container,) = pod["containers"]
        mount = next(mount for mount in container["volumeMounts"] if mount["name"] == "egress-ca")
        assert variables(pod)["TALKDESK_CA_FILE"] == f"{mount['mountPath']}/ca.pem"
        assert {"name": "egress-ca", "configMap": {"name": config["metadata"]["name"]}} in pod["volumes"]


def test_values_reach_the_processes(render: Any) -> None:
    objects = render(
        *("--set", "operator.lease.seconds=3,operator.lease.renewSeconds=2"),
        *("--set-json", "operator.lease.retrySeconds=0.5"),
        *("--set", "webhook.gateways={https://a.example,https://b.example},webhook.port=9000"),
        *("--set", "egress.proxy=http://proxy:3128,log.level=debug,env.TALKDESK_EXTRA=1\\,2"),
        *("--set-string", "env.TALKDESK_NUMBER=007"),
    )
    operator, webhook = (variables(pods(objects)[f"td-{name}"]) for name in ("operator", "webhook"))
    assert operator["TALKDESK_LEASE_SECONDS"] == "3"
    assert operator["TALKDESK_LEASE_RETRY_SECONDS"] == "0.5"
    assert operator["TALKDESK_TENANT_CLUSTER_ROLE"] == "talkdesk-system-td-tenant"
    assert webhook["TALKDESK_GATEWAYS"] == "https://a.example,https://b.example"
    assert webhook["TALKDESK_PORT"] == "9000"
    for process in (operator, webhook):
        assert process["TALKDESK_EGRESS_PROXY"] == "http://proxy:3128"
        assert process["TALKDESK_LOG_LEVEL"] == "debug"
        assert process["TALKDESK_EXTRA"] == "1,2"
        assert process["TALKDESK_NUMBER"] == "007"


def test_two_releases_share_no_cluster_wide_name(render: Any) -> None:
    def names(**where: str) -> set[tuple[str, str]]:
        objects = render("--set", "crds.install=false", **where)
        scoped = ("ClusterRole", "ClusterRoleBinding", "Namespace", "ValidatingAdmissionPolicy")
        return {(obj["kind"], obj["metadata"]["name"]) for obj in objects if obj["kind"].startswith(scoped)}

    first, second, third = names(), names(release="other"), names(namespace="elsewhere")
    assert first
    assert not first & second
    assert not first & third


@pytest.mark.parametrize(
    ("namespace", "release"),
    [("talkdesk-system", "td"), ("a", "b-c"), ("a-b", "c"), ("n" * 60, "r" * 40)],
)
def test_chart_and_code_name_tenants_alike(render: Any, namespace: str, release: str) -> None:
    objects = render(namespace=namespace, release=release)
    policies = json.dumps(of_kind(objects, "ValidatingAdmissionPolicy"))
    assert f"startsWith('{tenant_prefix(namespace, release)}')" in policies
    assert f"== '{release_id(namespace, release)}'" in policies
    tenant = tenant_name(namespace, release, app_id="a", region="eu", account_id="b")
    assert tenant.startswith(tenant_prefix(namespace, release))
    assert len(tenant) <= 63


def test_no_role_has_a_wildcard_or_reads_secrets_at_large(render: Any) -> None:
    for role in of_kind(render(), "ClusterRole") + of_kind(render(), "Role"):
        for rule in role["rules"]:
            for granted in (rule["verbs"], rule["resources"], rule["apiGroups"]):
                assert "*" not in granted, role["metadata"]["name"]
            if "secrets" in rule["resources"] and {"list", "watch"} & set(rule["verbs"]):
                where = role["metadata"].get("namespace", "")
                # Credentials are found by label: their namespace alone may be listed.
                assert where.endswith("-credentials"), role["metadata"]["name"]
                assert "watch" not in rule["verbs"], role["metadata"]["name"]


def leaves(schema: dict[str, Any], definitions: dict[str, Any], path: str = "") -> dict[str, dict[str, Any]]:
    """Every value of values.schema.json by its JSON pointer."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].removeprefix("#/$defs/")]
    if "properties" not in schema:
        return {path: schema}
    found = {}
    for name, child in schema["properties"].items():
        found |= leaves(child, definitions, f"{path}/{name}")
    return found


def nested(paths: dict[str, Any]) -> dict[str, Any]:
    """Values by JSON pointer as nested values."""
    tree: dict[str, Any] = {}
    for path, value in paths.items():
        *parents, last = path.removeprefix("/").split("/")
        inner = tree
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    return tree


def refusal(control_plane: ControlPlane, chart: Path, values: Path) -> str:
    """What helm says of values that it must refuse."""
    with pytest.raises(CommandError) as refused:
        control_plane.helm("template", "td", chart, "--values", values)
    return str(refused.value)


def test_every_value_of_the_wrong_type_is_refused_by_its_name(
    control_plane: ControlPlane, chart: Path, tmp_path: Path
) -> None:
    schema = json.loads((chart / "values.schema.json").read_text())
    known = leaves(schema, schema["$defs"])
    wrong = {path: [] if leaf.get("type") != "array" else "text" for path, leaf in known.items()}
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(nested(wrong)))
    message = refusal(control_plane, chart, tmp_path / "values.yaml")
    assert [path for path in wrong if f"at '{path}'" not in message] == []


def test_every_misspelt_value_is_refused_by_its_name(
    control_plane: ControlPlane, chart: Path, tmp_path: Path
) -> None:
    schema = json.loads((chart / "values.schema.json").read_text())
    groups = {path.rpartition("/")[0] for path in leaves(schema, schema["$defs"])} - {"/global"}
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(nested({f"{group}/mistake": 1 for group in groups})))
    message = refusal(control_plane, chart, tmp_path / "values.yaml")
    for group in groups:
        assert f"at '{group}': additional properties 'mistake' not allowed" in message, group


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/image/repository", ""),
        ("/image/pullPolicy", "Sometimes"),
        ("/credentialsNamespace/name", "Not_A_Label"),
        ("/webhook/replicas", -1),
        ("/webhook/gateways", []),
        ("/webhook/gateways", ["http://api.talkdeskapp.com"]),
        ("/webhook/gateways", ["https://api.talkdeskapp.com/path"]),
        ("/webhook/port", 80),
        ("/webhook/drainSeconds", -1),
        ("/operator/replicas", 1.5),
        ("/operator/workers", 0),
        ("/operator/resyncSeconds", -1),
        ("/operator/lease/seconds", 0),
        ("/egress/proxy", "socks5://proxy"),
        ("/restoreGroup", ""),
        ("/log/level", "loud"),
        ("/log/format", "xml"),
        ("/env", {"TALKDESK_X": 1}),
    ],
)
def test_a_bad_value_is_refused_by_its_name(
    control_plane: ControlPlane, chart: Path, tmp_path: Path, path: str, value: object
) -> None:
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(nested({path: value})))
    assert f"at '{path}" in refusal(control_plane, chart, tmp_path / "values.yaml")


def test_the_schema_knows_every_value_and_every_value_has_a_default(chart: Path) -> None:
    schema = json.loads((chart / "values.schema.json").read_text())
    values = yaml.safe_load((chart / "values.yaml").read_text())
    for path in leaves(schema, schema["$defs"]):
        if path == "/global" or path.split("/")[-1] in {"requests", "limits"}:
            continue
        inner = values
        for part in path.removeprefix("/").split("/"):
            assert part in inner, path
            inner = inner[part]

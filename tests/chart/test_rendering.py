"""What the chart renders, and what its values may be."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from talkdesk_crds.names import release_id, tenant_name, tenant_prefix
from talkdesk_crds.schema.crd import crd
from talkdesk_crds.schema.kinds import KINDS
from talkdesk_gateway.envoy import EnvoySettings
from talkdesk_gateway.settings import GatewaySettings
from talkdesk_operator.settings import OperatorSettings
from talkdesk_sandbox.certificates import Authority
from talkdesk_sandbox.controlplane import CommandError
from talkdesk_sandbox.envoy import program
from talkdesk_webhook.settings import WebhookSettings

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_settings import BaseSettings

    from talkdesk_sandbox.controlplane import ControlPlane

#: Values that make the chart set each variable that it knows.
EVERYTHING = (
    *("--set", "envoy.tls.secretName=cert,kubeconfig=/k,egress.proxy=http://p,egress.ca=x"),
    *("--set", "smtp.host=h,smtp.from=a@b.c,smtp.credentialsSecret=s,smtp.ca=x"),
)


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [obj for obj in objects if obj["kind"] == kind]


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pod spec of each Deployment."""
    return {
        obj["metadata"]["name"]: obj["spec"]["template"]["spec"] for obj in of_kind(objects, "Deployment")
    }


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """All of a pod's, those that only prepare it first."""
    return [*pod.get("initContainers", ()), *pod["containers"]]


def variables(pod: dict[str, Any]) -> dict[str, str]:
    """Of the one container of the product's image."""
    (container,) = (one for one in containers(pod) if one["image"].startswith("talkdesk-operator:"))
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def processes(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pods whose containers are the product's processes."""
    return {name: pod for name, pod in pods(objects).items() if name != "td-envoy"}


def test_helm_lint_finds_nothing(control_plane: ControlPlane, chart: Path) -> None:
    assert "0 chart(s) failed" in control_plane.helm("lint", "--strict", chart)


def test_a_pod_may_go_without_anybody_noticing(render: Any) -> None:
    replicas = {obj["metadata"]["name"]: obj["spec"]["replicas"] for obj in of_kind(render(), "Deployment")}
    assert replicas == {"td-webhook": 2, "td-operator": 2, "td-gateway": 2, "td-envoy": 2}


def test_every_process_runs_without_root_and_cannot_write_its_image(render: Any) -> None:
    found = pods(render())
    assert set(found) == {"td-webhook", "td-operator", "td-gateway", "td-envoy"}
    for pod in found.values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "resources" in container
        for container in pod["containers"]:
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
    images = {one["image"] for pod in found.values() for one in containers(pod)}
    assert len(images - {"envoyproxy/envoy:v1.40.0"}) == 1


def test_webhook_and_operator_run_twice_unless_told_otherwise(render: Any) -> None:
    replicas = {obj["metadata"]["name"]: obj["spec"]["replicas"] for obj in of_kind(render(), "Deployment")}
    assert (replicas["td-webhook"], replicas["td-operator"]) == (2, 2)


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
    told = {variables(pod)["TALKDESK_CREDENTIALS_NAMESPACE"] for pod in processes(given).values()}
    assert told == {"vault"}
    roles = [obj["metadata"]["namespace"] for obj in of_kind(given, "Role") if "namespace" in obj["metadata"]]
    assert roles == ["vault", "vault", "vault"]


def test_a_private_authority_reaches_every_process_as_a_file(render: Any, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    objects = render("--set-file", f"egress.ca={tmp_path / 'ca.pem'}")
    (config,) = of_kind(objects, "ConfigMap")
    assert config["data"]["ca.pem"] == (tmp_path / "ca.pem").read_text()
    for pod in processes(objects).values():
        (container,) = pod["containers"]
        mount = next(mount for mount in container["volumeMounts"] if mount["name"] == "egress-ca")
        assert variables(pod)["TALKDESK_CA_FILE"] == f"{mount['mountPath']}/ca.pem"
        assert {"name": "egress-ca", "configMap": {"name": config["metadata"]["name"]}} in pod["volumes"]


def test_values_reach_the_processes(render: Any) -> None:
    objects = render(
        *("--set", "operator.lease.seconds=3,operator.lease.renewSeconds=2"),
        *("--set", "operator.staleSeconds=400,gateway.staleSeconds=200"),
        *("--set-json", "operator.lease.retrySeconds=0.5"),
        *("--set", "webhook.gateways={https://a.example,https://b.example},webhook.port=9000"),
        *("--set", "egress.proxy=http://proxy:3128,log.level=debug,env.TALKDESK_EXTRA=1\\,2"),
        *("--set-string", "env.TALKDESK_NUMBER=007"),
    )
    operator, webhook, gateway = (
        variables(pods(objects)[f"td-{name}"]) for name in ("operator", "webhook", "gateway")
    )
    assert operator["TALKDESK_LEASE_SECONDS"] == "3"
    assert operator["TALKDESK_LEASE_RETRY_SECONDS"] == "0.5"
    assert operator["TALKDESK_TENANT_CLUSTER_ROLE"] == "talkdesk-system-td-tenant"
    assert (operator["TALKDESK_STALE_SECONDS"], gateway["TALKDESK_STALE_SECONDS"]) == ("400", "200")
    assert webhook["TALKDESK_GATEWAYS"] == "https://a.example,https://b.example"
    assert webhook["TALKDESK_PORT"] == "9000"
    for process in (operator, webhook, gateway):
        assert process["TALKDESK_EGRESS_PROXY"] == "http://proxy:3128"
        assert process["TALKDESK_LOG_LEVEL"] == "debug"
        assert process["TALKDESK_EXTRA"] == "1,2"
        assert process["TALKDESK_NUMBER"] == "007"


@pytest.mark.parametrize(
    ("level", "envoys"), [("debug", "info"), ("info", "info"), ("warning", "warning"), ("error", "error")]
)
def test_no_level_of_the_logs_makes_envoy_print_cookies_and_codes(
    render: Any, level: str, envoys: str
) -> None:
    # At debug Envoy prints each request with all its headers, and the query of its URL.
    (envoy,) = pods(render("--set", f"log.level={level}"))["td-envoy"]["containers"]
    assert envoy["args"][envoy["args"].index("--log-level") + 1] == envoys


def test_an_smtp_server_reaches_the_operator_alone_its_login_as_files(render: Any, tmp_path: Path) -> None:
    assert not [name for name in variables(pods(render())["td-operator"]) if "SMTP" in name]
    values = tmp_path / "values.yaml"
    smtp = {"host": "mail.example.com", "port": 465, "tls": "implicit", "from": "apps@example.com"}
    smtp |= {"credentialsSecret": "mail-login", "ca": "-----BEGIN CERTIFICATE-----"}
    values.write_text(yaml.safe_dump({"smtp": smtp}))
    objects = render("--values", str(values))
    found = pods(objects)
    told = variables(found["td-operator"])
    assert {name: value for name, value in told.items() if "SMTP" in name} == {
        "TALKDESK_SMTP_HOST": "mail.example.com",
        "TALKDESK_SMTP_PORT": "465",
        "TALKDESK_SMTP_TLS": "implicit",
        "TALKDESK_SMTP_FROM": "apps@example.com",
        "TALKDESK_SMTP_CREDENTIALS": "/etc/talkdesk-operator/smtp",
        "TALKDESK_SMTP_CA_FILE": "/etc/talkdesk-operator/smtp-ca/ca.pem",
    }
    volumes = {one["name"]: one for one in found["td-operator"]["volumes"]}
    mounts = {one["name"]: one for one in found["td-operator"]["containers"][0]["volumeMounts"]}
    assert volumes["smtp-credentials"]["secret"]["secretName"] == "mail-login"
    assert mounts["smtp-credentials"]["mountPath"] == told["TALKDESK_SMTP_CREDENTIALS"]
    assert volumes["smtp-ca"]["configMap"]["name"] == "td-smtp-ca"
    (ca,) = [one for one in of_kind(objects, "ConfigMap") if one["metadata"]["name"] == "td-smtp-ca"]
    assert ca["data"]["ca.pem"] == smtp["ca"]
    for name in set(found) - {"td-operator"}:
        assert "smtp" not in json.dumps(found[name])


def test_gateway_envoy_and_operator_agree_on_how_browsers_come(render: Any) -> None:
    objects = render("--set", "public.scheme=http,public.port=18080,gateway.waitSeconds=3")
    found = pods(objects)
    for name, prefix in (("operator", ""), ("gateway", ""), ("envoy", "ENVOY_")):
        told = variables(found[f"td-{name}"])
        assert told[f"TALKDESK_{prefix}PUBLIC_SCHEME"] == "http"
        assert told[f"TALKDESK_{prefix}PUBLIC_PORT"] == "18080"
    assert variables(found["td-gateway"])["TALKDESK_WAIT_SECONDS"] == "3"


def test_envoy_finds_the_gateways_service_and_its_ports(render: Any) -> None:
    objects = render(release="my-td")
    by_name = {obj["metadata"]["name"]: obj for obj in of_kind(objects, "Service")}
    service, pod = by_name["my-td-gateway"], pods(objects)["my-td-gateway"]
    declared = {one["name"]: one["containerPort"] for one in pod["containers"][0]["ports"]}
    assert {one["name"]: one["targetPort"] for one in service["spec"]["ports"]} == {
        name: name for name in ("web", "decision", "relay", "jwks")
    }
    # Settings of gateway and Envoy have these defaults; nothing else says which port is which.
    assert declared == {"web": 8080, "decision": 8081, "relay": 8082, "jwks": 8083, "metrics": 9090}
    assert all(declared[one["name"]] == one["port"] for one in service["spec"]["ports"])
    # By its name: running Envoys would keep an address that is another's by now, a tenant's perhaps.
    envoy = pods(objects)["my-td-envoy"]
    assert variables(envoy)["TALKDESK_ENVOY_GATEWAY_HOSTS"] == "my-td-gateway.talkdesk-system.svc"


def test_without_dns_envoy_is_told_an_address_or_the_variable_that_has_it(render: Any) -> None:
    for hosts in ("10.0.0.1", "$(TD_GATEWAY_SERVICE_HOST)"):
        envoy = pods(render("--set", f"envoy.gatewayHosts={hosts}"))["td-envoy"]
        assert variables(envoy)["TALKDESK_ENVOY_GATEWAY_HOSTS"] == hosts
        assert envoy.get("enableServiceLinks", True)


def test_envoys_pod_reads_what_its_init_container_wrote_and_has_no_token(render: Any) -> None:
    (envoy,) = (pod for name, pod in pods(render()).items() if name == "td-envoy")
    (config,), (main,) = envoy["initContainers"], envoy["containers"]
    written = config["args"][config["args"].index("--output") + 1]
    assert main["args"][main["args"].index("-c") + 1] == written
    folder = {one["mountPath"]: one["name"] for one in main["volumeMounts"]}[written.rpartition("/")[0]]
    assert {"name": folder, "emptyDir": {}} in envoy["volumes"]
    assert envoy["automountServiceAccountToken"] is False
    drain = {one["name"]: one["containerPort"] for one in main["ports"]}["drain"]
    assert main["lifecycle"]["preStop"]["httpGet"] == {"path": "/drain", "port": "drain"}
    assert variables(envoy)["TALKDESK_ENVOY_DRAIN_PORT"] == str(drain)


@pytest.mark.parametrize(
    ("component", "settings", "prefix"),
    [
        ("webhook", WebhookSettings, "TALKDESK_"),
        ("operator", OperatorSettings, "TALKDESK_"),
        ("gateway", GatewaySettings, "TALKDESK_"),
        ("envoy", EnvoySettings, "TALKDESK_ENVOY_"),
    ],
)
def test_every_variable_that_the_chart_sets_is_a_setting_of_its_process(
    render: Any, component: str, settings: type[BaseSettings], prefix: str
) -> None:
    told = variables(pods(render(*EVERYTHING))[f"td-{component}"])
    known = {f"{prefix}{name.upper()}" for name in settings.model_fields}
    assert set(told) - known == set()


def names_of_variables(objects: list[dict[str, Any]]) -> dict[str, list[str]]:
    """By container: the names as often as they are there."""
    found = [one for pod in pods(objects).values() for one in containers(pod)]
    return {one["name"]: [entry["name"] for entry in one.get("env", ())] for one in found}


def test_a_variable_that_the_chart_sets_is_refused_among_further_ones_and_its_value_is_named(
    render: Any, control_plane: ControlPlane, chart: Path, tmp_path: Path
) -> None:
    told = names_of_variables(render(*EVERYTHING))
    known = yaml.safe_load((chart / "values.yaml").read_text())
    for path, own in (
        ("env", {*told["webhook"], *told["operator"], *told["gateway"]}),
        ("envoy.env", {*told["config"]}),
    ):
        more = nested({f"/{path.replace('.', '/')}": dict.fromkeys(own, "1")})
        (tmp_path / "values.yaml").write_text(yaml.safe_dump(more))
        message = refusal(control_plane, chart, tmp_path / "values.yaml")
        assert f"{path} holds variables that the chart sets itself: " in message
        instead = dict(re.findall(r"(TALKDESK_\w+) \((.*?)\)", message))
        assert set(instead) == own
        for value in {one for text in instead.values() if text != "fixed" for one in text.split(" or ")}:
            inner = known
            for part in value.removeprefix("use ").split("."):
                assert part in inner, value
                inner = inner[part]


def test_the_refusal_of_a_variable_says_what_to_use(
    control_plane: ControlPlane, chart: Path, tmp_path: Path
) -> None:
    own = {"TALKDESK_STALE_SECONDS": "300", "TALKDESK_RELEASE": "b"}
    (tmp_path / "values.yaml").write_text(yaml.safe_dump({"env": own}))
    assert (
        "env holds variables that the chart sets itself: TALKDESK_RELEASE (fixed), TALKDESK_STALE_SECONDS "
        "(use gateway.staleSeconds or operator.staleSeconds)"
    ) in refusal(control_plane, chart, tmp_path / "values.yaml")


def test_other_variables_reach_a_container_once_beside_those_of_the_chart(render: Any) -> None:
    arguments = ("--set", "env.TALKDESK_SIGNATURE_HASH=sha256,envoy.env.TALKDESK_ENVOY_POD_NAMES=a")
    for container, names in names_of_variables(render(*EVERYTHING, *arguments)).items():
        assert len(names) == len(set(names))
        assert ("TALKDESK_SIGNATURE_HASH" in names) is (container in {"webhook", "operator", "gateway"})


@pytest.mark.parametrize("tls", [False, True])
def test_envoy_accepts_the_configuration_that_its_init_container_writes(
    render: Any, tmp_path: Path, tls: bool
) -> None:
    arguments = ("--set", "envoy.tls.secretName=cert") if tls else ()
    told = variables(pods(render(*arguments))["td-envoy"])
    told["TALKDESK_ENVOY_POD_NAME"] = "td-envoy-1"
    told["TALKDESK_ENVOY_BIND_ADDRESS"] = "127.0.0.1"
    if tls:
        authority = Authority(tmp_path, name="test", now=dt.datetime.now(dt.UTC))
        pair = authority.issue("tls", common_name="demo", hosts=["*.demo.localhost"])
        told["TALKDESK_ENVOY_TLS_CERTIFICATE"] = str(pair.certificate)
        told["TALKDESK_ENVOY_TLS_KEY"] = str(pair.key)
    output = tmp_path / "envoy.json"
    command = [sys.executable, "-m", "talkdesk_cli", "envoy-config", "--output", str(output)]
    subprocess.run(command, env={**os.environ, **told}, check=True)
    checked = [str(program()), "--mode", "validate", "-c", str(output)]
    done = subprocess.run(checked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert ("DownstreamTlsContext" in output.read_text()) is tls


def test_envoys_service_is_of_the_type_and_port_that_was_asked_for(render: Any) -> None:
    def spec(*arguments: str) -> dict[str, Any]:
        found = of_kind(render(*arguments), "Service")
        return dict(next(obj["spec"] for obj in found if obj["metadata"]["name"] == "td-envoy"))

    plain = spec()
    assert (plain["type"], plain["ports"][0]["port"], plain["ports"][0]["name"]) == ("ClusterIP", 80, "http")
    secure = spec("--set", "envoy.tls.secretName=cert")
    assert (secure["ports"][0]["port"], secure["ports"][0]["name"]) == (443, "https")
    balanced = spec("--set", "envoy.service.type=LoadBalancer,envoy.service.port=18080")
    assert (balanced["type"], balanced["ports"][0]["port"]) == ("LoadBalancer", 18080)
    on_nodes = spec("--set", "envoy.service.type=NodePort,envoy.service.nodePort=30080")
    assert (on_nodes["type"], on_nodes["ports"][0]["nodePort"]) == ("NodePort", 30080)


def test_a_certificate_reaches_envoy_as_files(render: Any) -> None:
    envoy = pods(render("--set", "envoy.tls.secretName=cert"))["td-envoy"]
    assert {"name": "tls", "secret": {"secretName": "cert"}} in envoy["volumes"]
    told = variables(envoy)
    for container in containers(envoy):
        (mount,) = (one for one in container["volumeMounts"] if one["name"] == "tls")
        assert told["TALKDESK_ENVOY_TLS_CERTIFICATE"] == f"{mount['mountPath']}/tls.crt"
        assert told["TALKDESK_ENVOY_TLS_KEY"] == f"{mount['mountPath']}/tls.key"
    assert not any("TLS" in name for name in variables(pods(render())["td-envoy"]))


def test_the_gateway_can_be_left_out_but_not_from_under_envoy(
    render: Any, control_plane: ControlPlane, chart: Path
) -> None:
    without = render("--set", "gateway.enabled=false,envoy.enabled=false")
    assert set(pods(without)) == {"td-webhook", "td-operator"}
    # Nor is there anything that such a pod would need: no account that somebody else could use, no right.
    parts = {obj["metadata"].get("labels", {}).get("app.kubernetes.io/component") for obj in without}
    assert "webhook" in parts
    assert not parts & {"gateway", "envoy"}
    assert "td-envoy" not in pods(render("--set", "envoy.enabled=false"))
    with pytest.raises(CommandError, match=r"envoy\.enabled needs gateway\.enabled"):
        control_plane.helm("template", "td", chart, "--set", "gateway.enabled=false")


def test_the_notes_say_where_browsers_and_talkdesk_go(control_plane: ControlPlane, chart: Path) -> None:
    notes = control_plane.helm(
        *("install", "td", chart, "--dry-run=client", "--namespace", "x"),
        *("--set", "public.port=8443,envoy.tls.secretName=cert"),
    ).partition("NOTES:")[2]
    assert "https://<launch host>:8443/_td/launch" in notes
    assert "https://<launch host>:8443/_td/callback" in notes
    assert "Service td-envoy in namespace x, port 443" in notes


@pytest.mark.parametrize(("repository", "is_told"), [("talkdesk-operator", True), ("r.example/td", False)])
def test_the_notes_say_what_to_do_about_an_image_of_no_registry(
    control_plane: ControlPlane, chart: Path, repository: str, is_told: bool
) -> None:
    notes = control_plane.helm(
        *("install", "td", chart, "--dry-run=client", "--namespace", "x"),
        *("--set", f"image.repository={repository}"),
    ).partition("NOTES:")[2]
    assert ("docker build" in notes) is is_told
    assert ("image.repository" in notes) is is_told


def test_two_releases_share_no_cluster_wide_name(render: Any) -> None:
    def names(**where: str) -> set[tuple[str, str]]:
        objects = render("--set", "crds.install=false", **where)
        scoped = ("ClusterRole", "ClusterRoleBinding", "Namespace", "ValidatingAdmissionPolicy")
        return {(obj["kind"], obj["metadata"]["name"]) for obj in objects if obj["kind"].startswith(scoped)}

    first, second, third = names(), names(release="other"), names(namespace="elsewhere")
    assert first
    assert not first & second
    assert not first & third


def test_two_releases_of_one_name_share_a_namespace_for_credentials(render: Any) -> None:
    def vault(namespace: str) -> set[tuple[str, str]]:
        arguments = ("--set", "credentialsNamespace.create=false,credentialsNamespace.name=vault")
        found = [one for one in render(*arguments, namespace=namespace) if "namespace" in one["metadata"]]
        assert {one["metadata"]["namespace"] for one in found} == {"vault"}
        return {(one["kind"], one["metadata"]["name"]) for one in found}

    assert len(vault("a")) == 6
    assert not vault("a") & vault("b")


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
                if "resourceNames" in rule:
                    # The gateway hears of its own keys; no other Secret is named.
                    assert rule["resourceNames"] == ["td-session-keys", "td-identity-keys"]
                    continue
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
        ("/public/scheme", "ftp"),
        ("/public/port", 65536),
        ("/gateway/waitSeconds", 0),
        ("/gateway/staleSeconds", 60),
        ("/envoy/service/type", "ExternalName"),
        ("/envoy/concurrency", 0),
        ("/envoy/drainSeconds", 0),
        ("/networkPolicy/metricsFrom", [{"podSelektor": {}}]),
        ("/networkPolicy/gatewayFrom", [{}]),
        ("/operator/replicas", 1.5),
        ("/operator/workers", 0),
        ("/operator/resyncSeconds", -1),
        ("/operator/staleSeconds", 60),
        ("/operator/lease/seconds", 0),
        ("/egress/proxy", "socks5://proxy"),
        ("/smtp/host", "mail server"),
        ("/smtp/tls", "ssl"),
        ("/smtp/port", 0),
        ("/smtp", {"host": "mail.example.com"}),
        ("/smtp", {"tls": "none", "credentialsSecret": "login"}),
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

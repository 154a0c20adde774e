"""The kinds of children of a tenant: what they add, in which order, and what it takes to add one."""

from __future__ import annotations

import base64
import importlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from declared import app
from talkdesk_crds.names import WAVE_ANNOTATION
from talkdesk_operator.inventory import GENERATED, Inventory, Record, config_map, parse
from talkdesk_operator.keys import TenantKey
from talkdesk_operator.render import RenderError
from talkdesk_operator.sources import drawn
from talkdesk_operator.tenant import AccountFacts, Desired, Facts, Making, Release, desired, making
from talkdesk_operator.tenant.order import waves
from talkdesk_operator.tenant.review import problems_of

if TYPE_CHECKING:
    from talkdesk_crds.app import TalkdeskApp

#: The module; the package has a function of the same name.
register = importlib.import_module("talkdesk_operator.tenant.desired")

RELEASE = Release("talkdesk-system", "td", "td-operator", "talkdesk-system-td-tenant")
TENANT = RELEASE.tenant(TenantKey("app", "eu", "account"))
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "samples"},
    "spec": {"ttlSecondsAfterFinished": 60, "template": {"spec": {"x": "${account.name}"}}},
}


def made_of(declared: TalkdeskApp, *, name: str = "acme", installation: str = "inst", **more: Any) -> Making:
    facts = Facts(
        app_id="app",
        region="eu",
        account_id="account",
        installation_id=installation,
        account=AccountFacts(name=name),
    )
    return making(TENANT, declared, declared.spec, facts, **more)


def of(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **more}}


def paths(declared: TalkdeskApp) -> list[str]:
    return [problem.path for problem in problems_of(declared)]


def test_every_kind_of_child_is_a_module_of_its_own() -> None:
    modules = [child.__module__ for child in register.CHILDREN]
    assert len(set(modules)) == len(modules)
    assert [name.rpartition(".")[0] for name in modules] == ["talkdesk_operator.tenant"] * len(modules)


def test_a_new_kind_of_child_is_in_every_tenant_by_its_registration_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def greeting(made: Making) -> list[dict[str, Any]]:
        return [of("ConfigMap", f"hello-{made.facts.account.name}", namespace=made.tenant.name)]

    monkeypatch.setattr(register, "CHILDREN", (*register.CHILDREN, greeting))
    names = [item["metadata"]["name"] for item in desired(made_of(app())).everything()]
    assert "hello-acme" in names


@pytest.mark.parametrize("suspended", [False, True])
def test_a_job_of_the_template_is_not_cleaned_up_or_it_would_run_again(*, suspended: bool) -> None:
    nightly = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly"},
        "spec": {"jobTemplate": {"spec": {"ttlSecondsAfterFinished": 60}}},
    }
    declared = app(template=[JOB, nightly], variants=[{"appVersion": "1", "template": [JOB]}])
    made = desired(made_of(declared, suspended=suspended))
    specs = {item["kind"]: item["spec"] for item in made.children if item["kind"] in ("Job", "CronJob")}
    assert "ttlSecondsAfterFinished" not in specs["Job"]
    assert specs["Job"]["template"]["spec"]["x"] == "acme"
    # What a CronJob starts is made anew by its schedule alone.
    assert specs["CronJob"]["jobTemplate"]["spec"]["ttlSecondsAfterFinished"] == 60


def test_the_plan_holds_no_secret_value() -> None:
    declared = app(
        generatedSecrets=[{"name": "database", "keys": {"password": {}}}],
        copies=[{"kind": "Secret", "name": "shared"}],
    )
    made = desired(made_of(declared))
    assert made == desired(made_of(declared)), "the same plan twice, though values are random"
    for part in (*made.generated, *made.copied):
        assert not {"data", "stringData"} & part.obj.keys()


@given(st.integers(8, 256), st.sampled_from(["Alphanumeric", "Hex"]))
def test_drawn_values_have_the_length_and_alphabet_asked_for(length: int, alphabet: str) -> None:
    declared = app(generatedSecrets=[{"name": "s", "keys": {"k": {"length": length, "alphabet": alphabet}}}])
    (one,) = desired(made_of(declared)).generated
    values = {base64.b64decode(drawn(one.keys)["k"]).decode() for _ in range(3)}
    assert len(values) == 3
    for value in values:
        assert len(value) == length
        assert set(value) <= set("0123456789abcdef") if alphabet == "Hex" else value.isalnum()


def test_a_secret_that_is_copied_and_pulled_with_is_there_once() -> None:
    declared = app(copies=[{"kind": "Secret", "name": "registry"}], imagePullSecrets=["registry", "other"])
    names = [one.obj["metadata"]["name"] for one in desired(made_of(declared)).copied]
    assert names == ["registry", "other"]
    assert paths(declared) == []


def test_two_things_of_one_name_are_told_with_their_paths() -> None:
    secret = [{"name": "x", "keys": {"k": {}}}]
    assert paths(app(template=[of("Secret", "x")], generatedSecrets=secret)) == [
        "spec.generatedSecrets[0].name"
    ]
    assert paths(app(generatedSecrets=secret, copies=[{"kind": "Secret", "name": "x"}])) == [
        "spec.copies[0].name"
    ]
    assert paths(app(generatedSecrets=secret, imagePullSecrets=["x"])) == ["spec.imagePullSecrets[0]"]
    assert paths(app(copies=[{"kind": "ConfigMap", "name": "talkdesk-account"}])) == ["spec.copies[0].name"]


@pytest.mark.parametrize("wave", ["", "-1", "1.5", "100", "first", " 1"])
def test_a_wave_that_is_none_is_told_with_its_path(wave: str) -> None:
    declared = app(template=[of("ConfigMap", "x", annotations={WAVE_ANNOTATION: wave})])
    assert paths(declared) == [f"spec.template[0].metadata.annotations['{WAVE_ANNOTATION}']"]


def test_a_token_for_another_audience_is_the_pods_own_business() -> None:
    def with_token(**token: Any) -> TalkdeskApp:
        volume = {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t", **token}}]}}
        pod = {"spec": {"volumes": [volume]}}
        return app(template=[{**of("Deployment", "x"), "apiVersion": "apps/v1", "spec": {"template": pod}}])

    assert paths(with_token(audience="sts.example.com")) == []
    assert paths(with_token()) == [
        "spec.template[0].spec.template.spec.volumes[0].projected.sources[0].serviceAccountToken"
    ]


def _kinds(found: Desired) -> list[list[set[str]]]:
    return [[{item["kind"] for item in tier} for tier in wave] for wave in found.waves()]


def test_what_protects_and_feeds_pods_is_there_before_them_and_what_scales_them_after() -> None:
    template = [
        {**of("HorizontalPodAutoscaler", "a"), "apiVersion": "autoscaling/v2"},
        {**of("Deployment", "a"), "apiVersion": "apps/v1", "spec": {}},
        of("ConfigMap", "a"),
        {**of("Job", "later", annotations={WAVE_ANNOTATION: "7"}), "apiVersion": "batch/v1", "spec": {}},
    ]
    ((first, second, third), later) = _kinds(desired(made_of(app(template=template))))
    assert {"NetworkPolicy", "ResourceQuota", "ServiceAccount", "ConfigMap"} <= first
    assert (second, third, later) == ({"Deployment"}, {"HorizontalPodAutoscaler"}, [{"Job"}])
    stopped = desired(made_of(app(template=template), suspended=True))
    assert len(stopped.waves()) == 1, "stopping waits for nothing"


@given(st.lists(st.tuples(st.sampled_from(["ConfigMap", "Job", "Service"]), st.integers(0, 99)), max_size=20))
def test_waves_keep_every_object_once_and_in_the_order_of_their_numbers(
    given_: list[tuple[str, int]],
) -> None:
    objects = [
        of(kind, f"o{number}", annotations={WAVE_ANNOTATION: str(wave)})
        for number, (kind, wave) in enumerate(given_)
    ]
    flat = [item for wave in waves(objects) for tier in wave for item in tier]
    assert sorted(item["metadata"]["name"] for item in flat) == sorted(o["metadata"]["name"] for o in objects)
    numbers = [int(item["metadata"]["annotations"][WAVE_ANNOTATION]) for item in flat]
    assert numbers == sorted(numbers)


def test_the_sample_data_job_is_named_by_what_is_declared_and_for_whom() -> None:
    def name(declared: TalkdeskApp, **more: Any) -> str:
        sample = desired(made_of(declared, **more)).sample
        assert sample is not None
        return str(sample.obj["metadata"]["name"])

    declared = app(sampleData=JOB)
    assert name(declared) == name(declared, name="renamed"), "a new name of the account is no new Job"
    assert name(declared) != name(declared, installation="another"), "a customer who tries again gets another"
    assert name(declared) != name(app(sampleData={**JOB, "spec": {}}))
    assert len(name(app(sampleData={**JOB, "metadata": {"name": "x" * 63}}))) <= 63


def test_the_sample_data_job_cannot_vanish_before_its_success_was_seen() -> None:
    sample = desired(made_of(app(sampleData=JOB))).sample
    assert sample is not None
    assert "ttlSecondsAfterFinished" not in sample.obj["spec"]
    assert sample.keep_seconds == 60


def test_an_unknown_reference_in_the_sample_data_is_told_with_its_path() -> None:
    wrong = {**JOB, "spec": {"template": {"spec": {"x": "${nobody.knows}"}}}}
    with pytest.raises(RenderError, match=r"spec\.sampleData\.spec\.template\.spec\.x"):
        desired(made_of(app(sampleData=wrong)))


def test_the_gateways_urls_are_on_the_tenants_host_and_its_keys_inside_the_cluster_too() -> None:
    told = {
        "public": "${gateway.jwks}",
        "keys": "${gateway.keys}",
        "sign-in": "${gateway.start}",
        "sign-out": "${gateway.signOut}",
    }
    made = desired(made_of(app(template=[{**of("ConfigMap", "x"), "data": told}])))
    (found,) = [one for one in made.children if one["metadata"]["name"] == "x"]
    host = TENANT.host("apps.example.com")
    assert found["data"] == {
        "public": f"https://{host}/_td/jwks.json",
        "keys": f"http://{RELEASE.name}-gateway.{RELEASE.namespace}.svc:8083/jwks.json",
        "sign-in": f"https://{host}/_td/start",
        "sign-out": f"https://{host}/_td/sign-out",
    }


def test_the_inventory_keeps_what_was_generated_and_whether_there_is_sample_data() -> None:
    secret = ("v1", "Secret", "database")
    kept = Inventory(records={secret: Record(uid="u", wanted="made", use=GENERATED)}, seeded=True)
    assert parse(config_map(kept, TENANT)["data"]) == kept
    assert kept.prunable([]) == {}
    assert kept.emptied().seeded is None
    assert kept.emptied().records[secret] == Record(use=GENERATED)


def test_the_apps_labels_never_win_over_the_products() -> None:
    labels = desired(made_of(app(namespaceLabels={"team": "apps"}))).namespace["metadata"]["labels"]
    assert labels["team"] == "apps"
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"

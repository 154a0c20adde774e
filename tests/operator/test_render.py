"""Strict references, and the tenant they are rendered into."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from declared import app
from talkdesk_crds import names
from talkdesk_operator.keys import TenantKey
from talkdesk_operator.render import RenderError, render
from talkdesk_operator.tenant import AccountFacts, Desired, Facts, Release, Tenant, desired, making
from talkdesk_operator.tenant.review import problems_of

if TYPE_CHECKING:
    from talkdesk_crds.app import TalkdeskApp

VALUES = {"account.name": "acme", "plan.seats": 3, "trial.on": True, "links.terms": None}
RELEASE = Release("talkdesk-system", "td", "td-operator", "talkdesk-system-td-tenant")
KEY = TenantKey("app", "eu", "account")
FACTS = Facts(
    app_id="app",
    region="eu",
    account_id="account",
    installation_id="inst",
    account=AccountFacts(name="acme", timezone="Europe/Lisbon"),
    plan="Gold",
)


def problems(template: Any) -> list[str]:
    with pytest.raises(RenderError) as caught:
        render(template, VALUES, path="spec.template")
    return [str(problem) for problem in caught.value.problems]


def test_a_reference_inside_text_becomes_text_and_alone_keeps_its_type() -> None:
    rendered = render(
        {
            "a": "${account.name}!",
            "b": "${plan.seats}",
            "c": "x${plan.seats}",
            "d": ["${trial.on}", "${trial.on}."],
        },
        VALUES,
        path="p",
    )
    assert rendered == {"a": "acme!", "b": 3, "c": "x3", "d": [True, "true."]}


def test_two_dollars_stand_for_a_plain_one() -> None:
    assert render("$${HOME} ${account.name} $HOME", VALUES, path="p") == "${HOME} acme $HOME"


def test_every_problem_is_told_with_its_path() -> None:
    told = problems(
        [
            {
                "spec": {
                    "x": "${account.nme}",
                    "y": [{"a.b": "${links.terms}"}],
                    "z": "${account.name",
                    "${k}": 1,
                }
            }
        ]
    )
    assert [one.partition(":")[0] for one in told] == [
        "spec.template[0].spec.x",
        "spec.template[0].spec.y[0]['a.b']",
        "spec.template[0].spec.z",
        "spec.template[0].spec",
    ]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(alphabet="ab$ {}", max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1), inner, max_size=3)
        ),
    )
)
def test_nothing_but_references_is_changed(template: Any) -> None:
    escaped = json.loads(json.dumps(template).replace("${", "$${"))
    assert render(escaped, VALUES, path="p") == template


def deployment(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def tenant_of(declared: TalkdeskApp, *, suspended: bool = False) -> Desired:
    return desired(making(RELEASE.tenant(KEY), declared, declared.spec, FACTS, suspended=suspended))


def find(made: Desired, kind: str, name: str) -> dict[str, Any]:
    (found,) = [
        item for item in made.everything() if (item["kind"], item["metadata"]["name"]) == (kind, name)
    ]
    return found


def test_everything_in_a_tenant_is_labelled_as_ours_and_nothing_has_another_namespace() -> None:
    made = tenant_of(app(template=[deployment(template={"spec": {}})]))
    tenant: Tenant = RELEASE.tenant(KEY)
    for item in (made.binding, *made.children):
        assert item["metadata"]["namespace"] == tenant.name
        assert item["metadata"]["labels"][names.MANAGED_LABEL] == RELEASE.id
    assert made.namespace["metadata"]["labels"][names.TENANT_LABEL] == RELEASE.id
    assert made.namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_pods_get_the_tenants_service_account_unless_they_name_their_own() -> None:
    own = {"serviceAccountName": "mine", "automountServiceAccountToken": False}
    plain = find(tenant_of(app(template=[deployment(template={"spec": {}})])), "Deployment", "web")
    named = find(tenant_of(app(template=[deployment(template={"spec": own})])), "Deployment", "web")
    assert plain["spec"]["template"]["spec"] == {
        "serviceAccountName": "tenant",
        "automountServiceAccountToken": False,
    }
    assert named["spec"]["template"]["spec"] == own


def test_a_suspended_tenant_has_no_replicas_and_starts_no_jobs() -> None:
    cron = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"}, "spec": {}}
    made = tenant_of(app(template=[deployment(replicas=3), cron]), suspended=True)
    assert find(made, "Deployment", "web")["spec"]["replicas"] == 0
    assert find(made, "CronJob", "nightly")["spec"]["suspend"] is True


def test_the_account_record_tells_who_the_customer_is() -> None:
    links = {name: f"https://x.example/{name}" for name in ("terms", "support", "upgrade")}
    record = find(tenant_of(app(links=links)), "ConfigMap", "talkdesk-account")
    told = json.loads(record["data"]["account.json"])
    assert told["account"] == {"id": "account", "name": "acme", "timezone": "Europe/Lisbon"}
    assert told["plan"] == {"name": "Gold"}
    assert told["links"] == links
    assert told["tenant"]["host"].endswith(".apps.example.com")
    assert record["data"]["account.name"] == "acme"


def test_the_network_lets_in_only_the_release_and_out_only_dns_and_what_the_app_declares() -> None:
    made = tenant_of(app(egress=[{"cidr": "192.0.2.0/24", "ports": [443]}]))
    policy = find(made, "NetworkPolicy", "tenant")["spec"]
    assert policy["podSelector"] == {}
    assert sorted(policy["policyTypes"]) == ["Egress", "Ingress"]
    (source,) = policy["ingress"][0]["from"]
    assert source["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "talkdesk-system"}}
    keys, declared = policy["egress"][1:]
    assert keys["to"][0]["podSelector"]["matchExpressions"][0]["values"] == ["gateway"]
    assert keys["ports"] == [{"protocol": "TCP", "port": "jwks"}]
    assert declared == {
        "to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
        "ports": [{"protocol": "TCP", "port": 443}],
    }


def test_a_template_is_judged_without_any_tenant() -> None:
    assert problems_of(app(template=[deployment(name="${account.name}")])) == ()
    taken = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "talkdesk-account"}}
    told = problems_of(app(template=[deployment(), deployment(), taken]))
    assert [one.path for one in told] == ["spec.template[1].metadata.name", "spec.template[2].metadata.name"]
    assert [one.path for one in problems_of(app(template=[deployment(x="${links.terms}")]))] == [
        "spec.template[0].spec.x"
    ]
    assert [one.path for one in problems_of(app(approval={"probe": {}}))] == ["spec.service.name"]


@pytest.mark.parametrize(
    "cidr",
    ["10.0.0.0/33", "192.168.1/24", "10.0.0.256/32", "fd00::/129", "fd00:::1/64", "::ffff:10.0.0.0/104"],
)
def test_an_egress_range_that_kubernetes_refuses_is_told_once_and_in_no_network_policy(cidr: str) -> None:
    declared = app(egress=[{"cidr": "192.0.2.0/24"}, {"cidr": cidr}], plans={"Gold": {}})
    (problem,) = problems_of(declared)
    assert problem.path == "spec.egress[1].cidr"
    assert cidr in problem.message
    egress = find(tenant_of(declared), "NetworkPolicy", "tenant")["spec"]["egress"]
    assert egress[2:] == [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]


@pytest.mark.parametrize(
    ("cidr", "applied"),
    [
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("192.0.2.1/032", "192.0.2.1/32"),
        ("::/0", "::/0"),
        ("FD00:0::1/64", "fd00::/64"),
    ],
)
def test_an_egress_range_may_be_named_by_any_address_in_it(cidr: str, applied: str) -> None:
    declared = app(egress=[{"cidr": cidr}])
    assert problems_of(declared) == ()
    egress = find(tenant_of(declared), "NetworkPolicy", "tenant")["spec"]["egress"]
    assert egress[2:] == [{"to": [{"ipBlock": {"cidr": applied}}]}]


def test_tenants_of_different_accounts_never_share_a_name_or_a_host() -> None:
    keys = [TenantKey("app", region, account) for region in ("eu", "us") for account in ("a", "b", "ab")]
    tenants = [RELEASE.tenant(key) for key in keys]
    assert len({one.name for one in tenants}) == len(keys)
    assert len({one.host("x.example") for one in tenants}) == len(keys)

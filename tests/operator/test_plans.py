"""Plans and variants: which one an installation has, what it gives the template, and whether it fits."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from declared import app
from talkdesk_crds.blueprint import Plan
from talkdesk_crds.installation import FromTalkdesk, Installed, RecentEvent, Subscription, Updated
from talkdesk_operator.confirm import Given
from talkdesk_operator.keys import TenantKey
from talkdesk_operator.render import RenderError
from talkdesk_operator.subscribed import (
    NEWER_EVENT,
    answered_events,
    asking_events,
    event_patience,
    plan_name,
)
from talkdesk_operator.tenant import AccountFacts, Facts, Making, Release, desired, making
from talkdesk_operator.tenant.fit import misfits
from talkdesk_operator.tenant.review import problems_of, review

if TYPE_CHECKING:
    from talkdesk_crds.app import TalkdeskApp

RELEASE = Release("talkdesk-system", "td", "td-operator", "talkdesk-system-td-tenant")
KEY = TenantKey("app", "eu", "account")
T1, T2, T3 = (f"2026-01-05T10:00:0{second}.000000Z" for second in (1, 2, 3))
WITHIN = timedelta(minutes=20)
NO_QUOTA: dict[str, str] = {}


def facts(plan: str | None = "Gold", version: str | None = None) -> Facts:
    return Facts(
        app_id="app",
        region="eu",
        account_id="account",
        installation_id="inst",
        account=AccountFacts(name="acme"),
        plan=plan,
        app_version=version,
    )


def made_of(declared: TalkdeskApp, *, plan: str | None = "Gold", **more: Any) -> Making:
    version = more.pop("version", None)
    return making(RELEASE.tenant(KEY), declared, declared.spec, facts(plan, version), **more)


def find(made: Making, kind: str, name: str) -> dict[str, Any]:
    (found,) = [
        item
        for item in desired(made).everything()
        if (item["kind"], item["metadata"]["name"]) == (kind, name)
    ]
    return found


def deployment(name: str = "web", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def config_map(**data: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data}


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


# Which plan


def said(*, updated: str | None, asked: str | None, installed: str | None = T1) -> FromTalkdesk:
    return FromTalkdesk(
        installed=Installed(at=installed, rank=10, event="i") if installed else None,
        updated=Updated(at=updated, rank=20, event=f"u{updated}") if updated else None,
        subscription=(
            Subscription(at=asked, rank=20, event=f"u{asked}", name="New") if asked is not None else None
        ),
    )


@pytest.mark.parametrize("shown", ["Old", "New", None])
def test_while_an_update_waits_its_plan_counts_whatever_talkdesk_shows(shown: str | None) -> None:
    assert plan_name(said(updated=T2, asked=T2), state="updating", shown=shown) == "New"


@pytest.mark.parametrize("state", ["completed", "rejected", "suspended", "timeout", "failed", "revoked"])
@pytest.mark.parametrize("shown", ["Old", "New", None])
def test_in_a_settled_state_the_plan_is_what_talkdesk_shows(state: str, shown: str | None) -> None:
    assert plan_name(said(updated=T2, asked=T2), state=state, shown=shown) == shown


def test_a_newer_update_that_names_no_plan_leaves_the_plan_to_what_talkdesk_shows() -> None:
    assert plan_name(said(updated=T3, asked=T2), state="updating", shown="Old") == "Old"


def test_an_update_of_before_the_installation_says_nothing_about_it() -> None:
    assert plan_name(said(updated=T2, asked=T2, installed=T3), state="installing", shown="Old") == "Old"
    assert plan_name(said(updated=T2, asked=T2, installed=None), state="updating", shown="Old") == "New"


def test_without_an_update_the_plan_is_what_talkdesk_shows() -> None:
    assert plan_name(said(updated=None, asked=None), state="updating", shown="Old") == "Old"


def answer(event: str | None, updated_at: str) -> Given:
    return Given("updating", updated_at, "approve", at=T3, event=event)


def test_the_plan_of_an_update_that_was_answered_says_nothing_about_the_next_one() -> None:
    told = said(updated=T2, asked=T2)
    spent = answered_events([answer(f"u{T2}", "a")], ("updating", "b"))
    assert plan_name(told, state="updating", shown="Newer", answered=spent) == "Newer"
    same = answered_events([answer(f"u{T2}", "a")], ("updating", "a"))
    assert plan_name(told, state="updating", shown="Old", answered=same) == "New"


def test_of_two_updates_of_one_second_the_one_that_was_not_answered_counts() -> None:
    told = said(updated=T2, asked=T2).model_copy(update={"updated": Updated(at=T2, rank=20, event="z")})
    spent = answered_events([answer("z", "a")], ("updating", "b"))
    assert plan_name(told, state="updating", shown="Old", answered=spent) == "New"
    assert plan_name(told, state="updating", shown="Old") == "Old"


def patience(updated_at: str | None, *, state: str = "updating", answered: str = "") -> timedelta | None:
    told = FromTalkdesk(recent=[RecentEvent(at=T2, rank=20, event="u", type="app.updated")])
    moment = (state, updated_at)
    return event_patience(told, moment, answered=frozenset({answered}), delivered_within=WITHIN)


def test_an_event_that_was_answered_does_not_announce_what_is_pending_now() -> None:
    assert patience(T3, answered="u") == WITHIN
    assert patience(T2, answered="another") is None


def test_an_event_from_before_the_pending_state_may_not_be_the_one_that_announces_it() -> None:
    assert patience(T3) == NEWER_EVENT
    assert patience("2026-01-05T10:00:02.999Z") is None, "events have whole seconds"
    assert patience(T1) is None
    assert patience(T3, state="installing") is None, "nothing was asked for before"
    assert patience("soon") is None
    assert patience(None) is None
    nothing = FromTalkdesk()
    assert event_patience(nothing, ("updating", T3), answered=frozenset(), delivered_within=WITHIN) is None


def test_the_events_that_ask_are_the_newest_installed_and_updated_ones() -> None:
    def event(at: str, kind: str, name: str) -> RecentEvent:
        return RecentEvent(at=at, rank=0, event=name, type=kind)

    recent = [
        event(T3, "app.trial_started", "t"),
        event(T2, "app.updated", "b"),
        event(T2, "app.updated", "a"),
        event(T1, "app.installed", "i"),
    ]
    assert asking_events(FromTalkdesk(recent=recent)) == ["b", "a"]
    assert asking_events(FromTalkdesk()) == []


# What the template gets

PLANS = {
    "Gold": {"values": {"size": "20Gi"}, "numbers": {"replicas": 3}, "features": {"export": True}},
    "Free": {"values": {"size": "1Gi"}, "numbers": {"replicas": 1}, "features": {"export": False}},
}
DEFAULT = {"values": {"size": "1Gi"}, "numbers": {"replicas": 2}, "features": {"export": False}}


def test_a_plans_values_reach_the_template_and_keep_their_types_where_they_stand_alone() -> None:
    template = [
        deployment(replicas="${plan.numbers.replicas}", paused="${plan.features.export}"),
        config_map(text="size ${plan.values.size}, ${plan.numbers.replicas}, ${plan.features.export}"),
    ]
    declared = app(template=template, plans=PLANS, defaultPlan=DEFAULT)
    gold = made_of(declared)
    assert gold.plan_known
    assert find(gold, "Deployment", "web")["spec"] == {"replicas": 3, "paused": True}
    assert find(gold, "ConfigMap", "settings")["data"] == {"text": "size 20Gi, 3, true"}
    unknown = made_of(declared, plan="Platinum")
    assert not unknown.plan_known
    assert find(unknown, "Deployment", "web")["spec"] == {"replicas": 2, "paused": False}


def test_a_plans_quota_and_limits_are_the_tenants() -> None:
    plans = {"Gold": {"quota": {"pods": "7"}, "containerDefaults": {"limits": {"cpu": "2"}, "requests": {}}}}
    made = made_of(app(plans=plans))
    assert find(made, "ResourceQuota", "tenant")["spec"] == {"hard": {"pods": "7"}}
    assert find(made, "LimitRange", "tenant")["spec"]["limits"][0]["default"] == {"cpu": "2"}


def test_the_account_record_has_the_plans_values_also_one_by_one() -> None:
    data = find(made_of(app(plans=PLANS)), "ConfigMap", "talkdesk-account")["data"]
    assert json.loads(data["account.json"])["plan"] == {"name": "Gold", **PLANS["Gold"]}
    assert data["plan.name"] == "Gold"
    assert data["plan.values.size"] == "20Gi"
    assert data["plan.numbers.replicas"] == "3"
    assert data["plan.features.export"] == "true"


def test_a_value_that_only_other_plans_have_is_named_with_the_plan_that_lacks_it() -> None:
    declared = app(template=[config_map(size="${plan.values.size}")], plans={**PLANS, "Bare": {}})
    with pytest.raises(RenderError) as caught:
        desired(made_of(declared, plan="Bare"))
    assert [str(one) for one in caught.value.problems] == [
        "spec.template[0].data.size: ${plan.values.size} has no value in plan Bare"
    ]


def test_every_plan_the_default_and_every_variant_are_rendered_before_anybody_buys_them() -> None:
    variant = {"appVersion": "v2", "template": [config_map(flag="${plan.features.beta}"), service()]}
    plans = {**PLANS, "Bare": {}, "Beta": {**PLANS["Gold"], "features": {"export": True, "beta": True}}}
    declared = app(template=[config_map(size="${plan.values.size}")], plans=plans, variants=[variant])
    told = [str(one) for one in problems_of(declared)]
    assert told == [
        "spec.template[0].data.size: ${plan.values.size} has no value in the default plan",
        "spec.template[0].data.size: ${plan.values.size} has no value in plan Bare",
        "spec.variants[0].template[0].data.flag: ${plan.features.beta} has no value in the default plan",
        "spec.variants[0].template[0].data.flag: ${plan.features.beta} has no value in plan Gold",
        "spec.variants[0].template[0].data.flag: ${plan.features.beta} has no value in plan Free",
        "spec.variants[0].template[0].data.flag: ${plan.features.beta} has no value in plan Bare",
    ]


def test_a_reference_that_no_plan_has_is_told_once() -> None:
    (told,) = problems_of(app(template=[config_map(size="${plan.values.sise}")], plans=PLANS))
    assert told.path == "spec.template[0].data.size"
    assert "unknown reference ${plan.values.sise}" in told.message
    assert "plan.values.size" in told.message


def test_the_probe_needs_the_service_of_each_variant() -> None:
    variants = [
        {"appVersion": "v2", "service": {"name": "api", "port": 80}},
        {"appVersion": "v3", "template": []},
        {"appVersion": "v4", "service": {"name": "api", "port": 80}, "template": [service("api")]},
    ]
    declared = app(template=[service()], approval={"probe": {}}, variants=variants)
    assert [str(one) for one in problems_of(declared)] == [
        "spec.variants[0].service.name: the probe asks Service api, which spec.template does not have",
        "spec.service.name: the probe asks Service web, which spec.variants[1].template does not have",
    ]


def test_an_app_version_gets_its_variant_and_all_others_the_apps_own() -> None:
    variant = {
        "appVersion": "v2",
        "template": [config_map(a="new")],
        "service": {"name": "api", "port": 81},
        "signIn": {"redirectUri": "https://launch.example/v2", "scopes": ["openid"]},
    }
    declared = app(template=[config_map(a="old")], variants=[variant])
    new, old = made_of(declared, version="v2"), made_of(declared, version="v1")
    assert find(new, "ConfigMap", "settings")["data"] == {"a": "new"}
    assert find(old, "ConfigMap", "settings")["data"] == {"a": "old"}
    assert (new.blueprint.service.name, old.blueprint.service.name) == ("api", "web")
    assert new.blueprint.sign_in.redirect_uri == "https://launch.example/v2"
    assert old.blueprint.sign_in.redirect_uri is None


# Suspension

CRON = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"}, "spec": {}}
JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"}, "spec": {"backoffLimit": 2}}


@pytest.mark.parametrize(
    ("on_suspend", "more", "stops"),
    [
        ("ScaleToZero", {"suspended": True}, True),
        ("KeepRunning", {"suspended": True}, False),
        ("KeepRunning", {"suspended": True, "abandoned": True}, True),
        ("ScaleToZero", {}, False),
    ],
)
def test_suspension_stops_the_workload_as_the_plan_says_and_of_a_lost_customer_always(
    on_suspend: str, more: dict[str, bool], stops: bool
) -> None:
    declared = app(template=[deployment(replicas=3), CRON, JOB], plans={"Gold": {"onSuspend": on_suspend}})
    made = made_of(declared, **more)
    assert find(made, "Deployment", "web")["spec"]["replicas"] == (0 if stops else 3)
    assert find(made, "CronJob", "nightly")["spec"] == ({"suspend": True} if stops else {})
    # With nothing there to work on it would fail, and keep whoever comes back from being served.
    assert find(made, "Job", "migrate")["spec"].get("suspend") == (True if stops else None)


# Whether it fits


def plan(**fields: Any) -> Plan:
    return Plan.model_validate(fields)


def container(name: str = "web", **resources: Any) -> dict[str, Any]:
    return {"name": name, "resources": resources}


def pods(kind: str = "Deployment", *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    version = "batch/v1" if kind in ("Job", "CronJob") else "apps/v1"
    pod = {"spec": {"containers": list(containers or [container()])}}
    inner: dict[str, Any] = {"template": pod, **spec}
    if kind == "CronJob":
        inner = {"jobTemplate": {"spec": inner}}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": inner}


def told(objects: list[dict[str, Any]], hard: dict[str, str], **fields: Any) -> list[str]:
    finished = fields.pop("finished", ())
    return [str(one) for one in misfits(objects, plan(quota=hard, **fields), finished=finished)]


def test_replicas_times_what_a_pod_requests_must_fit() -> None:
    objects = [pods("Deployment", container(requests={"cpu": "300m", "memory": "1Gi"}), replicas=3)]
    roomy = {"limits": {"memory": "2Gi", "cpu": "1"}}
    assert told(objects, {"pods": "3", "requests.cpu": "900m"}, containerDefaults=roomy) == []
    assert told(
        objects,
        {"pods": "2", "cpu": "0.8", "requests.memory": "2Gi", "limits.memory": "6Gi"},
        containerDefaults=roomy,
    ) == [
        "cpu: 900m needed, 0.8 allowed",
        "pods: 3 needed, 2 allowed",
        "requests.memory: 3Gi needed, 2Gi allowed",
    ]


def test_a_container_that_states_nothing_counts_with_the_plans_defaults() -> None:
    defaults = {"requests": {"cpu": "100m"}, "limits": {"cpu": "1", "memory": "64Mi"}}
    hard = {"requests.cpu": "100m", "limits.cpu": "1", "requests.memory": "64Mi", "limits.memory": "64Mi"}
    assert told([pods(replicas=1)], hard, containerDefaults=defaults) == []
    assert told([pods(replicas=2)], hard, containerDefaults=defaults) == [
        "limits.cpu: 2 needed, 1 allowed",
        "limits.memory: 128Mi needed, 64Mi allowed",
        "requests.cpu: 200m needed, 100m allowed",
        "requests.memory: 128Mi needed, 64Mi allowed",
    ]


def test_a_stated_limit_is_the_request_too() -> None:
    assert told([pods("Deployment", container(limits={"cpu": "2"}))], {"requests.cpu": "1"}) == [
        "requests.cpu: 2 needed, 1 allowed"
    ]


def test_a_request_beyond_the_default_limit_is_told_for_such_a_pod_is_never_made() -> None:
    (one,) = told([pods("Deployment", container(requests={"memory": "1Gi"}))], NO_QUOTA)
    assert one.startswith("limits.memory: container web of Deployment x requests more than its limit")


def test_a_quota_that_wants_something_stated_is_told_who_states_nothing() -> None:
    nothing: dict[str, Any] = {"requests": {}, "limits": {}}
    assert told([pods()], {"requests.cpu": "1"}, containerDefaults=nothing) == [
        "requests.cpu: container web of Deployment x states none, and the plan has no default"
    ]
    assert told([pods(replicas=0)], {"requests.cpu": "1"}, containerDefaults=nothing) == []


def test_initial_containers_count_by_the_greatest_and_sidecars_with_the_others() -> None:
    item = pods("Deployment", container(requests={"cpu": "200m"}))
    first, second = (container(name, requests={"cpu": cpu}) for name, cpu in (("a", "500m"), ("b", "100m")))
    sidecar = {**container("side", requests={"cpu": "300m"}), "restartPolicy": "Always"}
    pod = item["spec"]["template"]["spec"]

    def wanted() -> list[str]:
        return told([item], {"requests.cpu": "1m"})

    pod["initContainers"] = [first, second]
    assert wanted() == ["requests.cpu: 500m needed, 1m allowed"]
    pod["initContainers"] = [second, sidecar]
    assert wanted() == ["requests.cpu: 500m needed, 1m allowed"]
    pod["initContainers"] = [sidecar, first]
    assert wanted() == ["requests.cpu: 800m needed, 1m allowed"]
    pod["overhead"] = {"cpu": "50m"}
    assert wanted() == ["requests.cpu: 850m needed, 1m allowed"]


def test_an_autoscaler_keeps_at_least_its_minimum() -> None:
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "x"},
        "spec": {"minReplicas": 4, "maxReplicas": 9, "scaleTargetRef": {"kind": "Deployment", "name": "x"}},
    }
    assert told([pods(), scaler], {"pods": "3"}) == ["pods: 4 needed, 3 allowed"]
    assert told([pods(replicas=0), scaler], {"pods": "3"}) == []


def test_jobs_count_by_what_runs_side_by_side_and_no_more_once_they_have_run() -> None:
    assert told([pods("Job", parallelism=5, completions=2)], {"pods": "1"}) == ["pods: 2 needed, 1 allowed"]
    assert told([pods("Job", parallelism=5)], {"pods": "1"}, finished={"x"}) == []
    assert told([pods("Job", suspend=True)], {"pods": "0"}) == []
    assert told([pods("CronJob")], {"pods": "0"}) == ["pods: 1 needed, 0 allowed"]


def test_claims_count_also_those_that_a_stateful_set_makes() -> None:
    def claim(storage: str) -> dict[str, Any]:
        return {"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": storage}}}}

    own = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        **claim("10Gi"),
    }
    objects = [own, pods("StatefulSet", replicas=2, volumeClaimTemplates=[claim("5Gi")])]
    hard = {
        "requests.storage": "19Gi",
        "persistentvolumeclaims": "2",
        "fast.storageclass.storage.k8s.io/requests.storage": "20Gi",
    }
    assert told(objects, hard) == [
        "persistentvolumeclaims: 3 needed, 2 allowed",
        "requests.storage: 20Gi needed, 19Gi allowed",
    ]


def test_objects_are_counted_with_what_kubernetes_itself_makes() -> None:
    objects = [config_map(), service(type="LoadBalancer", ports=[{"port": 1}, {"port": 2}])]
    hard = {"configmaps": "1", "services": "1", "services.loadbalancers": "0", "services.nodeports": "1"}
    assert told(objects, hard) == [
        "configmaps: 2 needed, 1 allowed",
        "services.loadbalancers: 1 needed, 0 allowed",
        "services.nodeports: 2 needed, 1 allowed",
    ]
    assert told([pods(replicas=0)], {"count/deployments.apps": "0"}) == [
        "count/deployments.apps: 1 needed, 0 allowed"
    ]


_FIELDS = [
    "spec",
    "template",
    "containers",
    "resources",
    "requests",
    "cpu",
    "replicas",
    "jobTemplate",
    "ports",
]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text("0m1Gi", max_size=4),
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(_FIELDS), inner, max_size=3)
        ),
    )
)
def test_whatever_a_template_holds_the_sum_is_made(spec: Any) -> None:
    for item in (pods(), pods("StatefulSet"), pods("Job"), pods("CronJob"), service(), config_map()):
        misfits([{**item, "spec": spec}], plan(quota={"pods": "1", "requests.cpu": "1"}))


def test_a_plan_that_its_own_template_does_not_fit_is_told_before_anybody_buys_it() -> None:
    template = [pods("Deployment", container(), replicas="${plan.numbers.replicas}")]
    plans = {"Gold": {"numbers": {"replicas": 5}, "quota": {"pods": "4"}}}
    default = {"numbers": {"replicas": 1}, "quota": {"pods": "4"}}
    found = review(app(template=template, plans=plans, defaultPlan=default))
    assert found.problems == ()
    (misfit,) = found.misfits
    assert misfit.path == "spec.plans['Gold'].quota"
    assert misfit.message.startswith("spec.template does not fit: pods: 5 needed, 4 allowed;")


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "Job", "CronJob"])
@pytest.mark.parametrize("spec", [{}, {"spec": None}, {"spec": "${plan.values.size}"}])
def test_a_workload_without_a_spec_is_refused_before_there_are_tenants(
    kind: str, spec: dict[str, Any]
) -> None:
    declared = {"apiVersion": "batch/v1" if "Job" in kind else "apps/v1", "kind": kind}
    item = {**declared, "metadata": {"name": "web"}, **spec}
    found = review(app(template=[item], defaultPlan={"values": {"size": "small"}}))
    (problem,) = found.problems
    assert str(problem) == f"spec.template[0].spec: a {kind} needs an object here"


def test_what_runs_nothing_needs_no_spec() -> None:
    item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "plain"}}
    assert review(app(template=[item])).problems == ()

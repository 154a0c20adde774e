"""Events stored for real: on a real API server, under the chart's own service account, roles and policies."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from talkdesk_crds.installation import TalkdeskInstallation, TalkdeskInstallationSpec
from talkdesk_crds.names import installation_name
from talkdesk_crds.revocation import TalkdeskRevocation
from talkdesk_kube import NotFound, parse
from talkdesk_kube.resources import EVENTS, INSTALLATIONS, REVOCATIONS, SECRETS
from talkdesk_webhook import event as event_module
from talkdesk_webhook.fold import fold

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from talkdesk_kube import Kube
    from talkdesk_sandbox.controlplane import ControlPlane
    from talkdesk_sandbox.release import Release


@pytest.fixture(scope="module")
def webhook_release(control_plane: ControlPlane) -> Iterator[Release]:
    """The chart without pods; one for this file, as each test has an installation of its own."""
    from talkdesk_sandbox.release import WITHOUT_PODS, Release  # noqa: PLC0415 - unit tests do not pay for it

    namespace = f"test-{secrets.token_hex(5)}"
    control_plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    release = Release(control_plane, namespace)
    release.install(WITHOUT_PODS)
    yield release
    release.uninstall()


@dataclass
class Cluster:
    """The release's namespaces as the administrator sees them, and one installation's id."""

    kube: Kube
    release: Release
    installation: str

    @property
    def namespace(self) -> str:
        return self.release.namespace

    async def spec(self) -> TalkdeskInstallationSpec:
        return parse(TalkdeskInstallation, await self.raw()).spec

    async def raw(self) -> dict[str, Any]:
        name = installation_name(self.installation)
        return await self.kube.get(INSTALLATIONS, name, namespace=self.namespace)

    async def labelled(self, resource: Any, *, namespace: str | None = None) -> list[dict[str, Any]]:
        found = await self.kube.list(
            resource,
            namespace=namespace or self.namespace,
            labels=f"talkdesk-operator.io/installation={self.installation}",
        )
        return found.items

    async def secrets(self) -> list[dict[str, Any]]:
        return await self.labelled(SECRETS, namespace=self.release.credentials_namespace)

    async def revocations(self) -> list[TalkdeskRevocation]:
        return [parse(TalkdeskRevocation, item) for item in await self.labelled(REVOCATIONS)]

    async def events(self, reason: str) -> list[dict[str, Any]]:
        found = await self.kube.list(EVENTS, namespace=self.namespace)
        return [item for item in found.items if item["reason"] == reason]


@pytest.fixture
def cluster(kube: Kube, webhook_release: Release) -> Cluster:
    return Cluster(kube, webhook_release, secrets.token_hex(16))


@pytest.fixture
def event_of(make_event: Any, cluster: Cluster) -> Callable[..., dict[str, Any]]:
    """Events of this test's installation."""

    def make(event_type: str, **more: Any) -> dict[str, Any]:
        body: dict[str, Any] = make_event(event_type, **{"installation_id": cluster.installation} | more)
        return body

    return make


@pytest.fixture
def start(start_webhook: Any, webhook_release: Release) -> Callable[..., Awaitable[Any]]:
    """Start a webhook of the release and wait until it is ready."""

    async def begin(**more: Any) -> Any:
        settings = {"kubeconfig": webhook_release.kubeconfig("webhook"), "store_budget_seconds": 30} | more
        started = await start_webhook(
            namespace=webhook_release.namespace,
            credentials_namespace=webhook_release.credentials_namespace,
            **settings,
        )
        async with asyncio.timeout(20):
            await started.running.readiness.reached()
        return started

    return begin


@pytest.fixture
def install(event_of: Callable[..., dict[str, Any]], credentials: dict[str, str]) -> dict[str, Any]:
    """An ``app.installed`` with credentials."""
    return event_of("app.installed", **credentials)


NEW_KEY = {"client_id": "e9", "private_key": "QkJCQg=="}


def _folded(bodies: list[dict[str, Any]]) -> TalkdeskInstallationSpec | None:
    spec: TalkdeskInstallationSpec | None = None
    for body in bodies:
        found = event_module.parse(json.dumps(body).encode())
        assert isinstance(found, event_module.Event)
        spec = fold(spec, found)
    return spec


def _life(event_of: Callable[..., dict[str, Any]], credentials: dict[str, str]) -> list[dict[str, Any]]:
    """One event of each type, in the order of a life."""
    return [
        event_of("app.installed", **credentials),
        event_of("app.trial_started", expires_at="2026-02-05T00:00:00Z"),
        event_of("app.trial_extended", expires_at="2026-03-05T00:00:00Z"),
        event_of("app.updated", users={"adding": ["u1"], "removing": ["u2"]}),
        event_of("app.credentials_rotated", **credentials | {"client_id": "e6", "private_key": "QUFBQQ=="}),
        event_of("app.invented", news="unheard of"),
        event_of("user.logout", user_id="u1", user_email="u1@example.com"),
        event_of("app.trial_ended", ended_at="2026-02-01T00:00:00Z", ended_reason="plan_upgraded"),
        event_of("app.uninstalled", reason={"type": "other", "message": "no more"}),
    ]


async def test_all_types_and_an_unknown_one_of_an_undeclared_app_are_stored(
    start: Any, cluster: Cluster, event_of: Any, credentials: Any
) -> None:
    deliveries = await start()
    bodies = _life(event_of, credentials)
    with structlog.testing.capture_logs() as log:
        for body in bodies:
            answer = await deliveries.send(body)
            assert (answer.status_code, answer.json()) == (200, {"result": "stored"}), body["type"]
    lines = [(line["event_id"], line["installation_id"]) for line in log if line["event"] == "event"]
    assert lines == [(body["id"], cluster.installation) for body in bodies]
    assert not any(credentials[name] in str(log) for name in ("client_secret", "private_key"))
    spec = await cluster.spec()
    assert spec == _folded(bodies)
    assert spec.region is None, "the operator's to resolve"
    told = spec.talkdesk
    assert None not in (told.installed, told.updated, told.uninstalled, told.trial, told.credentials)
    assert [entry.type for entry in told.recent] == [
        body["type"] for body in reversed(bodies) if body["type"] != "user.logout"
    ]
    found = await cluster.secrets()
    assert len(found) == 2
    assert all(secret["immutable"] and "ownerReferences" not in secret["metadata"] for secret in found)
    assert told.credentials is not None
    (current,) = [secret for secret in found if secret["metadata"]["name"] == told.credentials.secret]
    assert base64.b64decode(current["data"]["client_id"]) == b"e6"
    assert {(found.spec.kind, *found.spec.users) for found in await cluster.revocations()} == {
        ("Removed", "u2"),
        ("SignedOut", "u1"),
    }


async def test_what_is_delivered_again_is_answered_and_changes_nothing(
    start: Any, cluster: Cluster, event_of: Any, credentials: Any, control_plane: ControlPlane
) -> None:
    deliveries = await start()
    bodies = _life(event_of, credentials)
    for body in bodies:
        await deliveries.send(body)
    before = await cluster.raw()
    position = control_plane.audit_position()
    for body in reversed(bodies):
        answer = await deliveries.send(body)
        assert (answer.status_code, answer.json()) == (200, {"result": "already-stored"})
    assert await cluster.raw() == before
    user = cluster.release.user("webhook")
    writes = [
        (entry["verb"], entry["responseStatus"]["code"])
        for entry in control_plane.audit(since=position)
        if entry["user"]["username"] == user and entry["verb"] not in {"get", "list", "watch"}
    ]
    assert set(writes) <= {("create", 409)}, "only Secrets and revocations that exist were offered again"


async def test_two_webhooks_fold_a_hundred_concurrent_events_into_one_installation(
    start: Any, cluster: Cluster, event_of: Any, credentials: Any
) -> None:
    first, second = await start(), await start()
    bodies = [body for _ in range(11) for body in _life(event_of, credentials)] + [event_of("app.updated")]
    assert len(bodies) == 100
    sent = [*zip([first, second] * 50, bodies, strict=True), *((second, body) for body in bodies[::5])]
    with structlog.testing.capture_logs() as log:
        answers = await asyncio.gather(*(deliveries.send(body) for deliveries, body in sent))
    assert {answer.status_code for answer in answers} == {200}
    assert await cluster.spec() == _folded(bodies)
    conflicts = [await one.metric("talkdesk_webhook_store_conflicts_total") for one in (first, second)]
    assert sum(conflicts) > 0, "they did meet"
    assert {line["event"] for line in log if line["log_level"] not in {"debug", "info"}} == set()


@pytest.mark.parametrize("fault", ["cut", "503", "429", "silent"])
async def test_an_api_server_in_trouble_means_503_and_then_the_next_delivery_is_stored(
    start: Any, cluster: Cluster, install: dict[str, Any], fault: str, control_plane: ControlPlane
) -> None:
    from aiohttp import web  # noqa: PLC0415 - with the sandbox's parts below

    from talkdesk_sandbox.interceptor import Cut, Exchange, before_kubernetes, passing  # noqa: PLC0415

    released = asyncio.Event()

    async def broken(exchange: Exchange) -> web.StreamResponse:
        if fault == "cut":
            raise Cut
        if fault == "silent":
            await released.wait()
            return await exchange.forward()
        body = {"kind": "Status", "code": int(fault), "reason": "TooManyRequests", "message": "later"}
        return web.json_response(body, status=int(fault))

    async with before_kubernetes(control_plane) as between:
        kubeconfig = between.kubeconfig(cluster.release.kubeconfig("webhook"))
        deliveries = await start(kubeconfig=kubeconfig, store_budget_seconds=1.5)
        between.rule = broken
        with structlog.testing.capture_logs() as log:
            answer = await deliveries.send(install)
        assert (answer.status_code, answer.json()) == (503, {"error": "out-of-time"})
        assert "exc_info" not in str(log)
        assert install["data"]["private_key"] not in str(log)
        with pytest.raises(NotFound):
            await cluster.raw()
        between.rule = passing
        released.set()
        answer = await deliveries.send(install)
        assert answer.status_code == 200
    assert await cluster.spec() == _folded([install])


async def test_who_is_never_first_until_the_time_is_over_says_so_without_the_api_servers_409(
    start: Any, cluster: Cluster, install: dict[str, Any], control_plane: ControlPlane
) -> None:
    from aiohttp import web  # noqa: PLC0415 - with the sandbox's parts below

    from talkdesk_sandbox.interceptor import Exchange, before_kubernetes  # noqa: PLC0415

    async def always_second(exchange: Exchange) -> web.StreamResponse:
        if exchange.is_write and exchange.path.endswith("/talkdeskinstallations"):
            body = {"kind": "Status", "code": 409, "reason": "AlreadyExists", "message": "it is there"}
            return web.json_response(body, status=409)
        return await exchange.forward()

    async with before_kubernetes(control_plane) as between:
        kubeconfig = between.kubeconfig(cluster.release.kubeconfig("webhook"))
        deliveries = await start(kubeconfig=kubeconfig, store_budget_seconds=0.5)
        between.rule = always_second
        with structlog.testing.capture_logs() as log:
            assert (await deliveries.send(install)).status_code == 503
    (line,) = [line for line in log if line["event"] == "event not stored"]
    assert line["reason"] == "out-of-time"
    assert line["detail"] == "somebody else made the installation's object first"
    assert "409" not in str([one for one in log if one["log_level"] != "debug"])


async def test_a_write_whose_answer_was_lost_is_found_and_done_once(
    start: Any, cluster: Cluster, event_of: Any, credentials: Any, control_plane: ControlPlane
) -> None:
    from aiohttp import web  # noqa: PLC0415, TC002 - with the sandbox's parts below

    from talkdesk_sandbox.interceptor import Cut, Exchange, before_kubernetes  # noqa: PLC0415

    lost: list[str] = []

    async def loses_each_answer_once(exchange: Exchange) -> web.StreamResponse:
        answer = await exchange.forward()
        if exchange.is_write and exchange.path not in lost:
            lost.append(exchange.path)
            raise Cut
        return answer

    async with before_kubernetes(control_plane) as between:
        deliveries = await start(kubeconfig=between.kubeconfig(cluster.release.kubeconfig("webhook")))
        between.rule = loses_each_answer_once
        bodies = [
            event_of("app.installed", **credentials, users={"removing": ["u1"]}),
            event_of("app.updated", users={"removing": ["u1"]}),
        ]
        for body in bodies:
            assert (await deliveries.send(body)).status_code == 200
    assert len(lost) == 4, "Secret, revocation, installation created, installation patched"
    assert await cluster.spec() == _folded(bodies)
    assert len(await cluster.secrets()) == 1
    assert len(await cluster.revocations()) == 2


async def test_an_object_being_deleted_is_waited_out(
    start: Any, cluster: Cluster, event_of: Any, credentials: Any, eventually: Any
) -> None:
    hasty, patient = await start(store_budget_seconds=0.5), await start()
    assert (await patient.send(event_of("app.installed", **credentials))).status_code == 200
    name = installation_name(cluster.installation)
    await cluster.kube.merge_patch(
        INSTALLATIONS, name, {"metadata": {"finalizers": ["test.example/hold"]}}, namespace=cluster.namespace
    )
    await cluster.kube.delete(INSTALLATIONS, name, namespace=cluster.namespace)
    reinstalled = event_of("app.installed", **credentials)
    answer = await hasty.send(reinstalled)
    assert (answer.status_code, answer.json()) == (503, {"error": "out-of-time"})
    waiting = asyncio.create_task(patient.send(reinstalled))

    async def tried_in_vain() -> bool:
        return bool(await patient.metric("talkdesk_webhook_store_conflicts_total") > 0)

    await eventually(tried_in_vain)
    await cluster.kube.merge_patch(
        INSTALLATIONS, name, {"metadata": {"finalizers": None}}, namespace=cluster.namespace
    )
    assert (await waiting).status_code == 200
    assert await cluster.spec() == _folded([reinstalled])


async def test_an_update_that_removes_ten_thousand_users_is_one_revocation(
    start: Any, cluster: Cluster, event_of: Any
) -> None:
    deliveries = await start()
    users = {
        "adding": [f"{n:024x}" for n in range(10_000)],
        "removing": [f"{n:024x}" for n in range(20_000, 30_001)],
    }
    answer = await deliveries.send(event_of("app.updated", users=users))
    assert answer.status_code == 200
    found = sorted(await cluster.revocations(), key=lambda one: one.spec.part)
    assert [len(one.spec.users) for one in found] == [10_000, 1]
    assert (await cluster.spec()).talkdesk.updated is not None


@pytest.mark.parametrize("differs", ["account_id", "app_id"])
async def test_another_account_or_app_is_refused_where_an_installation_is_known(
    start: Any, cluster: Cluster, event_of: Any, eventually: Any, differs: str
) -> None:
    deliveries = await start()
    await deliveries.send(event_of("app.installed"))
    before = await cluster.raw()
    foreign = {"account_id": "other"} if differs == "account_id" else {"envelope": {"app_id": "other"}}
    with structlog.testing.capture_logs() as log:
        for event_type, more in (("app.installed", NEW_KEY), ("user.logout", {"user_id": "u1"})):
            answer = await deliveries.send(event_of(event_type, **more | foreign))
            assert (answer.status_code, answer.json()) == (200, {"result": "foreign"})
            name = "talkdesk_webhook_events_total"
            assert await deliveries.metric(name, type=event_type, outcome="foreign") == 1
    alarms = [line for line in log if line["log_level"] == "error"]
    assert [(line["differs"], line["installation_id"]) for line in alarms] == [
        (differs, cluster.installation)
    ] * 2
    assert await cluster.raw() == before
    assert await cluster.secrets() == []
    assert await cluster.revocations() == []

    async def told() -> bool:
        regarding = [item["regarding"]["name"] for item in await cluster.events("ForeignEvent")]
        return regarding.count(installation_name(cluster.installation)) == 2

    await eventually(told)


async def test_a_signed_body_that_names_no_installation_is_answered_and_told(
    start: Any, cluster: Cluster, event_of: Any, eventually: Any
) -> None:
    pod = f"webhook-{secrets.token_hex(3)}"
    deliveries = await start(pod_name=pod)
    with structlog.testing.capture_logs() as log:
        for body in (b"not JSON at all", b"[]", event_of("app.updated", installation_id="")):
            answer = await deliveries.send(body)
            assert (answer.status_code, answer.json()) == (200, {"result": "unusable"})
    lines = [line for line in log if line["event"] == "unusable event"]
    assert [line["reason"] for line in lines] == ["not-json", "not-an-object", "no-installation-id"]
    name = "talkdesk_webhook_events_total"
    assert await deliveries.metric(name, type="unknown", outcome="unusable") == 2
    assert await deliveries.metric(name, type="app.updated", outcome="unusable") == 1

    async def told() -> bool:
        found = [item["regarding"] for item in await cluster.events("UnusableEvent")]
        return len([one for one in found if (one["kind"], one["name"]) == ("Pod", pod)]) == 3

    await eventually(told)


def _strange(body: dict[str, Any]) -> list[bytes]:
    """Genuine bodies of every strangeness, all of the same installation."""
    text = json.dumps(body)
    links = {f"link-{n:02}": {"href": "https://evil.example/" + "é" * 2000} for n in range(40)}
    texts = ["\x00", "\x7f\x1f", "\ud800", "😀" * 2000, "%s{{}}$(x)", "\u2028\ufeff"]
    return [
        text.encode("utf-16"),
        b"\xef\xbb\xbf" + text.encode(),
        text.replace("acme", "Müller").encode("latin-1"),
        (text[:-1] + ',"type":"app.updated","type":"app.trial_started"}').encode(),
        (text[:-1] + ',"deep":' + "[" * 100_000 + "]" * 100_000 + "}").encode(),
        (text[:-1] + ',"number":' + "9" * 10_000 + "}").encode(),
        json.dumps(body | {"_links": links}).encode(),
        json.dumps(body | {"id": "x" * 4000, "created_at": "whenever"}).encode(),
        *(
            json.dumps(
                body
                | {
                    "type": odd,
                    "app_version_id": odd,
                    "app_version_name": odd,
                    "_links": {odd: {"href": odd}},
                }
                | {"id": odd, "data": body["data"] | {"account_name": odd, "reason": {"message": odd}}}
                | {"data": body["data"] | {"private_key": odd, "client_id": odd, "account_name": odd}}
            ).encode()
            for odd in texts
        ),
        json.dumps(body | {"data": body["data"] | {"client_id": "e", "private_key": "k" * 700_000}}).encode(),
    ]


async def test_whatever_is_genuine_is_stored_however_strange(
    start: Any, cluster: Cluster, event_of: Any
) -> None:
    deliveries = await start()
    spec: TalkdeskInstallationSpec | None = None
    for raw in _strange(event_of("app.updated")):
        answer = await deliveries.send(raw)
        assert answer.status_code == 200, raw[:200]
        found = event_module.parse(raw)
        assert isinstance(found, event_module.Event)
        spec = fold(spec, found)
    assert await cluster.spec() == spec
    assert spec is not None
    assert len(spec.talkdesk.links) == 32


async def test_the_webhook_could_do_all_of_this_with_its_rights_and_has_no_more(
    start: Any, cluster: Cluster, event_of: Any, credentials: Any, control_plane: ControlPlane
) -> None:
    position = control_plane.audit_position()
    deliveries = await start()
    for body in _life(event_of, credentials):
        assert (await deliveries.send(body)).status_code == 200
    user = cluster.release.user("webhook")
    mine = [entry for entry in control_plane.audit(since=position) if entry["user"]["username"] == user]
    assert {entry["responseStatus"]["code"] for entry in mine} <= {200, 201, 404, 409}
    used = {(entry["verb"], entry["objectRef"]["resource"]) for entry in mine}
    assert used - {("create", "events")} == {
        ("get", "talkdeskinstallations"),
        ("create", "talkdeskinstallations"),
        ("patch", "talkdeskinstallations"),
        ("create", "talkdeskrevocations"),
        ("create", "secrets"),
    }


async def test_an_installation_made_by_somebody_else_meanwhile_is_folded_into(
    start: Any, cluster: Cluster, event_of: Any, control_plane: ControlPlane
) -> None:
    from aiohttp import web  # noqa: PLC0415, TC002 - with the sandbox's parts below

    from talkdesk_sandbox.interceptor import Exchange, before_kubernetes  # noqa: PLC0415

    other = await start()
    bodies = [event_of("app.installed"), event_of("app.updated"), event_of("app.uninstalled")]
    ahead = list(bodies[:2])

    async def is_overtaken(exchange: Exchange) -> web.StreamResponse:
        if exchange.is_write and ahead:
            assert (await other.send(ahead.pop())).status_code == 200
        return await exchange.forward()

    async with before_kubernetes(control_plane) as between:
        deliveries = await start(kubeconfig=between.kubeconfig(cluster.release.kubeconfig("webhook")))
        between.rule = is_overtaken
        assert (await deliveries.send(bodies[2])).status_code == 200
        assert await deliveries.metric("talkdesk_webhook_store_conflicts_total") == 2
    assert await cluster.spec() == _folded(bodies)

"""The whole deciding half as a process, on the real control plane and under the chart's own rights."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from talkdesk_crds import key_ring, names
from talkdesk_crds.revocation import TalkdeskRevocation
from talkdesk_gateway import sessions
from talkdesk_gateway.caches import Caches
from talkdesk_gateway.directory import WatchedDirectory
from talkdesk_gateway.lookup import WatchedLookup
from talkdesk_gateway.main import gateway
from talkdesk_gateway.ready import Watches
from talkdesk_gateway.sessions import Session
from talkdesk_gateway.settings import GatewaySettings
from talkdesk_gateway.sign_out import StoredSignOut
from talkdesk_kube import Forbidden, Kube, KubeSettings, listing
from talkdesk_kube.resources import INSTALLATIONS, NAMESPACES, SECRETS, SERVICES, USER_SLICES
from talkdesk_sandbox.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from talkdesk_gateway.main import Gateway
    from talkdesk_kube import Obj
    from talkdesk_sandbox.release import Release

HOST = "i1.apps.example.com"


@dataclass
class Cluster:
    """What the webhook, the operator and people leave behind, each by its own identity."""

    release: Release
    objects: Any
    admin: Kube
    operator: Kube
    webhook: Kube
    keys: tuple[key_ring.Key, ...] = ()
    uid: str = ""

    @property
    def tenant(self) -> str:
        prefix = names.tenant_prefix(self.release.namespace, self.release.name)
        return f"{prefix}0123456789abcdef0123"

    def mine(self, obj: Obj) -> Obj:
        obj["metadata"]["namespace"] = self.release.namespace
        return obj

    async def arrange(self) -> None:
        release_id = names.release_id(self.release.namespace, self.release.name)
        labels = {names.TENANT_LABEL: release_id, names.MANAGED_LABEL: release_id}
        await self.admin.create(NAMESPACES, {"metadata": {"name": self.tenant, "labels": labels}})
        await self.service()
        await self.admin.apply(self.mine(self.objects.app()), field_manager="test")
        made = self.mine(self.objects.installation())
        status = made.pop("status") | {"tenant": self.tenant}
        made["spec"].pop("region")
        stored = await self.webhook.create(INSTALLATIONS, made, namespace=self.release.namespace)
        self.uid = stored["metadata"]["uid"]
        await self.status(**status)
        await self.users({"u1": "e1"})
        for name, jwk in (
            (names.session_keys_name(self.release.name), OctKey.generate_key(256).as_dict(private=True)),
            (names.identity_keys_name(self.release.name), ECKey.generate_key("P-256").as_dict(private=True)),
        ):
            since = datetime.now(UTC) - timedelta(days=1)
            keys = (key_ring.Key("k1", since, SecretStr(json.dumps(jwk))),)
            self.keys = self.keys or keys
            secret = {"metadata": {"name": name}, "type": key_ring.SECRET_TYPE, "data": key_ring.render(keys)}
            await self.admin.create(SECRETS, secret, namespace=self.release.namespace)

    async def service(self) -> str:
        """The tenant's Service; its address."""
        labels = {names.MANAGED_LABEL: names.release_id(self.release.namespace, self.release.name)}
        spec = {"ports": [{"name": "http", "port": 8080}], "selector": {"app": "web"}}
        made = {"metadata": {"name": "web", "labels": labels}, "spec": spec}
        stored = await self.admin.create(SERVICES, made, namespace=self.tenant)
        return str(stored["spec"]["clusterIP"])

    async def status(self, **changes: Any) -> None:
        await self.operator.merge_patch(
            INSTALLATIONS, "i1", {"status": changes}, namespace=self.release.namespace, subresource="status"
        )

    async def users(self, users: dict[str, str]) -> None:
        """The slice, then the status that names it."""
        made = self.mine(self.objects.user_slice(users=users))
        written = await self.operator.apply(made, field_manager="talkdesk-operator")
        version = written["metadata"]["resourceVersion"]
        await self.status(users={"count": len(users), "buckets": 1, "resourceVersion": version})

    def cookie(self) -> str:
        """A browser's Cookie header: ``u1`` signed in a minute ago."""
        now = datetime.now(UTC)
        began = now - timedelta(minutes=1)
        session = Session(HOST, "i1", self.uid, "u1", "e1", "s1", began)
        policy: Any = type("Policy", (), {"idle_seconds": 43200, "absolute_seconds": 604800})
        both = sessions.session_cookies(session, policy, keys=self.keys, now=now)
        return "; ".join(one.split(";")[0] for one in both)

    def settings(self, **more: Any) -> GatewaySettings:
        told = self.release.settings("gateway")
        values = {name.removeprefix("TALKDESK_").lower(): value for name, value in told.items()}
        ports = dict.fromkeys(("port", "decision_port", "relay_port", "jwks_port"), 0)
        return GatewaySettings(**values | ports | more)  # type: ignore[arg-type] # pydantic reads the texts


@pytest_asyncio.fixture
async def cluster(release: Release, objects: Any, kube: Kube) -> AsyncIterator[Cluster]:
    """The objects of one tenant."""
    async with (
        await Kube.connect(KubeSettings(kubeconfig=release.kubeconfig("operator"))) as operator,
        await Kube.connect(KubeSettings(kubeconfig=release.kubeconfig("webhook"))) as webhook,
    ):
        made = Cluster(release, objects, kube, operator, webhook)
        await made.arrange()
        yield made


@asynccontextmanager
async def running(cluster: Cluster) -> AsyncIterator[tuple[Gateway, aiohttp.ClientSession]]:
    """The gateway under its own rights, ready."""
    jar = aiohttp.DummyCookieJar()
    async with (
        gateway(cluster.settings(), registry=CollectorRegistry()) as it,
        aiohttp.ClientSession(cookie_jar=jar) as http,
    ):
        await until(lambda: it.readiness.ready() is None)
        yield it, http


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what the watches show sets no event
            await asyncio.sleep(0.002)


async def decided(it: Gateway, http: aiohttp.ClientSession, cookie: str) -> tuple[int, Any, str]:
    url = f"http://127.0.0.1:{it.ports.decision}/decide/"
    headers = {"Host": HOST, "Cookie": cookie, "Sec-Fetch-Mode": "navigate"}
    async with http.get(url, headers=headers, allow_redirects=False) as answer:
        return answer.status, answer.headers, await answer.text()


async def until_status(
    it: Gateway, http: aiohttp.ClientSession, cookie: str, status: int
) -> tuple[float, Any, str]:
    """Seconds until a decision has that status."""
    began = time.monotonic()
    async with asyncio.timeout(10):
        while True:
            found, headers, body = await decided(it, http, cookie)
            if found == status:
                return time.monotonic() - began, headers, body


async def test_it_decides_by_what_the_operator_writes(cluster: Cluster) -> None:
    cookie = cluster.cookie()
    async with running(cluster) as (it, http):
        status, headers, _ = await decided(it, http, cookie)
        service = await cluster.admin.get(SERVICES, "web", namespace=cluster.tenant)
        assert (status, headers["x-td-upstream"]) == (200, f"{service['spec']['clusterIP']}:8080")
        async with http.get(f"http://127.0.0.1:{it.ports.jwks}/jwks.json") as answer:
            published = KeySet.import_key_set(await answer.json())
        assert jwt.decode(headers["x-td-identity"], published, algorithms=["ES256"]).claims["sub"] == "u1"
        await cluster.users({"u1": "e2"})
        await until_status(it, http, cookie, 303)
        await cluster.users({"u1": "e1"})
        await until_status(it, http, cookie, 200)
        await cluster.users({})
        _, _, body = await until_status(it, http, cookie, 403)
        assert "no licence" in body
        await cluster.users({"u1": "e1"})
        await until_status(it, http, cookie, 200)
        await cluster.status(access={"state": "Refused", "reason": "TrialEnded"})
        _, headers, _ = await until_status(it, http, cookie, 403)
        assert "x-td-status" not in headers


async def test_the_address_of_a_deleted_service_is_not_used_again(cluster: Cluster) -> None:
    cookie = cluster.cookie()
    async with running(cluster) as (it, http):
        assert (await decided(it, http, cookie))[0] == 200
        await cluster.admin.delete(SERVICES, "web", namespace=cluster.tenant)
        _, headers, _ = await until_status(it, http, cookie, 403)
        assert headers["x-td-status"] == "503"
        address = await cluster.service()
        _, headers, _ = await until_status(it, http, cookie, 200)
        assert headers["x-td-upstream"] == f"{address}:8080"


async def test_deleting_the_session_keys_signs_everybody_out(cluster: Cluster) -> None:
    cookie = cluster.cookie()
    async with running(cluster) as (it, http):
        assert (await decided(it, http, cookie))[0] == 200
        name = names.session_keys_name(cluster.release.name)
        await cluster.admin.delete(SECRETS, name, namespace=cluster.release.namespace)
        _, headers, _ = await until_status(it, http, cookie, 403)
        assert headers["x-td-status"] == "503"


@pytest.mark.usefixtures("refusals_intended")
async def test_a_look_and_a_sign_out_are_within_its_rights_and_nothing_else_is(cluster: Cluster) -> None:
    namespace = cluster.release.namespace
    async with await Kube.connect(KubeSettings(kubeconfig=cluster.release.kubeconfig("gateway"))) as own:
        caches = Caches(own, namespace=namespace, release=cluster.release.name)
        watches = Watches(caches.reflectors(), stale=300)
        directory = WatchedDirectory(caches, namespace=namespace, fault=watches.fault)
        watching = asyncio.create_task(watches.run())
        await until(lambda: watches.fault() is None)
        tenancy = directory.by_installation("i1")
        assert tenancy is not None

        looks = [WatchedLookup(own, directory, wait=8).look(tenancy, f"n{number}") for number in range(5)]
        looking = asyncio.gather(*looks)

        async def token() -> str | None:
            found = await cluster.admin.get(INSTALLATIONS, "i1", namespace=namespace)
            asked: str | None = (found["metadata"].get("annotations") or {}).get(names.RESYNC_ANNOTATION)
            return asked

        async with asyncio.timeout(5):
            while (asked := await token()) is None:  # noqa: ASYNC110 - the API server sets no event
                await asyncio.sleep(0.01)
        await cluster.users({"u1": "e1", "n3": "e1"})
        await cluster.status(observedResync=asked)
        found = await looking
        assert [one.user(f"n{number}") is not None for number, one in enumerate(found)][3]
        assert await token() == asked, "five replicas at once asked once"

        for _ in range(2):
            await StoredSignOut(own).sign_out(tenancy, "u1", "session s1")
        stored = await listing(cluster.admin, TalkdeskRevocation, namespace=namespace)
        assert [(one.spec.kind, one.spec.users) for one in stored] == [("SignedOut", ["u1"])]

        with pytest.raises(Forbidden):
            await own.list(SECRETS, namespace=namespace)
        with pytest.raises(Forbidden):
            await own.delete(USER_SLICES, "i1-1-0", namespace=namespace)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_the_process_is_ready_soon_and_ends_in_order(cluster: Cluster) -> None:
    metrics, decision = free_port(), free_port()
    environment = {
        **os.environ,
        **cluster.release.settings("gateway"),
        "TALKDESK_METRICS_PORT": str(metrics),
        "TALKDESK_DECISION_PORT": str(decision),
        "TALKDESK_PORT": "0",
        "TALKDESK_RELAY_PORT": "0",
        "TALKDESK_JWKS_PORT": "0",
        "TALKDESK_DRAIN_SECONDS": "1",
        "TALKDESK_LOG_FORMAT": "text",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "talkdesk_cli", "gateway", env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:

            async def ready() -> int:
                try:
                    async with http.get(f"http://127.0.0.1:{metrics}/readyz") as answer:
                        return answer.status
                except aiohttp.ClientError:
                    return 0

            async with asyncio.timeout(30):
                while await ready() != 200:  # noqa: ASYNC110 - another process sets no event
                    await asyncio.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(5):
                while await ready() != 503:  # noqa: ASYNC110 - the same
                    await asyncio.sleep(0.01)
            url = f"http://127.0.0.1:{decision}/decide/"
            headers = {"Host": HOST, "Cookie": cluster.cookie()}
            async with http.get(url, headers=headers) as answer:
                assert answer.status == 200, "while it drains it still decides"
        _, printed = await asyncio.wait_for(process.communicate(), 15)
        assert process.returncode == 0, printed.decode()
        assert b"ended" in printed
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

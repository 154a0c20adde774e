"""A gateway with very many tenants: how soon it is ready, whether it decides rightly, and what it holds."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from joserfc.jwk import ECKey, OctKey
from pydantic import SecretStr

from gateway_bench.stage import DECISION_PORT, WrongAnswer, gateway, removed
from gateway_bench.wire import Line, request
from talkdesk_crds import key_ring, names
from talkdesk_crds.app import SessionPolicy
from talkdesk_gateway import sessions
from talkdesk_gateway.sessions import Session
from talkdesk_kube import Kube, KubeSettings, resources
from talkdesk_sandbox.release import WITHOUT_PODS, Release

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_kube import Obj
    from talkdesk_sandbox.controlplane import ControlPlane

NAMESPACE = "many"
_AT_ONCE = 24
_LANES = 8
_PATIENCE = 120.0
_PORT = 8080


@dataclass(frozen=True)
class Scale:
    """``memory_mb``: resident after the decisions; ``peak_mb``: at the most, which is while it lists."""

    tenants: int
    users: int
    ready_s: float
    memory_mb: float
    peak_mb: float


@dataclass
class _Tenant:
    """``users`` are the first's ids; nobody has a licence whose number is beyond theirs."""

    number: int
    users: int
    uid: str = ""
    address: str = ""

    @property
    def installation_id(self) -> str:
        return f"{names.digest('bench', str(self.number), length=32)}"

    @property
    def name(self) -> str:
        return names.installation_name(self.installation_id)

    @property
    def host(self) -> str:
        return f"{self.name[:12]}.many.localhost"

    def user(self, number: int) -> str:
        return names.digest(self.installation_id, str(number), length=24)

    def epoch(self, number: int) -> str:
        return names.digest("epoch", self.user(number), length=22)


async def measure(
    plane: ControlPlane, folder: Path, *, tenants: int, users: int, tell: Callable[[str], None]
) -> Scale:
    """Make them, start a gateway, and ask it about a licensed and an unlicensed user of each tenant.

    Raises WrongAnswer where one is let in who may not enter, or the other way round.
    """
    release = Release(plane, NAMESPACE)
    await asyncio.to_thread(release.install, WITHOUT_PODS)
    try:
        began = time.monotonic()
        everyone = [_Tenant(number, users) for number in range(tenants)]
        keys = await _Writing(release).all(everyone)
        tell(f"{tenants} tenants of {users} users written in {time.monotonic() - began:.0f} s")
        address = f"{plane.network.pod_listen_cidr.removesuffix('.0.0/16')}.250.100"
        own = gateway(release, address, {}, folder / "gateway-many.log")
        began = time.monotonic()
        async with own:
            await own.ready(within=_PATIENCE)
            ready_s = time.monotonic() - began
            await _decide(everyone, keys, address)
            return Scale(
                tenants=tenants,
                users=users,
                ready_s=ready_s,
                memory_mb=_megabytes(own.pid, "VmRSS"),
                peak_mb=_megabytes(own.pid, "VmHWM"),
            )
    finally:
        await asyncio.to_thread(removed, release)


@dataclass
class _Writing:
    """Writes what webhook and operator would have left, each part by its own identity."""

    release: Release

    async def all(self, tenants: list[_Tenant]) -> tuple[key_ring.Key, ...]:
        """The session keys."""
        administrator = KubeSettings(kubeconfig=self.release.control_plane.kubeconfig)
        limit = asyncio.Semaphore(_AT_ONCE)
        async with (
            await Kube.connect(administrator, user_agent="bench") as admin,
            await Kube.connect(KubeSettings(kubeconfig=self.release.kubeconfig("webhook"))) as webhook,
            await Kube.connect(KubeSettings(kubeconfig=self.release.kubeconfig("operator"))) as operator,
        ):

            async def one(tenant: _Tenant) -> None:
                async with limit:
                    await self._tenant(tenant, admin, webhook, operator)

            await admin.apply(self._app(), field_manager="bench")
            await asyncio.gather(*(one(tenant) for tenant in tenants))
            return await self._keys(admin)

    async def _tenant(self, tenant: _Tenant, admin: Kube, webhook: Kube, operator: Kube) -> None:
        mine = names.release_id(NAMESPACE, self.release.name)
        prefix = names.tenant_prefix(NAMESPACE, self.release.name)
        namespace = f"{prefix}{names.digest(tenant.installation_id, length=20)}"
        labels = {names.TENANT_LABEL: mine, names.MANAGED_LABEL: mine}
        await admin.create(resources.NAMESPACES, {"metadata": {"name": namespace, "labels": labels}})
        service: Obj = {
            "metadata": {"name": "web", "labels": {names.MANAGED_LABEL: mine}},
            "spec": {"ports": [{"name": "http", "port": _PORT}], "selector": {"app": "web"}},
        }
        made = await admin.create(resources.SERVICES, service, namespace=namespace)
        tenant.address = made["spec"]["clusterIP"]
        stored = await webhook.create(
            resources.INSTALLATIONS, _installation(tenant), namespace=self.release.namespace
        )
        tenant.uid = stored["metadata"]["uid"]
        written = await operator.create(
            resources.USER_SLICES, _slice(tenant), namespace=self.release.namespace
        )
        status = _status(tenant, namespace, written["metadata"]["resourceVersion"])
        await operator.merge_patch(
            resources.INSTALLATIONS,
            tenant.name,
            {"status": status},
            namespace=self.release.namespace,
            subresource="status",
        )

    async def _keys(self, admin: Kube) -> tuple[key_ring.Key, ...]:
        since = datetime.now(UTC) - timedelta(days=1)
        rings = {
            names.session_keys_name(self.release.name): OctKey.generate_key(256).as_dict(private=True),
            names.identity_keys_name(self.release.name): ECKey.generate_key("P-256").as_dict(private=True),
        }
        made = {name: (key_ring.Key("k1", since, SecretStr(json.dumps(jwk))),) for name, jwk in rings.items()}
        for name, keys in made.items():
            secret = {"metadata": {"name": name}, "type": key_ring.SECRET_TYPE, "data": key_ring.render(keys)}
            await admin.create(resources.SECRETS, secret, namespace=self.release.namespace)
        return made[names.session_keys_name(self.release.name)]

    def _app(self) -> Obj:
        return {
            "apiVersion": names.API_VERSION,
            "kind": "TalkdeskApp",
            "metadata": {"name": "many", "namespace": self.release.namespace},
            "spec": {
                "appId": "many",
                "regions": {
                    "eu": {"api": "api.eu.talkdesk.localhost", "identity": "id.eu.talkdesk.localhost"}
                },
                "baseDomain": "many.localhost",
                "launchHost": "launch.many.localhost",
                "service": {"name": "web", "port": _PORT},
                "contact": "support@many.localhost",
                "template": [],
            },
        }


def _installation(tenant: _Tenant) -> Obj:
    """As full as one that has lived a while."""

    def stamp(event: str, **more: Any) -> dict[str, Any]:
        return {"at": "2026-01-05T10:00:00.000000Z", "rank": 10, "event": event, **more}

    links = {
        name: stamp("e-1", href=f"https://api.eu.talkdesk.localhost/{name}/{tenant.installation_id}")
        for name in ("self", "root", "account", "installation", "users", "authorization", "tokens", "trial")
    }
    return {
        "apiVersion": names.API_VERSION,
        "kind": "TalkdeskInstallation",
        "metadata": {"name": tenant.name},
        "spec": {
            "appId": "many",
            "accountId": names.digest("account", str(tenant.number), length=24),
            "installationId": tenant.installation_id,
            "talkdesk": {
                "installed": stamp("e-1"),
                "accountName": stamp("e-1", name=f"account-{tenant.number}"),
                "subscription": stamp("e-1", name="Professional", licenses=tenant.users),
                "links": links,
                "recent": [stamp(f"e-{number}", type="app.updated") for number in range(1, 21)],
            },
        },
    }


def _status(tenant: _Tenant, namespace: str, version: str) -> dict[str, Any]:
    kinds = ("AppKnown", "CredentialsValid", "PlanKnown", "TenantReady", "UsersSynced", "Confirmed", "Ready")
    conditions = [
        {
            "type": kind,
            "status": "True",
            "reason": "AsItShouldBe",
            "message": f"{kind}: everything is as it should be",
            "lastTransitionTime": "2026-01-05T10:00:00Z",
            "observedGeneration": 1,
        }
        for kind in kinds
    ]
    return {
        "observedGeneration": 1,
        "conditions": conditions,
        "access": {"state": "Allowed", "reason": "Active"},
        "tenant": namespace,
        "host": tenant.host,
        "plan": "Professional",
        "users": {"count": tenant.users, "buckets": 1, "resourceVersion": version},
    }


def _slice(tenant: _Tenant) -> Obj:
    users = {
        tenant.user(number): {
            "email": f"user-{number}@account-{tenant.number}.example",
            "name": f"User {number} of account {tenant.number}",
            "role": "admin" if number == 0 else "user",
            "admin": number == 0,
            "epoch": tenant.epoch(number),
        }
        for number in range(tenant.users)
    }
    return {
        "apiVersion": names.API_VERSION,
        "kind": "TalkdeskUserSlice",
        "metadata": {"name": names.slice_name(tenant.name, 1, 0)},
        "spec": {"installation": tenant.name, "buckets": 1, "bucket": 0, "users": users},
    }


async def _decide(tenants: list[_Tenant], keys: tuple[key_ring.Key, ...], address: str) -> None:
    """One user of each who has a licence, and one whose session is as good but who has none."""
    wrong: list[str] = []

    async def ask(some: list[_Tenant]) -> None:
        line = Line((address, DECISION_PORT))
        try:
            for tenant in some:
                for number, due in ((tenant.number % tenant.users, 200), (tenant.users, 403)):
                    answer = await line.ask(_question(tenant, number, keys))
                    if answer.status != due:
                        wrong.append(f"{tenant.host}: {answer.status} instead of {due}")
                    elif due == 200 and f"x-td-upstream: {tenant.address}:{_PORT}" not in line.head:
                        wrong.append(f"{tenant.host}: another upstream than {tenant.address}:{_PORT}")
        finally:
            line.close()

    await asyncio.gather(*(ask(tenants[lane::_LANES]) for lane in range(_LANES)))
    if wrong:
        raise WrongAnswer(f"{len(wrong)} decisions are wrong, e.g. {wrong[0]}")


def _question(tenant: _Tenant, number: int, keys: tuple[key_ring.Key, ...]) -> bytes:
    now = datetime.now(UTC)
    session = Session(
        host=tenant.host,
        installation=tenant.name,
        uid=tenant.uid,
        user=tenant.user(number),
        epoch=tenant.epoch(number),
        sid=names.digest(tenant.host, str(number)),
        began=now - timedelta(minutes=1),
    )
    both = sessions.session_cookies(session, SessionPolicy(), keys=keys, now=now)
    cookie = "; ".join(one.partition(";")[0] for one in both)
    headers = {"host": tenant.host, "content-length": "0", "cookie": cookie, "accept": "application/json"}
    return request("GET", "/decide/api/calls", headers)


def _megabytes(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} has no {field}")

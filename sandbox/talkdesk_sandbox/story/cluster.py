"""The cluster as the story looks at it: read-only, by the API server's objects, never by our own status."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from talkdesk_crds.names import ACCOUNT_LABEL, APP_LABEL, INSTALLATION_LABEL, installation_name, label_value
from talkdesk_kube import resources as kinds
from talkdesk_kube.errors import NotFound
from talkdesk_sandbox.story.observe import NotYet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from talkdesk_kube.client import Kube
    from talkdesk_kube.resources import Obj


@dataclass(frozen=True)
class Cluster:
    """``namespace`` is the release's, ``credentials`` the one of the installations' Secrets."""

    kube: Kube
    http: httpx.AsyncClient
    namespace: str
    credentials: str

    async def installation(self, installation_id: str) -> Obj:
        """The TalkdeskInstallation that the webhook stored."""
        try:
            return await self.kube.get(
                kinds.INSTALLATIONS, installation_name(installation_id), namespace=self.namespace
            )
        except NotFound:
            raise NotYet(f"there is no TalkdeskInstallation for {installation_id}") from None

    async def register(self, installation_id: str, name: str, event_id: str) -> Obj:
        """The register ``name`` of the installation's spec.talkdesk, written by ``event_id``."""
        stored = await self.installation(installation_id)
        register: Obj = (stored["spec"].get("talkdesk") or {}).get(name) or {}
        if register.get("event") != event_id:
            raise NotYet(f"spec.talkdesk.{name} was not written by event {event_id}")
        return register

    async def credentials_of(self, installation_id: str) -> Obj:
        """The Secret of the installation's credentials; it must be immutable."""
        found = await self.kube.list(
            kinds.SECRETS,
            namespace=self.credentials,
            labels=f"{INSTALLATION_LABEL}={label_value(installation_id)}",
        )
        if not found.items:
            raise NotYet(f"no Secret holds the credentials of {installation_id}")
        secret = found.items[-1]
        if not secret.get("immutable"):
            raise NotYet("the credentials' Secret is not immutable")
        return secret

    async def tenant(self, *, app_id: str, account_id: str) -> Obj:
        """The tenant namespace of an account."""
        found = await self.kube.list(
            kinds.NAMESPACES,
            labels=f"{APP_LABEL}={label_value(app_id)},{ACCOUNT_LABEL}={label_value(account_id)}",
        )
        if not found.items:
            raise NotYet("there is no tenant namespace")
        if len(found.items) > 1:
            names = ", ".join(item["metadata"]["name"] for item in found.items)
            raise NotYet(f"one account has several tenants: {names}")
        return found.items[0]

    async def protected(self, tenant: str) -> str:
        """Pod Security, quota, limits, default-deny network and a service account without token are there."""
        namespace = await self.kube.get(kinds.NAMESPACES, tenant)
        if namespace["metadata"]["labels"].get("pod-security.kubernetes.io/enforce") != "restricted":
            raise NotYet(f"{tenant} does not enforce Pod Security restricted")
        for kind in (kinds.RESOURCE_QUOTAS, kinds.LIMIT_RANGES, kinds.NETWORK_POLICIES):
            if not (await self.kube.list(kind, namespace=tenant)).items:
                raise NotYet(f"{tenant} has no {kind.kind}")
        accounts = (await self.kube.list(kinds.SERVICE_ACCOUNTS, namespace=tenant)).items
        if not any(item.get("automountServiceAccountToken") is False for item in accounts):
            raise NotYet(f"{tenant} has no ServiceAccount without a mounted token")
        policies = (await self.kube.list(kinds.NETWORK_POLICIES, namespace=tenant)).items
        everything = [p for p in policies if p["spec"].get("podSelector") == {}]
        covered = {kind for policy in everything for kind in policy["spec"].get("policyTypes") or ()}
        if covered != {"Ingress", "Egress"}:
            raise NotYet(f"{tenant} has no default-deny NetworkPolicy both ways")
        return "namespace, quota, limits, network policy, service account"

    async def workload(self, tenant: str, *, replicas: int | None = None, running: bool) -> Obj:
        """The tenant's Deployment; ``running``: its pods are ready (or, if False, gone)."""
        deployments = (await self.kube.list(kinds.DEPLOYMENTS, namespace=tenant)).items
        if not deployments:
            raise NotYet(f"{tenant} has no Deployment")
        deployment = deployments[0]
        wanted = deployment["spec"].get("replicas")
        if replicas is not None and wanted != replicas:
            raise NotYet(
                f"Deployment {deployment['metadata']['name']} wants {wanted} replicas, not {replicas}"
            )
        ready = (deployment.get("status") or {}).get("readyReplicas") or 0
        if running and not ready:
            raise NotYet(f"Deployment {deployment['metadata']['name']} has no ready pod")
        if not running and (await self.kube.list(kinds.PODS, namespace=tenant)).items:
            raise NotYet(f"{tenant} still runs pods")
        return deployment

    async def account_record(self, tenant: str, *, account: dict[str, Any]) -> str:
        """The ``talkdesk-account`` record in the tenant says who the customer is."""
        try:
            record = await self.kube.get(kinds.CONFIG_MAPS, "talkdesk-account", namespace=tenant)
        except NotFound:
            raise NotYet(f"{tenant} has no ConfigMap talkdesk-account") from None
        try:
            held = json.loads(record["data"]["account.json"])
        except (KeyError, ValueError):
            raise NotYet("talkdesk-account has no readable account.json") from None
        shown = held.get("account") or {}
        for key in ("id", "name"):
            if shown.get(key) != account[key]:
                raise NotYet(f"talkdesk-account names account.{key} {shown.get(key)!r}, not {account[key]!r}")
        return f"account {shown['name']}, plan {(held.get('plan') or {}).get('name') or 'unknown'}"

    async def licensed(self, installation_id: str, *, users: Iterable[str]) -> str:
        """Exactly ``users`` are in the slices of the installation."""
        name = installation_name(installation_id)
        slices = (await self.kube.list(kinds.USER_SLICES, namespace=self.namespace)).items
        mine = [item for item in slices if item["spec"]["installation"] == name]
        if not mine:
            raise NotYet(f"there is no TalkdeskUserSlice of {name}")
        held = {user for item in mine for user in item["spec"].get("users") or {}}
        wanted = set(users)
        if held - wanted:
            raise NotYet(f"licensed, but should not be: {', '.join(sorted(held - wanted))}")
        if wanted - held:
            raise NotYet(f"not licensed yet: {', '.join(sorted(wanted - held))}")
        return f"{len(held)} users in {len(mine)} slice{'s' if len(mine) > 1 else ''}"

    async def answers(self, tenant: str, *, contains: str) -> str:
        """The tenant's Service answers HTTP through its ClusterIP, with ``contains`` on the page.

        That page is for looking from inside the cluster; users' pages are seen at the edge alone.
        """
        services = [
            item
            for item in (await self.kube.list(kinds.SERVICES, namespace=tenant)).items
            if item["spec"].get("clusterIP") not in (None, "", "None")
        ]
        if not services:
            raise NotYet(f"{tenant} has no Service")
        address, port = services[0]["spec"]["clusterIP"], services[0]["spec"]["ports"][0]["port"]
        try:
            response = await self.http.get(f"http://{address}:{port}/about")
        except httpx.TransportError as problem:
            raise NotYet(f"the tenant's Service does not answer: {type(problem).__name__}") from None
        if response.status_code != 200:
            raise NotYet(f"the tenant's Service answers {response.status_code}")
        if contains not in response.text:
            raise NotYet(f"the tenant's page does not mention {contains!r}")
        return f"HTTP 200 from {services[0]['metadata']['name']}, for {contains}"

    async def silent(self, tenant: str) -> str:
        """No request gets through to the suspended tenant."""
        try:
            await self.answers(tenant, contains="")
        except NotYet as refused:
            return str(refused)
        raise NotYet("the suspended tenant still answers")

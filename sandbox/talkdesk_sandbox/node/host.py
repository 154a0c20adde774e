"""What every pod on the node shares: the API server, images, records, and what is read on its behalf."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from talkdesk_kube import KubeError, NotFound
from talkdesk_kube.resources import CONFIG_MAPS, PODS, SECRETS, SERVICE_ACCOUNTS
from talkdesk_sandbox.node.environment import ConfigError
from talkdesk_sandbox.node.volumes import Token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from talkdesk_kube import Kube
    from talkdesk_sandbox.controlplane.network import Network
    from talkdesk_sandbox.node.images import Images
    from talkdesk_sandbox.node.records import Records
    from talkdesk_sandbox.node.timings import Timings

Obj = dict[str, Any]
_RESOURCES = {"ConfigMap": CONFIG_MAPS, "Secret": SECRETS}
_LONGEST_TOKEN = 24 * 3600.0


@dataclass(frozen=True)
class Host:
    """The node, as its pods see it.

    ``api_server`` is the API server's address, ``links`` gives a namespace's service-link variables,
    ``claim_folder`` the folder of a bound claim (namespace, name; raises ConfigError until there is one),
    ``note`` records an Event.
    """

    kube: Kube
    images: Images
    records: Records
    timings: Timings
    network: Network
    api_server: str
    links: Callable[[str, bool], dict[str, str]]
    claim_folder: Callable[[str, str], Path]
    note: Callable[[Obj, str, str, str], None]

    async def read(self, kind: str, namespace: str, name: str) -> Obj | None:
        """A ConfigMap or Secret as it is now, or None. Raises ConfigError while nobody answers."""
        try:
            found = await self.kube.get(_RESOURCES[kind], name, namespace=namespace)
        except NotFound:
            return None
        except KubeError as error:
            raise ConfigError(f"cannot read {kind} {name}: {error}") from error
        return {**found, "kind": kind}

    async def token(self, pod: Obj, source: Obj, now: Callable[[], float]) -> Token:
        """A token of the pod's service account that ends with the pod (TokenRequest). Raises ConfigError."""
        metadata = pod["metadata"]
        spec: Obj = {
            "expirationSeconds": int(source.get("expirationSeconds", 3600)),
            "boundObjectRef": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        }
        if source.get("audience"):
            spec["audiences"] = [source["audience"]]
        account = pod["spec"].get("serviceAccountName") or "default"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        issued = now()
        try:
            answer = await self.kube.create(
                SERVICE_ACCOUNTS, request, namespace=metadata["namespace"], name=account, subresource="token"
            )
        except KubeError as error:
            raise ConfigError(f"no token for service account {account}: {error}") from error
        expires = datetime.fromisoformat(answer["status"]["expirationTimestamp"]).timestamp()
        life = min((expires - issued) * self.timings.token_renewal, _LONGEST_TOKEN)
        return Token(text=answer["status"]["token"], renew_at=issued + life, expires_at=expires)

    def token_reader(
        self, current: Callable[[], Obj], now: Callable[[], float]
    ) -> Callable[[Obj], Awaitable[Token]]:
        """Tokens for one pod, each kept until it is time to replace it."""
        kept: dict[tuple[str, int], Token] = {}

        async def read(source: Obj) -> Token:
            key = (source.get("audience", ""), int(source.get("expirationSeconds", 3600)))
            if key not in kept or kept[key].renew_at <= now():
                kept[key] = await self.token(current(), source, now)
            return kept[key]

        return read

    async def write_status(self, pod: Obj, status: Obj) -> Obj:
        """Merge patch of the pod's status, for exactly this pod (``metadata.uid``)."""
        metadata = pod["metadata"]
        patch = {"metadata": {"uid": metadata["uid"]}, "status": status}
        return await self.kube.merge_patch(
            PODS, metadata["name"], patch, namespace=metadata["namespace"], subresource="status"
        )

    async def remove(self, pod: Obj) -> None:
        """The last step of a pod's end: delete exactly this pod from the API server, without grace."""
        metadata = pod["metadata"]
        await self.kube.delete(
            PODS, metadata["name"], namespace=metadata["namespace"], uid=metadata["uid"], grace_seconds=0
        )

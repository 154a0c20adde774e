"""The kinds' sample objects, and a keep-alive HTTP client for asking the API server about many objects."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from samples import sample_of
from talkdesk_crds.names import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from talkdesk_crds.schema.kinds import Kind
    from talkdesk_sandbox.controlplane import ControlPlane


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the API server said of an object."""

    code: int
    body: dict[str, Any]

    @property
    def accepted(self) -> bool:
        return self.code in {200, 201}

    @property
    def causes(self) -> list[tuple[str, str]]:
        """(field, message) of each refusal; the note that other rules were not tried has no field."""
        causes = self.body.get("details", {}).get("causes", [])
        return [(cause["field"], cause["message"]) for cause in causes if cause["field"] != "<nil>"]


class Api:
    """Requests about objects of our kinds in one namespace. Unknown fields are pruned, as by default."""

    def __init__(self, client: httpx.Client, namespace: str) -> None:
        self._client = client
        self._root = f"/apis/{API_VERSION}/namespaces/{namespace}"

    def _send(self, method: str, path: str, *, obj: Any = None, **params: str) -> Answer:
        found = self._client.request(method, f"{self._root}/{path}", json=obj, params=params)
        if found.status_code >= 500:
            found.raise_for_status()
        return Answer(code=found.status_code, body=found.json())

    def try_create(self, kind: Kind, obj: Any) -> Answer:
        return self._send("POST", kind.plural, obj=obj, dryRun="All", fieldValidation="Ignore")

    def create(self, kind: Kind, obj: Any) -> Answer:
        return self._send("POST", kind.plural, obj=obj, fieldValidation="Strict")

    def get(self, kind: Kind, name: str) -> dict[str, Any]:
        return self._send("GET", f"{kind.plural}/{name}").body

    def list(self, kind: Kind, **params: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self._send("GET", kind.plural, **params).body["items"]
        return items

    def try_update(self, kind: Kind, obj: Any) -> Answer:
        path = f"{kind.plural}/{obj['metadata']['name']}"
        return self._send("PUT", path, obj=obj, dryRun="All", fieldValidation="Ignore")

    def try_status(self, kind: Kind, obj: Any) -> Answer:
        path = f"{kind.plural}/{obj['metadata']['name']}/status"
        return self._send("PUT", path, obj=obj, dryRun="All", fieldValidation="Ignore")


@pytest.fixture(scope="module")
def http(control_plane: ControlPlane) -> Iterator[httpx.Client]:
    """A keep-alive connection as administrator."""
    config = yaml.safe_load(Path(control_plane.kubeconfig).read_text(encoding="utf-8"))
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cafile=cluster["certificate-authority"])
    context.load_cert_chain(user["client-certificate"], user["client-key"])
    with httpx.Client(base_url=cluster["server"], verify=context, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def api(http: httpx.Client, namespace: str) -> Api:
    """The API server, for objects in this test's namespace."""
    return Api(http, namespace)


@pytest.fixture
def sample() -> Callable[[Kind], dict[str, Any]]:
    """``sample(kind)``: a valid object of the kind in which every field has a value."""

    return lambda kind: sample_of(kind.singular)

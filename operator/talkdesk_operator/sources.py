"""What no plan can hold: the content of a tenant's copies, which is read, and of its generated Secrets.

ConfigMaps are shown by a watch of the operator's own namespace. Secrets are read one by one, by name: nothing
here may list or watch them. What is read or drawn here goes into one request and is kept nowhere.
"""

from __future__ import annotations

import base64
import secrets
import string
from typing import TYPE_CHECKING

from talkdesk_kube import Forbidden, NotFound, Obj, resources
from talkdesk_operator.compact import content_of
from talkdesk_operator.owned import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from talkdesk_crds.blueprint import GeneratedKey
    from talkdesk_kube import Kube
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.memory import Memory
    from talkdesk_operator.tenant import Tenant

_ALPHABETS = {"Alphanumeric": string.ascii_letters + string.digits, "Hex": "0123456789abcdef"}
_CONTENT = ("type", "data", "binaryData")


class SourceMissing(Exception):  # noqa: N818 - named after the condition's reason
    """What should be copied is not there, or may not be read; the message says which and what to do."""


class Sources:
    """Reads what tenants get copies of."""

    def __init__(self, kube: Kube, caches: Caches, memory: Memory) -> None:
        self._kube = kube
        self._caches = caches
        self._memory = memory

    def config_map(self, tenant: Tenant, copy: Obj) -> Obj:
        """``copy`` with the content of its source. Raises SourceMissing."""
        name, own = copy["metadata"]["name"], tenant.release.namespace
        self._memory.copied.setdefault(name, set()).add(tenant.name)
        source = self._caches.sources.get(own, name)
        if source is None:
            message = f"ConfigMap {name} is not in namespace {own}: create it there, or take it out of copies"
            raise SourceMissing(message)
        return _filled(copy, source)

    def due(self, tenant: Tenant, name: str) -> bool:
        """The Secret was missing when it was last asked for."""
        return (tenant.name, name) in self._memory.missed

    async def secret(self, tenant: Tenant, copy: Obj) -> tuple[Obj, str]:
        """``copy`` with the content of its source, and a mark that changes with the source.

        The mark is made of the source's version, not of its content: it is stored. Raises SourceMissing and
        KubeError.
        """
        name, own = copy["metadata"]["name"], tenant.release.namespace
        try:
            source = await self._kube.get(resources.SECRETS, name, namespace=own)
        except (NotFound, Forbidden) as error:
            self._memory.missed.add((tenant.name, name))
            raise SourceMissing(_missing(name, own, forbidden=isinstance(error, Forbidden))) from error
        self._memory.missed.discard((tenant.name, name))
        metadata = source["metadata"]
        mark = digest_of([copy, metadata["uid"], metadata["resourceVersion"]])
        return _filled(copy, content_of(source)), mark


def drawn(keys: Mapping[str, GeneratedKey]) -> dict[str, str]:
    """A Secret's ``data``: new random values for ``keys``."""
    values = {
        name: "".join(secrets.choice(_ALPHABETS[key.alphabet]) for _ in range(key.length))
        for name, key in keys.items()
    }
    return {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}


def _filled(copy: Obj, source: Obj) -> Obj:
    return {**copy, **{name: source[name] for name in _CONTENT if name in source}}


def _missing(name: str, namespace: str, *, forbidden: bool) -> str:
    if forbidden:
        return (
            f"Secret {name} of namespace {namespace} may not be read: add it to the chart's value "
            "operator.copySecrets"
        )
    return f"Secret {name} is not in namespace {namespace}: create it there, or take it out of the app"

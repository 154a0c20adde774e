"""Which kinds the product touches, and where the API server keeps them: requests are built here without I/O.

A :class:`Resource` is the REST side of a kind (Kubernetes' GroupVersionResource with its kind and scope). The
table is closed on purpose: an object of any other kind is a mistake, and :func:`resource_of` says so by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from talkdesk_crds.names import GROUP, VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from talkdesk_crds.meta import Model

#: The JSON of a Kubernetes object.
Obj = dict[str, Any]


class UnknownKind(LookupError):  # noqa: N818 -- named after what it says, like the API's own reasons
    """An object whose apiVersion and kind are not in the table."""


def _segment(value: str, *, what: str) -> str:
    # A dot segment or an empty one would make another path of it, and so reach another object.
    if value in {"", ".", ".."} or "/" in value:
        raise ValueError(f"{what} {value!r} cannot be part of a Kubernetes path")
    return quote(value, safe="")


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as the API server serves it.

    :param group: API group; empty for the core group.
    :param version: for example ``v1``.
    :param plural: the resource's name in paths and in RBAC rules.
    :param kind: the kind of its objects.
    :param namespaced: whether its objects live in namespaces.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """``group/version``, or the version alone in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(
        self, *, namespace: str | None = None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """The absolute, percent-encoded path of a collection, an object or an object's subresource.

        Raises ValueError where the parts do not make a path: no namespace for a namespaced object, a
        namespace for a cluster-wide one, a subresource of a collection.
        """
        if namespace is not None and not self.namespaced:
            raise ValueError(f"{self.kind} is not namespaced, got namespace {namespace!r}")
        if name is not None and namespace is None and self.namespaced:
            raise ValueError(f"{self.kind} {name!r} needs a namespace")
        if subresource is not None and name is None:
            raise ValueError(f"subresource {subresource!r} of {self.kind} needs the object's name")
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root]
        if namespace is not None:
            parts += ["namespaces", _segment(namespace, what="namespace")]
        parts.append(self.plural)
        if name is not None:
            parts.append(_segment(name, what="name"))
        if subresource is not None:
            parts.append(_segment(subresource, what="subresource"))
        return "/".join(parts)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


def _ours(plural: str, kind: str) -> Resource:
    return Resource(GROUP, VERSION, plural, kind)


APPS: Final = _ours("talkdeskapps", "TalkdeskApp")
INSTALLATIONS: Final = _ours("talkdeskinstallations", "TalkdeskInstallation")
USER_SLICES: Final = _ours("talkdeskuserslices", "TalkdeskUserSlice")
REVOCATIONS: Final = _ours("talkdeskrevocations", "TalkdeskRevocation")

NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
NODES: Final = Resource("", "v1", "nodes", "Node", namespaced=False)
PODS: Final = Resource("", "v1", "pods", "Pod")
SECRETS: Final = Resource("", "v1", "secrets", "Secret")
CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap")
SERVICES: Final = Resource("", "v1", "services", "Service")
SERVICE_ACCOUNTS: Final = Resource("", "v1", "serviceaccounts", "ServiceAccount")
RESOURCE_QUOTAS: Final = Resource("", "v1", "resourcequotas", "ResourceQuota")
LIMIT_RANGES: Final = Resource("", "v1", "limitranges", "LimitRange")
PERSISTENT_VOLUME_CLAIMS: Final = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
EVENTS: Final = Resource("events.k8s.io", "v1", "events", "Event")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease")
ENDPOINT_SLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
NETWORK_POLICIES: Final = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
ROLES: Final = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDINGS: Final = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment")
STATEFUL_SETS: Final = Resource("apps", "v1", "statefulsets", "StatefulSet")
CONTROLLER_REVISIONS: Final = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
REPLICA_SETS: Final = Resource("apps", "v1", "replicasets", "ReplicaSet")
JOBS: Final = Resource("batch", "v1", "jobs", "Job")
CRON_JOBS: Final = Resource("batch", "v1", "cronjobs", "CronJob")
HORIZONTAL_POD_AUTOSCALERS: Final = Resource(
    "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"
)
POD_DISRUPTION_BUDGETS: Final = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
CUSTOM_RESOURCE_DEFINITIONS: Final = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
)

#: Every resource of the table.
RESOURCES: Final[tuple[Resource, ...]] = (
    APPS,
    INSTALLATIONS,
    USER_SLICES,
    REVOCATIONS,
    NAMESPACES,
    NODES,
    PODS,
    SECRETS,
    CONFIG_MAPS,
    SERVICES,
    SERVICE_ACCOUNTS,
    RESOURCE_QUOTAS,
    LIMIT_RANGES,
    PERSISTENT_VOLUME_CLAIMS,
    EVENTS,
    LEASES,
    ENDPOINT_SLICES,
    NETWORK_POLICIES,
    ROLES,
    ROLE_BINDINGS,
    DEPLOYMENTS,
    STATEFUL_SETS,
    CONTROLLER_REVISIONS,
    REPLICA_SETS,
    JOBS,
    CRON_JOBS,
    HORIZONTAL_POD_AUTOSCALERS,
    POD_DISRUPTION_BUDGETS,
    CUSTOM_RESOURCE_DEFINITIONS,
)

_BY_KIND: Final = {(resource.api_version, resource.kind): resource for resource in RESOURCES}


def resource_for(api_version: str, kind: str) -> Resource:
    """The resource of a kind. Raises :class:`UnknownKind`."""
    try:
        return _BY_KIND[api_version, kind]
    except KeyError:
        raise UnknownKind(f"apiVersion {api_version!r}, kind {kind!r} is no kind this product uses") from None


def resource_of(obj: Mapping[str, Any]) -> Resource:
    """The resource of an object's JSON, by its ``apiVersion`` and ``kind``. Raises :class:`UnknownKind`."""
    return resource_for(str(obj.get("apiVersion", "")), str(obj.get("kind", "")))


def resource_of_model(model: type[Model]) -> Resource:
    """The resource of one of the product's kinds, by the defaults of its model's two type fields."""
    fields = model.model_fields
    if "api_version" not in fields or "kind" not in fields:
        raise UnknownKind(f"{model.__name__} is no kind: it has no apiVersion and kind")
    return resource_for(str(fields["api_version"].default), str(fields["kind"].default))


def key_of(obj: Mapping[str, Any]) -> tuple[str, str]:
    """``(namespace, name)`` of an object's JSON; the namespace is empty for cluster-wide objects."""
    metadata = obj["metadata"]
    return str(metadata.get("namespace", "")), str(metadata["name"])

"""Which tenant of which release: names, host, labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from talkdesk_crds import names

if TYPE_CHECKING:
    from talkdesk_operator.keys import TenantKey

#: Of the gateway's Service, as the chart has it.
_KEYS_PORT = 8083


@dataclass(frozen=True)
class Release:
    """The Helm release this operator belongs to, and the ClusterRole it binds to itself in each tenant."""

    namespace: str
    name: str
    service_account: str
    tenant_cluster_role: str
    #: How browsers reach its hosts; port 0 is the scheme's own.
    public_scheme: str = "https"
    public_port: int = 0

    @property
    def id(self) -> str:
        """Label value that tells this release's tenants from another's."""
        return names.release_id(self.namespace, self.name)

    def url(self, host: str) -> str:
        """The origin of ``host`` as browsers see it, e.g. ``https://acme.example.com``."""
        own = {"https": 443, "http": 80}.get(self.public_scheme)
        port = "" if self.public_port in (0, own) else f":{self.public_port}"
        return f"{self.public_scheme}://{host}{port}"

    def tenant(self, key: TenantKey) -> Tenant:
        """The tenant of ``key``."""
        name = names.tenant_name(
            self.namespace, self.name, app_id=key.app_id, region=key.region, account_id=key.account_id
        )
        return Tenant(key=key, name=name, release=self)


@dataclass(frozen=True)
class Tenant:
    """One tenant; ``name`` is its namespace."""

    key: TenantKey
    name: str
    release: Release

    def host(self, base_domain: str) -> str:
        """Where its users reach it. All 80 bits of the name's digest: two tenants must never share a host."""
        return f"{self.name.rpartition('-')[2]}.{base_domain}"

    def gateway(self, base_domain: str) -> dict[str, str]:
        """What the gateway serves for the tenant.

        On the tenant's host ``jwks``: its key set; ``start``: the sign-in; ``signOut``: the page that signs
        out. Inside the cluster ``keys``: the key set again, where the tenant's NetworkPolicy lets it be read.
        """
        root = f"{self.release.url(self.host(base_domain))}/_td"
        return {
            "jwks": f"{root}/jwks.json",
            "keys": f"http://{self.release.name}-gateway.{self.release.namespace}.svc:{_KEYS_PORT}/jwks.json",
            "start": f"{root}/start",
            "signOut": f"{root}/sign-out",
        }

    @property
    def inventory(self) -> str:
        """Name of its inventory in the release's namespace."""
        return f"inventory-{self.name}"

    @property
    def labels(self) -> dict[str, str]:
        """On the namespace and on every object applied in it."""
        return {
            names.APP_LABEL: names.label_value(self.key.app_id),
            names.ACCOUNT_LABEL: names.label_value(self.key.account_id),
            names.REGION_LABEL: self.key.region,
        }

    @property
    def object_labels(self) -> dict[str, str]:
        """On every object applied in the namespace: the reflectors select by it."""
        return {**self.labels, names.MANAGED_LABEL: self.release.id}

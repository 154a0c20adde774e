"""What is left of installations without an object is deleted, and nothing that is another release's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from samples import sample_of
from talkdesk_crds import names
from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_kube import parse
from talkdesk_kube.client import Listing
from talkdesk_operator.cache import Caches
from talkdesk_operator.keys import TenantKey
from talkdesk_operator.remains import Remains
from talkdesk_operator.tenant import Release

if TYPE_CHECKING:
    from talkdesk_kube import Kube

RELEASE = Release(namespace="staging", name="td", service_account="op", tenant_cluster_role="tenant")


class Vault:
    """An API server with the Secrets of one namespace."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, Any]] = {}

    def store(self, name: str, installation: TalkdeskInstallation, *, release: str | None) -> None:
        """As the webhook of ``release`` does; None: of a version that had no such label."""
        spec = installation.spec
        labels = {
            names.APP_LABEL: names.label_value(spec.app_id),
            names.ACCOUNT_LABEL: names.label_value(spec.account_id),
            names.INSTALLATION_LABEL: names.label_value(spec.installation_id),
        }
        labels |= {names.RELEASE_LABEL: release} if release is not None else {}
        self.secrets[name] = {"metadata": {"name": name, "uid": f"uid-{name}", "labels": labels}}

    async def list(self, _resource: object, *, namespace: str, labels: str) -> Listing:
        assert namespace == "vault"
        wanted = dict(label.split("=") for label in labels.split(","))
        found = [one for one in self.secrets.values() if wanted.items() <= one["metadata"]["labels"].items()]
        return Listing(found, "1")

    async def delete(self, _resource: object, name: str, *, namespace: str, uid: str) -> None:
        assert namespace == "vault"
        assert self.secrets.pop(name)["metadata"]["uid"] == uid


def sample(kind: str) -> dict[str, Any]:
    found = sample_of(kind)
    found["metadata"]["namespace"] = RELEASE.namespace
    return found


@pytest.mark.parametrize("whose", ["installation's", "tenant's"])
async def test_what_another_release_stored_of_the_same_customer_stays(whose: str) -> None:
    vault = Vault()
    kube = cast("Kube", vault)
    remains = Remains(kube, Caches(kube, RELEASE), release=RELEASE.id, credentials_namespace="vault")
    gone, app = parse(TalkdeskInstallation, sample("talkdeskinstallation")), sample("talkdeskapp")
    vault.store("ours", gone, release=RELEASE.id)
    vault.store("nobodys", gone, release=None)
    vault.store("theirs", gone, release="prod.td")
    if whose == "installation's":
        await remains.of([gone])
    else:
        key = TenantKey(gone.spec.app_id, "eu", gone.spec.account_id)
        await remains.unclaimed(RELEASE.tenant(key), parse(TalkdeskApp, app))
    assert set(vault.secrets) == {"theirs"}

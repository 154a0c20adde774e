"""Everything the gateway reads from the cluster, as watches show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds import names
from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_gateway import compact
from talkdesk_kube import Reflector, resources
from talkdesk_kube.view import Typed, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from talkdesk_kube import Kube, Obj, ReflectorTimings


class Caches:
    """Installations, apps and slices of the release's namespace, and the tenants' Services everywhere."""

    def __init__(
        self, kube: Kube, *, namespace: str, release: str, timings: ReflectorTimings | None = None
    ) -> None:
        self.installations = Typed(
            View(
                Reflector(
                    kube,
                    resources.INSTALLATIONS,
                    namespace=namespace,
                    transform=compact.installation,
                    timings=timings,
                ),
                index=_installation,
            ),
            TalkdeskInstallation,
        )
        self.apps = Typed(
            View(Reflector(kube, resources.APPS, namespace=namespace, timings=timings), index=_app),
            TalkdeskApp,
        )
        self.slices = View(
            Reflector(
                kube,
                resources.USER_SLICES,
                namespace=namespace,
                transform=compact.user_slice,
                timings=timings,
            ),
            index=_owner,
        )
        self.services = View(
            Reflector(
                kube,
                resources.SERVICES,
                labels=f"{names.MANAGED_LABEL}={names.release_id(namespace, release)}",
                transform=compact.service,
                timings=timings,
            )
        )

    def reflectors(self) -> tuple[Reflector, ...]:
        """All of them."""
        views = (self.installations.view, self.apps.view, self.slices, self.services)
        return tuple(view.reflector for view in views)


def by_host(host: str) -> str:
    """The index of installations by their tenant's host."""
    return f"host:{host}"


def by_app(app_id: str) -> str:
    """The index of installations, and of apps, by app id."""
    return f"app:{app_id}"


def by_tenant(namespace: str) -> str:
    """The index of installations by their tenant's namespace."""
    return f"tenant:{namespace}"


def by_launch_host(host: str) -> str:
    """The index of apps by their launch host."""
    return f"launch:{host}"


def by_base_domain(domain: str) -> str:
    """The index of apps by the domain that their tenants' hosts end with."""
    return f"base:{domain}"


def _installation(obj: Obj) -> Iterator[str]:
    status = obj["status"]
    yield by_app(str(obj["spec"].get("appId")))
    if host := status.get("host"):
        yield by_host(str(host))
    if tenant := status.get("tenant"):
        yield by_tenant(str(tenant))


def _app(obj: Obj) -> Iterator[str]:
    spec = obj.get("spec") or {}
    yield by_app(str(spec.get("appId")))
    if host := spec.get("launchHost"):
        yield by_launch_host(str(host))
    if domain := spec.get("baseDomain"):
        yield by_base_domain(str(domain))


def _owner(obj: Obj) -> tuple[str]:
    return (str(obj["spec"]["installation"]),)

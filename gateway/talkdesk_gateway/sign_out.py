"""A user's sign-out as a TalkdeskRevocation: the operator then gives the user's entry a new epoch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from talkdesk_crds import names
from talkdesk_crds.meta import ObjectMeta, stamp_time
from talkdesk_crds.revocation import TalkdeskRevocation, TalkdeskRevocationSpec, revocation_name
from talkdesk_gateway.seams import NotAskedError
from talkdesk_kube import AlreadyExists, KubeError, resources

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_gateway.tenancy import Tenancy
    from talkdesk_kube import Kube


class StoredSignOut:
    """Creates the revocations; nothing can be granted by one."""

    def __init__(self, kube: Kube, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._kube = kube
        self._clock = clock

    async def sign_out(self, tenancy: Tenancy, user_id: str, cause: str) -> None:
        """Return once the API server holds it. Raises NotAskedError; the same ``cause`` twice is one."""
        made = revocation(tenancy, user_id, cause, now=self._clock())
        body = made.to_json()
        body.pop("status", None)
        try:
            await self._kube.create(resources.REVOCATIONS, body, namespace=made.metadata.namespace)
        except AlreadyExists:
            return  # named by its content and cause: it is this very one
        except KubeError as error:
            raise NotAskedError(str(error)) from None


def revocation(tenancy: Tenancy, user_id: str, cause: str, *, now: datetime) -> TalkdeskRevocation:
    """That ``user_id`` signed out of this installation. Pure."""
    installation = tenancy.installation
    spec = TalkdeskRevocationSpec(
        kind="SignedOut",
        app_id=installation.spec.app_id,
        account_id=installation.spec.account_id,
        installation_id=installation.spec.installation_id,
        users=[user_id],
        cause=cause,
        at=stamp_time(now),
    )
    labels = {
        names.APP_LABEL: names.label_value(spec.app_id),
        names.ACCOUNT_LABEL: names.label_value(spec.account_id),
        names.INSTALLATION_LABEL: names.label_value(spec.installation_id),
    }
    metadata = ObjectMeta(
        name=revocation_name(spec), namespace=installation.metadata.namespace, labels=labels
    )
    return TalkdeskRevocation(metadata=metadata, spec=spec)

"""Names that several processes must derive alike: the group, labels, annotations and object names.

Talkdesk's ids are opaque strings. Whatever becomes part of a Kubernetes name or label goes through the
functions here, so that an id which is no DNS label is hashed in one place and in one way.
"""

from __future__ import annotations

import hashlib
import re

GROUP = "talkdesk-operator.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

APP_LABEL = f"{GROUP}/app"
ACCOUNT_LABEL = f"{GROUP}/account"
INSTALLATION_LABEL = f"{GROUP}/installation"
REGION_LABEL = f"{GROUP}/region"
#: On a credentials' Secret: the release whose webhook stored it (value: ``release_id``).
RELEASE_LABEL = f"{GROUP}/release"
#: On every tenant namespace: which release of the operator owns it (value: ``release_id``).
TENANT_LABEL = f"{GROUP}/tenant"
#: On every object the operator applies inside a tenant, for selecting; never proof of ownership alone.
MANAGED_LABEL = f"{GROUP}/managed"

#: Answers given to Talkdesk, newest last, bounded; JSON. Written before status, for backups drop status.
ANSWERS_ANNOTATION = f"{GROUP}/answers"
#: Mails about them: owed, sent or given up, newest last, bounded; JSON. Written before a mail goes.
MAILS_ANNOTATION = f"{GROUP}/mails"
#: A token whose change asks the operator to read everything again.
RESYNC_ANNOTATION = f"{GROUP}/resync"
#: As many characters as ``status.observedResync`` can hold of it.
RESYNC_LENGTH = 128
#: While it stands on an installation (any value but "" and "false"), nothing is written to its tenant.
PAUSED_ANNOTATION = f"{GROUP}/paused"
#: On a TalkdeskApp: a Kubernetes time; the brake believes what Talkdesk's API said up to then.
RELEASE_BRAKE_ANNOTATION = f"{GROUP}/release-brake"
#: On a tenant's namespace: the revision that a roll-out wants it to have.
REVISION_ANNOTATION = f"{GROUP}/revision"
#: On a tenant's namespace: since when nobody claims it, as a Kubernetes time; the start of its retention.
UNCLAIMED_ANNOTATION = f"{GROUP}/unclaimed-since"

#: On an object of a template: the wave it is applied in, an integer; 0 where it is left out.
WAVE_ANNOTATION = f"{GROUP}/wave"

_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?\Z")


def digest(*parts: str, length: int = 16) -> str:
    """Lower-case hex digest of ``parts``, unambiguous as to where one part ends; ``length`` ≤ 64 digits."""
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(joined.encode()).hexdigest()[:length]


def label_value(identifier: str) -> str:
    """``identifier`` where it is a legal label value, else a digest of it, marked by an ``x-`` prefix."""
    if _LABEL_VALUE.match(identifier) and not identifier.startswith("x-"):
        return identifier
    return f"x-{digest(identifier, length=32)}"


def installation_name(installation_id: str) -> str:
    """Name of the TalkdeskInstallation of ``installation_id`` (a DNS label; opaque ids are hashed)."""
    if (
        _DNS_LABEL.match(installation_id)
        and not installation_id.startswith("x-")
        and len(installation_id) <= 50
    ):
        return installation_id
    return f"x-{digest(installation_id, length=32)}"


def credentials_name(installation_id: str, credentials_digest: str) -> str:
    """Name of the Secret holding one set of an installation's credentials."""
    return f"td-{digest(installation_id, credentials_digest, length=40)}"


def session_keys_name(release_name: str) -> str:
    """Name of the Secret with the keys that seal sessions; see :mod:`talkdesk_crds.key_ring`."""
    return f"{release_name}-session-keys"


def identity_keys_name(release_name: str) -> str:
    """Name of the Secret with the keys that sign who a request comes from."""
    return f"{release_name}-identity-keys"


def slice_name(installation_name: str, buckets: int, bucket: int) -> str:
    """Name of bucket number ``bucket`` of the generation with ``buckets`` buckets (a power of two)."""
    return f"{installation_name}-{buckets}-{bucket}"


def release_id(release_namespace: str, release_name: str) -> str:
    """Label value that tells one release's tenants from another's on the same cluster (≤ 63 characters)."""
    plain = f"{release_namespace}.{release_name}"
    return plain if len(plain) <= 63 else f"x-{digest(release_namespace, release_name, length=32)}"


def tenant_prefix(release_namespace: str, release_name: str) -> str:
    """What every tenant namespace of a release begins with; the chart's admission policy holds it."""
    return f"td-{digest(release_namespace, release_name, length=6)}-"


def tenant_name(
    release_namespace: str, release_name: str, *, app_id: str, region: str, account_id: str
) -> str:
    """Name of the tenant namespace of an account: hangs on ids only, so that a reinstall finds it."""
    return tenant_prefix(release_namespace, release_name) + digest(app_id, region, account_id, length=20)

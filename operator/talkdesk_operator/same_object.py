"""Patches of the very object that a pass began with.

Names are derived from Talkdesk's ids, so an object that somebody deletes comes back under its name with the
next event. A pass that began before must not write about the old one into the new: it would look as if
everything had been said and answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from talkdesk_kube import Invalid

if TYPE_CHECKING:
    from talkdesk_crds.meta import ObjectMeta
    from talkdesk_kube import KubeError, Obj


def same_object(metadata: ObjectMeta, patch: Obj) -> Obj:
    """``patch`` (a merge patch) with the uid, which the API server takes from nobody else of the name.

    Where another has it by now the answer is 422 (``metadata.uid`` is immutable); see :func:`is_another`. A
    patch of the subresource ``status`` is not held to it: the API server overlooks metadata there.
    """
    changes: dict[str, Any] = patch.get("metadata") or {}
    return {**patch, "metadata": {**changes, "uid": metadata.uid}}


def is_another(error: KubeError) -> bool:
    """The patch was refused because the object of that name is another one by now."""
    return isinstance(error, Invalid) and any(cause.field == "metadata.uid" for cause in error.status.causes)

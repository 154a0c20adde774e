"""The product's kinds as their models, read from the API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from talkdesk_crds.meta import Model
from talkdesk_kube.resources import Obj, key_of, resource_of_model

if TYPE_CHECKING:
    from talkdesk_kube.client import Kube

K = TypeVar("K", bound=Model)


class Unreadable(ValueError):  # noqa: N818 -- named after what it says
    """A stored object that its model does not accept; the message names the object and the fields."""


def parse(model: type[K], obj: Obj) -> K:
    """``obj`` as its model. Raises :class:`Unreadable`."""
    try:
        return model.model_validate(obj)
    except ValidationError as error:
        namespace, name = key_of(obj)
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        )
        raise Unreadable(f"{model.__name__} {namespace}/{name}: {faults}") from None


async def read(kube: Kube, model: type[K], name: str, *, namespace: str) -> K:
    """One object. Raises KubeError and :class:`Unreadable`."""
    return parse(model, await kube.get(resource_of_model(model), name, namespace=namespace))


async def listing(kube: Kube, model: type[K], *, namespace: str | None = None, labels: str = "") -> list[K]:
    """All objects of a kind. Raises KubeError, and :class:`Unreadable` at the first that does not parse."""
    found = await kube.list(resource_of_model(model), namespace=namespace, labels=labels)
    return [parse(model, item) for item in found.items]

"""What an object of the app's may not be: another's name, a token for the API server, no wave. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from talkdesk_crds.names import WAVE_ANNOTATION
from talkdesk_operator.render import Problem
from talkdesk_operator.tenant import account_record, limits, network, quota, rolebinding, service_account
from talkdesk_operator.tenant.adapt import POD_SPECS
from talkdesk_operator.tenant.order import LAST_WAVE, wave_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from talkdesk_crds.blueprint import Blueprint

#: Names that the operator, or Kubernetes itself, uses in every tenant.
RESERVED = frozenset(
    {
        ("ConfigMap", account_record.NAME),
        ("ServiceAccount", service_account.NAME),
        ("ServiceAccount", "default"),
        ("NetworkPolicy", network.NAME),
        ("ResourceQuota", quota.NAME),
        ("LimitRange", limits.NAME),
        ("RoleBinding", rolebinding.NAME),
    }
)


def misplaced(items: list[dict[str, Any]], blueprint: Blueprint, where: str) -> list[Problem]:
    """What is wrong with the rendered template at ``where``, and names that the blueprint gives twice."""
    problems = []
    seen: dict[tuple[str, str], str] = {}
    for path, name in [
        *((f"{where}[{n}].metadata.name", _name(item)) for n, item in enumerate(items)),
        *((f"spec.generatedSecrets[{n}].name", ("Secret", one.name))
          for n, one in enumerate(blueprint.generated_secrets)),
        *((f"spec.copies[{n}].name", (one.kind, one.name)) for n, one in enumerate(blueprint.copies)),
    ]:  # fmt: skip
        if name in RESERVED:
            problems.append(Problem(path, f"{name[0]} {name[1]} is the operator's own"))
        elif name in seen:
            problems.append(Problem(path, f"{name[0]} {name[1]} is there twice: see {seen[name]}"))
        seen.setdefault(name, path)
    copied = {("Secret", one.name) for one in blueprint.copies if one.kind == "Secret"}
    for n, secret in enumerate(blueprint.image_pull_secrets):
        name = ("Secret", secret)
        if name in seen and name not in copied:
            message = f"Secret {secret} is there twice: see {seen[name]}"
            problems.append(Problem(f"spec.imagePullSecrets[{n}]", message))
    for n, item in enumerate(items):
        problems += unsuitable(item, f"{where}[{n}]")
    return problems


def unsuitable(item: dict[str, Any], path: str) -> list[Problem]:
    """What is wrong with one rendered object by itself."""
    problems = []
    if wave_of(item) is None:
        annotation = f"{path}.metadata.annotations[{WAVE_ANNOTATION!r}]"
        problems.append(Problem(annotation, f"must be an integer from 0 to {LAST_WAVE}, as a string"))
    if item["kind"] == "ServiceAccount" and item.get(_MOUNT) is True:
        problems.append(Problem(f"{path}.{_MOUNT}", _NO_TOKEN))
    steps = POD_SPECS.get(item["kind"])
    if steps is None:
        return problems
    if not isinstance(item.get("spec"), dict):
        # The API server would refuse it in each tenant anew.
        return [*problems, Problem(f"{path}.spec", f"a {item['kind']} needs an object here")]
    pod: Any = item
    for step in steps:
        pod = pod.get(step) if isinstance(pod, dict) else None
    if isinstance(pod, dict):
        problems += [Problem(".".join((path, *steps, where)), _NO_TOKEN) for where in _tokens(pod)]
    return problems


_MOUNT = "automountServiceAccountToken"
_NO_TOKEN = "a tenant's pods get no token for the API server; leave it out"  # noqa: S105 - a message


def _tokens(pod: dict[str, Any]) -> Iterator[str]:
    """Where a pod asks for a token of the API server's; one for another audience is its own business."""
    if pod.get(_MOUNT) is True:
        yield _MOUNT
    for number, volume in enumerate(_list(pod.get("volumes"))):
        projected = volume.get("projected") if isinstance(volume, dict) else None
        for index, source in enumerate(_list((projected or {}).get("sources"))):
            token = source.get("serviceAccountToken") if isinstance(source, dict) else None
            if token is not None and not (isinstance(token, dict) and token.get("audience")):
                yield f"volumes[{number}].projected.sources[{index}].serviceAccountToken"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _name(item: dict[str, Any]) -> tuple[str, str]:
    return (item["kind"], item["metadata"]["name"])

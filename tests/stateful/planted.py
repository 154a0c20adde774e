"""The product's command with one bug planted: ``python planted.py BUG COMPONENT``.

Each bug changes what one decision comes to, in the process that makes it; everything else is the product.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from talkdesk_cli.main import app
from talkdesk_crds import names
from talkdesk_crds.conditions import Reason
from talkdesk_operator import answer, apply, directory, publish, retention, user_sync
from talkdesk_operator.confirm import Nothing, Readiness
from talkdesk_operator.gate import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable


def approves_before_the_gate() -> None:
    """Whatever was applied counts as usable."""
    usable = Verdict(Readiness.USABLE, Reason.WORKLOAD_READY)
    apply.Applier.judge = lambda *_: usable  # type: ignore[method-assign]


def forgets_removals() -> None:
    """A list of users lets everyone in whom it names."""
    user_sync.held = lambda *_, **__: frozenset()


def approves_an_uninstall_first() -> None:
    """An uninstall is approved at once, access is refused afterwards."""
    decide = answer.decide
    answer.decide = lambda situation, now: decide(replace(situation, access_refused=True), now)


def gives_every_installation_a_tenant() -> None:
    """A tenant's name hangs on how many installations there were."""
    known: dict[tuple[str, str], set[str]] = {}
    key_of, tenant_name = directory.Directory.key_of, names.tenant_name

    def counting(self: Any, installation: Any) -> Any:
        spec = installation.spec
        known.setdefault((spec.app_id, spec.account_id), set()).add(spec.installation_id)
        return key_of(self, installation)

    def named(namespace: str, release: str, *, app_id: str, region: str, account_id: str) -> str:
        number = len(known.get((app_id, account_id), ()))
        account = account_id if number < 2 else f"{account_id}#{number}"
        return tenant_name(namespace, release, app_id=app_id, region=region, account_id=account)

    directory.Directory.key_of = counting  # type: ignore[method-assign]
    names.tenant_name = named


def forgets_updates() -> None:
    """An update is done, and Talkdesk is not told."""
    decide = answer.decide

    def silent(situation: Any, now: Any) -> Any:
        return Nothing(Reason.NOTHING_PENDING) if situation.state == "updating" else decide(situation, now)

    answer.decide = silent


def writes_status_every_time() -> None:
    """A pass that changed nothing writes what is there."""
    patch_of = publish.patch_of

    def always(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        shown = {"observedGeneration": new["observedGeneration"]} if "observedGeneration" in new else {}
        return {**patch_of(old, new), **shown}

    publish.patch_of = always


def keeps_for_ever() -> None:
    """Nothing is ever due."""
    retention.anything_due = lambda *_, **__: False


BUGS: dict[str, Callable[[], None]] = {
    plant.__name__: plant
    for plant in (
        approves_before_the_gate,
        forgets_removals,
        approves_an_uninstall_first,
        gives_every_installation_a_tenant,
        forgets_updates,
        writes_status_every_time,
        keeps_for_ever,
    )
}

if __name__ == "__main__":
    BUGS[sys.argv.pop(1)]()
    app()

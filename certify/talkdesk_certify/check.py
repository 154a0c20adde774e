"""What a check and an item of the checklist are, and how a check fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from talkdesk_certify.scene import Scene

Look = Callable[["Scene"], Awaitable[str]]
#: Whom a check is for: every account, or only those of one kind.
Accounts = Literal["every", "customers", "resellers"]


class Failed(Exception):  # noqa: N818 - an outcome, not a defect of ours
    """What was asked for was not seen; the message says what was seen instead."""


class NotReached(Exception):  # noqa: N818 - an outcome as well
    """A check cannot be made, because what it rests on did not come about; the message says what."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that is looked at.

    ``look`` acts and looks, says what it saw, and raises :class:`Failed`. ``how`` is how it is observed,
    ``fix`` what to do where it fails. Without the checks of ``needs`` (ids) it is skipped. ``simulator``:
    it needs a Talkdesk whose accounts may be changed.
    """

    id: str
    title: str
    how: str
    fix: str
    look: Look
    needs: tuple[str, ...] = ()
    simulator: bool = True
    accounts: Accounts = "every"

    def below(self, item: str) -> Check:
        """The same check as a part of ``item``: ``2.bar`` is ``8.2.bar`` there."""
        return replace(self, id=f"{item}.{self.id}", needs=tuple(f"{item}.{one}" for one in self.needs))


@dataclass
class Item:
    """An item of the checklist: its number, and its checks in the order in which they are made.

    ``prepare`` brings about what the item starts from, where no item before it did; without that its first
    check fails in a sandbox, and of a deployment all are skipped.
    """

    id: str
    title: str
    prepare: Callable[[Scene], Awaitable[None]] | None = None
    checks: list[Check] = field(default_factory=list)

    def check(
        self,
        name: str,
        *,
        title: str,
        how: str,
        fix: str,
        needs: tuple[str, ...] = (),
        simulator: bool = True,
        accounts: Accounts = "every",
    ) -> Callable[[Look], Look]:
        """Make the decorated function a check of this item. ``needs`` are names in this item."""

        def added(look: Look) -> Look:
            self.checks.append(
                Check(
                    id=f"{self.id}.{name}",
                    title=title,
                    how=how,
                    fix=fix,
                    look=look,
                    needs=tuple(f"{self.id}.{one}" for one in needs),
                    simulator=simulator,
                    accounts=accounts,
                )
            )
            return look

        return added

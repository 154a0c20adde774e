"""Whether a tenant serves its users: a chain of rules, the first that objects decides. Pure.

One rule a module; a new one is a new file and a line in :data:`RULES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_operator.standing import credentials, role, switch, talkdesk_state, trial
from talkdesk_operator.standing.case import Case, Judgement, Suspension

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RULES", "Case", "Judgement", "Suspension", "judge"]

#: In this order: who is no customer any more is not told about a trial, and who
#: is suspended at Talkdesk because the trial ended is told that.
RULES: tuple[Callable[[Case], Judgement], ...] = (
    role.rule,
    switch.rule,
    trial.rule,
    talkdesk_state.rule,
    credentials.rule,
)


def judge(case: Case) -> Judgement:
    """The first suspension any rule asks for, and the earliest time at which one wants to look again."""
    judgements = [rule(case) for rule in RULES]
    return Judgement(
        suspension=next((one.suspension for one in judgements if one.suspension is not None), None),
        look_at=min((one.look_at for one in judgements if one.look_at is not None), default=None),
        ask=any(one.ask for one in judgements),
    )

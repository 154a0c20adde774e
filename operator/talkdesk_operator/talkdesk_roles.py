"""The users' roles at Talkdesk, which only SCIM tells: asked for where a rule of the app needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from talkdesk_client import Forbidden, NotFound, TalkdeskError, TokenRefused
from talkdesk_crds.conditions import Reason
from talkdesk_operator.hanging import Call
from talkdesk_operator.users import TalkdeskRoles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from talkdesk_client import InstallationRef, ScimUser, TalkdeskClient, User
    from talkdesk_operator.hanging import Hanging
    from talkdesk_operator.user_rules import UserRules

_log = structlog.get_logger(__name__)

_UNAUTHORIZED = 401


@dataclass(frozen=True)
class Told:
    """What Talkdesk told of roles; ``problem`` and ``message`` where it did not."""

    roles: TalkdeskRoles = TalkdeskRoles()  # noqa: RUF009 - frozen as well
    problem: Reason | None = None
    message: str = ""
    retry_after: float | None = None


async def ask(
    client: TalkdeskClient, ref: InstallationRef, rules: UserRules, hanging: Hanging
) -> tuple[Sequence[ScimUser], Told]:
    """The account's users with their roles, if ``rules`` need them. Raises nothing of Talkdesk's.

    A refusal (the app may lack the scope, Talkdesk may not offer SCIM) leaves everybody the role they have
    without it; anything else that fails leaves everybody the role they had. So does a 401: a scope takes some
    minutes to spread, to each new client.
    """
    if not rules.roles:
        return (), Told()
    try:
        with hanging.asking(ref.hosts.api, Call.ROLES):
            return await client.scim_roles(ref), Told()
    except TalkdeskError as error:
        if _refused(error):
            _log.warning("Talkdesk tells no roles", installation=ref.installation_id, error=str(error))
            return (), Told(problem=Reason.ROLES_REFUSED, message=f"roles are not told: {error}")
        _log.warning("roles could not be read", installation=ref.installation_id, error=str(error))
        return (), Told(
            roles=TalkdeskRoles(known=False),
            problem=Reason.ROLES_UNKNOWN,
            message=f"roles could not be read: {error}",
            retry_after=error.retry_after,
        )


def _refused(error: TalkdeskError) -> bool:
    """Talkdesk will not tell this app roles; waiting does not help."""
    if isinstance(error, TokenRefused):
        return error.status != _UNAUTHORIZED
    return isinstance(error, Forbidden | NotFound)


def by_user(users: Iterable[User], told: Sequence[ScimUser], rules: UserRules) -> TalkdeskRoles:
    """Who of ``users`` has which of the roles that ``rules`` name. Pure.

    SCIM's id is taken for the user's; where it knows none of that id, the user of the same e-mail address
    counts, if there is just one: within one account, at one moment, that is the same person.
    """
    wanted = {name for name, _ in rules.roles}
    by_id = {one.id: one for one in told}
    by_email: dict[str, list[ScimUser]] = {}
    for one in told:
        if one.email:
            by_email.setdefault(one.email.casefold(), []).append(one)
    found = {}
    for user in users:
        same = by_email.get((user.email or "").casefold(), [])
        entry = by_id.get(user.id) or (same[0] if len(same) == 1 else None)
        if entry is not None and (had := wanted & set(entry.roles)):
            found[user.id] = frozenset(had)
    return TalkdeskRoles(found)

"""The user list into the slices, with the removals that hold people out, and those that a list settles."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from talkdesk_client import TalkdeskError
from talkdesk_crds import conditions as types
from talkdesk_crds.conditions import Reason
from talkdesk_operator import audit, failures, talkdesk_roles
from talkdesk_operator.conditions import false, true
from talkdesk_operator.confirm import SETTLED_STATES
from talkdesk_operator.failures import Kind
from talkdesk_operator.revocations import new_epoch, revoked
from talkdesk_operator.users import ListedUser, held, merge, trustworthy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from talkdesk_client import InstallationRef, TalkdeskClient, User
    from talkdesk_operator.notes import Agenda, Notes
    from talkdesk_operator.reading import Reading
    from talkdesk_operator.revocations import RevocationDesk
    from talkdesk_operator.slices import SliceStore
    from talkdesk_operator.talkdesk_roles import Told
    from talkdesk_operator.user_rules import UserRules

_log = structlog.get_logger(__name__)

# What the kind accepts as a user id, an e-mail address and a name.
_ID = re.compile(r"[!-~]{1,128}\Z")
_EMAIL_LIMIT = 320
_NAME_LIMIT = 512


class UserSync:
    """Keeps an installation's slices at what Talkdesk lists."""

    def __init__(
        self,
        client: TalkdeskClient,
        slices: SliceStore,
        revocations: RevocationDesk,
        clock: Callable[[], datetime],
    ) -> None:
        self._clock = clock
        self._client = client
        self._slices = slices
        self._revocations = revocations

    async def sync(self, notes: Notes, ref: InstallationRef, reading: Reading, agenda: Agenda) -> None:
        """List the users into the slices; Talkdesk's failures become verdicts. Raises KubeError."""
        try:
            users, told = await self._users(ref, notes.rules)
            settling = await self._settling(ref, reading)
        except TalkdeskError as error:
            failure = failures.of_talkdesk(error)
            _log.warning("the users could not be listed", installation=notes.name, error=failure.message)
            notes.verdicts[types.USERS_SYNCED] = false(Reason.LIST_FAILED, failure.message)
            agenda.fail(failure.retry_after)
            if failure.kind is Kind.REFUSED:
                # These credentials may have been replaced: the next pass reads first, and finds out.
                notes.memory.reading = None
            return
        listed, unusable = listed_users(users)
        installation = notes.installation
        # Removals that came in while the list was on its way hold as well.
        out = held((revoked(one) for one in self._revocations.of(installation)), settling=settling)
        before = self._slices.current(installation).users
        merged = merge(
            before,
            listed,
            held=out,
            admin=reading.admin,
            rules=notes.rules,
            roles=told.roles,
            new_epoch=new_epoch,
        )
        generation = await self._slices.write(installation, merged)
        read = {"kind": "list", "state": reading.state, "updatedAt": reading.updated_at}
        events = {
            user: one.spec.cause for one in self._revocations.of(installation) for user in one.spec.users
        }

        def cause(user: str) -> dict[str, str | None]:
            return {"kind": "event", "event": events[user]} if user in out and user in events else read

        for line in audit.users_changed(installation, before, merged, cause=cause, now=self._clock()):
            audit.say("user access changed", line)
        if settling:
            await self._revocations.settle(installation, settling)
        notes.users = generation.status
        notes.listed, notes.user_rules = True, notes.rules.digest
        notes.memory.listed_for = reading.moment
        if unusable:
            message = f"{unusable} of {len(users)} users have no usable id"
            notes.verdicts[types.USERS_SYNCED] = false(Reason.USERS_UNUSABLE, message)
        elif told.problem is not None:
            # Everybody who is licensed may enter, so this is no less true than before.
            notes.verdicts[types.USERS_SYNCED] = true(told.problem, f"{len(merged)} users; {told.message}")
            if not told.roles.known:
                agenda.fail(told.retry_after)
        else:
            notes.verdicts[types.USERS_SYNCED] = true(Reason.USERS_LISTED, f"{len(merged)} users")

    async def _users(self, ref: InstallationRef, rules: UserRules) -> tuple[tuple[User, ...], Told]:
        """The licensed users, and what is told of their roles. Raises TalkdeskError for the former alone."""
        users, (scim, told) = await asyncio.gather(
            self._client.users(ref), talkdesk_roles.ask(self._client, ref, rules)
        )
        if scim:
            told = replace(told, roles=talkdesk_roles.by_user(users, scim, rules))
        return users, told

    async def _settling(self, ref: InstallationRef, reading: Reading) -> frozenset[str]:
        """The removals that this list settles: a second reading after it has to equal the first."""
        if not reading.seen or reading.state not in SETTLED_STATES:
            return frozenset()
        state = (await self._client.installation(ref)).state
        after = (state.state, state.updated_at) if state is not None else ("", None)
        if trustworthy(reading.moment, after, settled_states=SETTLED_STATES):
            return reading.seen
        return frozenset()


def listed_users(users: Iterable[User]) -> tuple[list[ListedUser], int]:
    """What of Talkdesk's list the kind can hold, and how many users it cannot."""
    listed, unusable = [], 0
    for user in users:
        if not _ID.match(user.id):
            unusable += 1
            continue
        email = user.email if user.email and len(user.email) <= _EMAIL_LIMIT else None
        name = user.name[:_NAME_LIMIT] if user.name else None
        listed.append(ListedUser(id=user.id, email=email, name=name, active=user.active))
    return listed, unusable

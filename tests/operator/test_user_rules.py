"""Who is what in the app: Talkdesk's roles, the app's rules, and what the installation assigns."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from talkdesk_client import Forbidden, NotFound, ScimUser, TokenRefused, Unauthorized, User
from talkdesk_crds.conditions import Reason
from talkdesk_operator import talkdesk_roles, users
from talkdesk_operator.hanging import Hanging
from talkdesk_operator.user_rules import UserRules
from talkdesk_operator.users import ListedUser, TalkdeskRoles

if TYPE_CHECKING:
    from talkdesk_client import InstallationRef, TalkdeskClient, TalkdeskError
    from talkdesk_operator.entries import Entry

RANKED = UserRules(roles=(("Administrator", "owner"), ("Supervisor", "lead")))


def merged(
    current: dict[str, Entry],
    listed: list[ListedUser],
    rules: UserRules,
    *,
    roles: TalkdeskRoles | None = None,
    admin: str | None = None,
) -> dict[str, Entry]:
    numbers = count()
    return users.merge(
        current,
        listed,
        held=frozenset(),
        admin=admin,
        rules=rules,
        roles=roles or TalkdeskRoles(),
        new_epoch=lambda: f"fresh-{next(numbers)}",
    )


def told(**by_user: tuple[str, ...]) -> TalkdeskRoles:
    return TalkdeskRoles({user: frozenset(roles) for user, roles in by_user.items()})


@pytest.mark.parametrize(
    ("had", "role"),
    [
        ((), "user"),
        (("Agent",), "user"),
        (("Supervisor",), "lead"),
        (("Supervisor", "Administrator"), "owner"),
        (("Agent", "Supervisor"), "lead"),
    ],
)
def test_the_first_rule_that_fits_says_what_a_user_is(had: tuple[str, ...], role: str) -> None:
    assert RANKED.role("ada", admin=False, talkdesk=had) == role


def test_the_installing_admin_is_admin_whatever_talkdesk_calls_them() -> None:
    assert RANKED.role("ada", admin=True, talkdesk=("Supervisor",)) == "admin"


def test_what_the_installation_assigns_counts_over_everything_else() -> None:
    rules = UserRules(roles=RANKED.roles, assigned={"ada": "user", "bob": "admin"})
    assert rules.role("ada", admin=True, talkdesk=("Administrator",)) == "user"
    assert rules.role("bob", admin=False) == "admin"


def test_when_the_installer_leaves_the_one_whom_the_installation_names_is_admin() -> None:
    listed = [ListedUser("ada"), ListedUser("bob")]
    before = merged({}, listed, UserRules(), admin="ada")
    assert (before["ada"].role, before["bob"].role) == ("admin", "user")
    after = merged(before, listed[1:], UserRules(assigned={"bob": "admin"}), admin="ada")
    assert set(after) == {"bob"}
    assert (after["bob"].role, after["bob"].admin) == ("admin", False)
    assert after["bob"].epoch == before["bob"].epoch


def test_an_inactive_user_is_removed_or_licensed_as_the_app_says() -> None:
    listed = [ListedUser("ada", active=False)]
    assert merged({}, listed, UserRules()) == {}
    kept = merged({}, listed, UserRules(inactive=True))
    assert (kept["ada"].active, kept["ada"].role) == (False, "user")


def test_a_new_name_address_role_or_rule_changes_no_epoch() -> None:
    before = merged({}, [ListedUser("ada", "ada@a.example", "Ada")], RANKED)
    listed = [ListedUser("ada", "ada@b.example", "Ada Lovelace")]
    after = merged(before, listed, RANKED, roles=told(ada=("Supervisor",)))
    assert after["ada"] == replace(before["ada"], email="ada@b.example", name="Ada Lovelace", role="lead")


def test_an_entry_that_stays_is_the_same_object() -> None:
    """Ten thousand equal copies would cost memory for nothing."""
    before = merged({}, [ListedUser("ada")], UserRules())
    assert merged(before, [ListedUser("ada")], UserRules())["ada"] is before["ada"]


def test_while_roles_cannot_be_read_everybody_keeps_theirs_and_the_new_are_users() -> None:
    before = merged({}, [ListedUser("ada"), ListedUser("cyd")], RANKED, roles=told(ada=("Supervisor",)))
    unknown = TalkdeskRoles(known=False)
    listed = [ListedUser("ada"), ListedUser("bob"), ListedUser("cyd")]
    after = merged(before, listed, RANKED, roles=unknown, admin="cyd")
    assert {user: one.role for user, one in after.items()} == {"ada": "lead", "bob": "user", "cyd": "admin"}
    assigned = UserRules(roles=RANKED.roles, assigned={"ada": "guest"})
    assert merged(before, listed, assigned, roles=unknown)["ada"].role == "guest"


def test_refused_roles_fall_back_and_nobody_loses_access() -> None:
    before = merged({}, [ListedUser("ada"), ListedUser("bob")], RANKED, roles=told(ada=("Supervisor",)))
    after = merged(before, [ListedUser("ada"), ListedUser("bob")], RANKED, admin="bob")
    assert {user: one.role for user, one in after.items()} == {"ada": "user", "bob": "admin"}
    assert {user: one.epoch for user, one in after.items()} == {
        user: one.epoch for user, one in before.items()
    }


def scim(identifier: str, email: str | None, *roles: str) -> ScimUser:
    return ScimUser.model_construct(id=identifier, email=email, roles=roles)


def person(identifier: str, email: str | None = None) -> User:
    return User(id=identifier, email=email)


def test_scims_user_is_found_by_id_and_else_by_an_address_that_is_one_persons() -> None:
    everyone = [
        scim("ada", "other@a.example", "Supervisor"),
        scim("scim-2", "Bob@a.example", "Administrator", "Agent"),
        scim("scim-3", "shared@a.example", "Supervisor"),
        scim("scim-4", "SHARED@a.example", "Administrator"),
        scim("scim-5", None, "Supervisor"),
    ]
    listed = [
        person("ada", "bob@a.example"),
        person("bob", "bob@a.example"),
        person("cyd", "shared@a.example"),
        person("dan", None),
        person("eve", "eve@a.example"),
    ]
    found = talkdesk_roles.by_user(listed, everyone, RANKED)
    assert found.by_user == {"ada": {"Supervisor"}, "bob": {"Administrator"}}


async def told_by(error: TalkdeskError) -> talkdesk_roles.Told:
    """What is made of ``error`` as SCIM's answer."""

    async def scim_roles(_ref: Any) -> Any:
        raise error

    client = cast("TalkdeskClient", SimpleNamespace(scim_roles=scim_roles))
    hosts = SimpleNamespace(api="api.talkdeskapp.eu")
    ref = cast("InstallationRef", SimpleNamespace(installation_id="one", hosts=hosts))
    users, found = await talkdesk_roles.ask(client, ref, RANKED, Hanging(1, lambda: 0.0))
    assert not users
    return found


@pytest.mark.parametrize("error", [TokenRefused, Unauthorized])
async def test_a_401_of_scim_may_pass_so_everybody_keeps_their_role(error: type[TalkdeskError]) -> None:
    found = await told_by(error("no", status=401, retry_after=7.0))
    assert (found.problem, found.retry_after) == (Reason.ROLES_UNKNOWN, 7.0)
    before = merged({}, [ListedUser("ada")], RANKED, roles=told(ada=("Supervisor",)))
    assert merged(before, [ListedUser("ada")], RANKED, roles=found.roles)["ada"].role == "lead"


@pytest.mark.parametrize(
    ("error", "status"), [(TokenRefused, 400), (TokenRefused, 403), (Forbidden, 403), (NotFound, 404)]
)
async def test_a_lasting_refusal_of_scim_leaves_everybody_the_role_without_it(
    error: type[TalkdeskError], status: int
) -> None:
    found = await told_by(error("no", status=status))
    assert (found.problem, found.roles) == (Reason.ROLES_REFUSED, TalkdeskRoles())


def test_the_digest_tells_rules_apart_and_is_none_of_the_default() -> None:
    assert UserRules().digest is None
    different = [
        UserRules(inactive=True),
        RANKED,
        UserRules(roles=RANKED.roles[::-1]),
        UserRules(roles=RANKED.roles[:1]),
        UserRules(assigned={"Administrator": "owner"}),
        UserRules(roles=RANKED.roles[:1], assigned={"Supervisor": "lead"}),
        UserRules(inactive=True, assigned={"Supervisor": "lead"}),
    ]
    assert len({one.digest for one in different} | {None}) == len(different) + 1
    one, other = UserRules(assigned={"a": "b", "c": "d"}), UserRules(assigned={"c": "d", "a": "b"})
    assert one.digest == other.digest

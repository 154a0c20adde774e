"""Slices that are written by more than one, or only in part: nobody's sign-out is undone, and all is told."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from structlog.testing import capture_logs

from declared import app
from talkdesk_client.models import User
from talkdesk_crds import names
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.user_slice import bucket_of
from talkdesk_kube import Conflict, ServerError
from talkdesk_kube.errors import Status, error_of
from talkdesk_operator.cache import Caches
from talkdesk_operator.entries import Entry
from talkdesk_operator.hanging import Hanging
from talkdesk_operator.memory import InstallationMemory
from talkdesk_operator.notes import Agenda, Notes
from talkdesk_operator.reading import Reading
from talkdesk_operator.revocations import RevocationDesk
from talkdesk_operator.slices import SliceStore
from talkdesk_operator.tenant import Release
from talkdesk_operator.user_sync import UserSync

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from talkdesk_client import InstallationRef, TalkdeskClient
    from talkdesk_kube import Kube, Obj
    from talkdesk_operator.endings import Endings

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
RELEASE = Release(namespace="td", name="td", service_account="operator", tenant_cluster_role="tenant")
#: Enough for two slices, and a user in each.
MANY = 250
FIRST = next(f"u{number}" for number in range(MANY) if bucket_of(f"u{number}", 2) == 0)
SECOND = next(f"u{number}" for number in range(MANY) if bucket_of(f"u{number}", 2) == 1)
MOMENT = ("completed", "2026-01-05T10:00:00Z")
LATE = [f"late-{number}" for number in range(20)]


def refusal(code: int, reason: str) -> Any:
    return error_of(Status(code, reason, "no"), method="PATCH", path="/")


def installation() -> TalkdeskInstallation:
    return TalkdeskInstallation.model_validate(
        {
            "metadata": {"name": names.installation_name("i"), "namespace": "td", "uid": "i"},
            "spec": {"appId": "app", "accountId": "account", "installationId": "i", "talkdesk": {}},
        }
    )


def everyone(*, epoch: str = "old") -> dict[str, Entry]:
    return {f"u{number}": Entry(f"{epoch}-{number}") for number in range(MANY)}


def revocation(kind: str, *users: str) -> Obj:
    spec = {"appId": "app", "accountId": "account", "installationId": "i", "cause": "event", "part": 0}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "TalkdeskRevocation",
        "metadata": {"name": "gone", "namespace": "td", "uid": "r", "resourceVersion": "1"},
        "spec": {**spec, "kind": kind, "users": list(users)},
    }


@dataclass
class Server:
    """Slices as the API server holds them; ``before`` a bucket is stored its callable is awaited."""

    objects: dict[str, Obj] = field(default_factory=dict)
    revocations: dict[str, Obj] = field(default_factory=dict)
    before: dict[int, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    version: int = 10
    #: No revocation can be marked.
    unmarked: bool = False
    #: Writes that have come in and are not through yet.
    open: int = 0

    async def apply(self, obj: Obj, **_: Any) -> Obj:
        self.open += 1
        try:
            if (met := self.before.pop(obj["spec"]["bucket"], None)) is not None:
                await met()
            return self._stored(obj)
        finally:
            self.open -= 1

    def _stored(self, obj: Obj) -> Obj:
        metadata, there = obj["metadata"], self.objects.get(obj["metadata"]["name"])
        wanted = metadata.get("resourceVersion")
        if there is not None and wanted not in (None, there["metadata"]["resourceVersion"]):
            raise refusal(409, "Conflict")
        self.version += 1
        given = {"resourceVersion": str(self.version), "uid": metadata["name"]}
        self.objects[metadata["name"]] = {**obj, "metadata": {**metadata, **given}}
        return self.objects[metadata["name"]]

    async def merge_patch(self, _resource: Any, name: str, patch: Obj, **_: Any) -> Obj:
        """A revocation is marked."""
        if self.unmarked:
            raise refusal(500, "InternalError")
        self.version += 1
        there = self.revocations[name]
        metadata = {**there["metadata"], "resourceVersion": str(self.version)}
        self.revocations[name] = {**there, "metadata": metadata, "status": patch["status"]}
        return copy.deepcopy(self.revocations[name])

    @property
    def users(self) -> dict[str, dict[str, Any]]:
        return {user: entry for one in self.objects.values() for user, entry in one["spec"]["users"].items()}


class Replica:
    """One operator over the server, and Talkdesk as it lists the users ``listed``."""

    def __init__(self, server: Server) -> None:
        kube = cast("Kube", server)
        self.server = server
        self.caches = Caches(kube, RELEASE)
        self.store = SliceStore(kube, self.caches)
        self.desk = RevocationDesk(kube, self.caches, self.store, lambda: NOW, kept=timedelta(days=1))
        self.listed = list(everyone())
        endings = cast("Endings", SimpleNamespace(comes=lambda *_: None))
        client = cast("TalkdeskClient", SimpleNamespace(users=self._users, installation=self._shown))
        self.sync = UserSync(
            client, Hanging(most=1, monotonic=lambda: 0.0),
            slices=self.store, revocations=self.desk, endings=endings, clock=lambda: NOW,
        )  # fmt: skip
        self.memory = InstallationMemory()

    async def _users(self, _: Any) -> tuple[User, ...]:
        return tuple(User(id=user) for user in self.listed)

    async def _shown(self, _: Any) -> Any:
        return SimpleNamespace(state=SimpleNamespace(state=MOMENT[0], updated_at=MOMENT[1]))

    def revoke(self, kind: str, *users: str) -> None:
        """A revocation comes in, and the watch shows it."""
        obj = revocation(kind, *users)
        self.server.revocations[obj["metadata"]["name"]] = obj
        self.caches.revocations.view.remember(copy.deepcopy(obj))

    def watch(self) -> None:
        """The watch shows all that is stored."""
        for obj in self.server.objects.values():
            self.caches.slices.remember(obj)

    async def list(self, *, seen: frozenset[str] = frozenset()) -> None:
        """One list of the users into the slices, after a reading that knew of ``seen``. Raises KubeError."""
        notes = Notes(installation=installation(), memory=self.memory, given=())
        reading = Reading(
            begun=0.0, generation=None, resync_token=None, seen=seen, state=MOMENT[0],
            updated_at=MOMENT[1], admin=None,
        )  # fmt: skip
        ref = cast("InstallationRef", SimpleNamespace(hosts=SimpleNamespace(api="api")))
        await self.sync.sync(notes, app(), ref, reading, Agenda())


async def fail() -> None:
    raise refusal(500, "InternalError")


async def turns() -> None:
    """Whatever can go on without another's doing has gone on."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_a_sign_out_waits_for_all_writes_that_are_under_way_however_early_one_of_them_fails() -> None:
    server = Server()
    one = Replica(server)
    await one.store.write(installation(), everyone())
    asked, through = asyncio.Event(), asyncio.Event()

    async def held() -> None:
        asked.set()
        await through.wait()

    server.before = {0: fail, 1: held}
    renamed = {user: replace(entry, name="new") for user, entry in everyone().items()}

    async def write() -> None:
        async with one.store.alone(installation()):
            await one.store.write(installation(), renamed)

    writing = asyncio.create_task(write())
    await asked.wait()
    one.revoke("SignedOut", SECOND)
    revoking = asyncio.create_task(one.desk.apply(installation()))
    await turns()
    through.set()
    with pytest.raises(ServerError):
        await writing
    assert await revoking
    await turns()
    assert not server.open
    (marked,) = one.desk.of(installation())
    assert marked.status.applied_at is not None
    assert server.users[SECOND]["epoch"] != everyone()[SECOND].epoch


async def test_what_was_made_of_older_slices_overwrites_no_newer_ones() -> None:
    server = Server()
    former, now = Replica(server), Replica(server)
    await former.store.write(installation(), everyone())
    now.watch()
    now.revoke("SignedOut", SECOND)
    assert await now.desk.apply(installation())
    epoch = server.users[SECOND]["epoch"]
    former.listed = [*everyone(), *LATE]
    with pytest.raises(Conflict):
        await former.list()
    assert server.users[SECOND]["epoch"] == epoch
    former.watch()
    await former.list()
    assert server.users[SECOND]["epoch"] == epoch
    assert set(server.users) == {*everyone(), *LATE}


async def test_a_list_that_could_not_be_stored_is_owed_until_it_is() -> None:
    replica = Replica(Server())
    await replica.list()
    assert replica.memory.listed_for == MOMENT
    replica.listed += LATE
    replica.server.before = {0: fail}
    with pytest.raises(ServerError):
        await replica.list()
    assert replica.memory.listed_for is None
    await replica.list()
    assert replica.memory.listed_for == MOMENT
    assert set(LATE) <= set(replica.server.users)


def told(logs: list[Any]) -> dict[str, str]:
    """What the audit log says of each user; of nobody twice."""
    lines = [one for one in logs if one["event"] == "user access changed"]
    assert len({one["user"] for one in lines}) == len(lines)
    return {one["user"]: one["reason"] for one in lines}


async def test_of_a_list_that_is_stored_in_part_the_audit_log_tells_that_part_and_later_the_rest() -> None:
    replica = Replica(Server())
    await replica.list()
    replica.listed += LATE
    replica.server.before = {0: fail}
    with capture_logs() as logs:
        with pytest.raises(ServerError):
            await replica.list()
        assert told(logs) == {user: "Licensed" for user in LATE if bucket_of(user, 2) == 1} != {}
        await replica.list()
    assert told(logs) == dict.fromkeys(LATE, "Licensed")


async def test_of_sign_outs_that_are_stored_in_part_the_audit_log_tells_that_part_and_later_the_rest() -> (
    None
):
    replica = Replica(Server())
    await replica.store.write(installation(), everyone())
    replica.revoke("SignedOut", FIRST, SECOND)
    replica.server.before = {0: fail}
    with capture_logs() as logs:
        with pytest.raises(ServerError):
            await replica.desk.apply(installation())
        assert told(logs) == {SECOND: "SignedOut"}
    with capture_logs() as logs:
        assert await replica.desk.apply(installation())
    # Whose epoch was new already gets another: the revocation is applied once all of it is.
    assert told(logs) == {FIRST: "SignedOut", SECOND: "SignedOut"}


async def test_who_is_back_is_told_although_it_cannot_be_noted_that_the_removal_is_settled() -> None:
    replica = Replica(Server())
    await replica.store.write(installation(), everyone())
    replica.revoke("Removed", SECOND)
    assert await replica.desk.apply(installation())
    assert SECOND not in replica.server.users
    replica.server.unmarked = True
    with capture_logs() as logs, pytest.raises(ServerError):
        await replica.list(seen=frozenset({"gone"}))
    assert told(logs) == {SECOND: "Licensed"}
    assert SECOND in replica.server.users

"""A world in which every page of the console has much to show: long names, many rows, errors, each state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from talkdesk_sandbox.console.mails import Mail
from talkdesk_sandbox.console.snapshot import Snapshot, snapshot
from talkdesk_sandbox.talkdesk.control_bodies import NewApp, NewPlan, NewUser
from talkdesk_sandbox.talkdesk.population import add_app, add_user

if TYPE_CHECKING:
    from collections.abc import Iterator

    from showing.partner import Partner
    from talkdesk_sandbox.talkdesk.model import Account, User

LONG = "a-customer-whose-name-is-as-long-as-a-label-of-dns-may-ever-be"
_WORDS = (
    "The workload did not become ready: ImagePullBackOff for registry.example.com/a-partner/callboard:1.0.0"
)
_UNBROKEN = "x" * 120
_TENANT = "td-8b419e-7add80a7f00197978516"


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A page to look at: at ``url``, after ``filled`` was filled in (by label) and ``press`` pressed."""

    name: str
    url: str
    press: str = ""
    filled: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """``sign_in`` are the sign-in pages, with who signs in there; ``stops`` what to look at then."""

    sign_in: list[tuple[str, str]]
    stops: list[Stop]


async def gallery(show: Any) -> Gallery:
    """Fill the world of ``show``; gives where to go."""
    acme, (ada, ben, cleo, _) = show.account("acme", people=4)
    for number in range(5):
        person = NewUser(email=f"person-{number}@acme.example", name=f"Person Number{number}")
        add_user(show.talkdesk, acme.id, person)
    show.account("taken", "us", people=0)
    other, others = show.account(LONG, "ca")
    pat = NewUser(email=f"{'p' * 60}@{LONG}.example", name=f"Pat {'Featherstonehaugh-' * 3}Smith")
    long_user = add_user(show.talkdesk, other.id, pat)
    mine = _installations(show, acme, [ada, ben], other, [*others, long_user])
    await show.settle()
    await _traffic(show, mine["live"])
    _changes(show, mine, adding=cleo, removing=ben)
    _mails(show)
    show.console.snapshot = _cluster
    show.console.kubeconfig = f"/somewhere/talkdesk-sandbox-{_UNBROKEN}/kubeconfig"
    for fault in ("drop", "reorder"):
        await show.post(f"{show.root}/controls/delivery-faults", {"fault": fault})
    await show.post(f"{show.root}/controls/api-faults", {"fault": "region-down", "region": "us"})
    stops = [*_own(show), *_of_account(show, acme, mine), *_of_long(show, other, mine)]
    sign_in = [(f"{show.console.at(acme)}/login", ada.name), (f"{show.console.at(other)}/login", pat.name)]
    return Gallery(sign_in=sign_in, stops=stops)


def _installations(
    show: Any, acme: Account, people: list[User], other: Account, others: list[User]
) -> dict[str, Any]:
    """One of each state; ``event_*`` are the requests to look at."""
    ada, ben = people
    *_, long_user = others
    wordy = add_app(
        show.talkdesk,
        NewApp(
            name="Workforce Engagement Analytics and Forecasting for Contact Centres",
            events_url=show.app.events_url,
            summary="Forecasts, schedules and adherence. " * 11,
            version="2026.11.29-release-candidate.17+build.4711",
            plans=[
                NewPlan(name="Solo", price=9, max_licenses=1),
                NewPlan(name="A plan for everybody, with a name that goes on and on", price=99),
            ],
        ),
    )
    made: dict[str, Any] = {"wordy": wordy, "live": show.installed(acme, [ada, ben])}

    def install(name: str, account: Account, user: User, *, app_id: str) -> str:
        made[name], made[f"event_{name}"] = show.talkdesk.install(
            app_id=app_id, account_id=account.id, plan=None, users=[user.id], created_by=user.id
        )
        return str(made[name])

    def answer(id_: str, verdict: str, reason: str | None = None) -> None:
        show.talkdesk.answer(id_, verdict=verdict, reason=reason)

    rejected = install("rejected", other, long_user, app_id=wordy.id)
    answer(rejected, "reject", f"{_WORDS}. {_UNBROKEN} Write to support@demo.localhost.")
    answer(install("done", other, long_user, app_id=show.app.id), "approve")
    made["event_gone"] = show.talkdesk.uninstall(made["done"], reason={"type": "other", "message": _UNBROKEN})
    answer(made["done"], "approve")
    install("waiting", other, long_user, app_id=show.app.id)
    # Somebody else's: it has a gear, and no icon.
    third = add_app(show.talkdesk, NewApp(name="Wallboard", events_url=show.app.events_url))
    answer(install("theirs", acme, ben, app_id=third.id), "approve")
    return made


def _changes(show: Any, made: dict[str, Any], *, adding: User, removing: User) -> None:
    """A request that another one replaced, which waits."""
    talkdesk, live = show.talkdesk, made["live"]
    talkdesk.switches = talkdesk.switches.changed({"overlap": "replace"})
    made["event_replaced"] = talkdesk.update(live, adding=[adding.id], removing=[], plan=None)
    made["event_change"] = talkdesk.update(live, adding=[], removing=[removing.id], plan="Standard")
    talkdesk.switches = talkdesk.switches.changed({"overlap": "refuse"})


async def _traffic(show: Any, installation_id: str) -> None:
    """Real calls, more than a page of rows, and what a cluster would tell."""
    partner: Partner = show.partner(installation_id)
    token = await partner.token()
    for path in ("", "/users", "/subscription", "/trial", "/nothing"):
        await partner.call(path, token=token)
    await partner.call("/state", token=token, body={"state": "reject", "reason": f"{_WORDS} {_UNBROKEN}"})
    await partner.http.get(f"{partner.root}/events/signature-keys/{_UNBROKEN}")
    ledger = show.talkdesk.ledger
    for number in range(90):
        ledger.add(
            "cluster",
            method="CHANGED",
            detail={
                "kind": "TalkdeskInstallation",
                "name": f"td-{_UNBROKEN}",
                "namespace": "talkdesk-system",
                "changes": [
                    {"path": f"status.conditions.Ready.message{number}", "from": None, "to": _UNBROKEN},
                    {"path": "status.conditions.Ready.status", "from": "False", "to": "True"},
                ],
            },
        )
    for type_ in ("Normal", "Warning"):
        note = {
            "type": type_,
            "reason": "ApprovalRejected",
            "note": f"{_WORDS} {_UNBROKEN}",
            "about": "Pod x",
        }
        ledger.add("cluster", method="ADDED", detail={"kind": "Event", "name": "e", "namespace": "n", **note})


def _mails(show: Any) -> None:
    page = "<!doctype html><html lang='en'><title>Mail</title><main><h1>It is ready.</h1></main>"
    for number in range(12):
        show.letters.kept.append(
            Mail(
                id=str(number),
                to=f"{'p' * 60}@{LONG}.example" if number % 2 else "ada@acme.example",
                subject=f"Callboard could not be installed for {LONG}: {_UNBROKEN}"
                if number % 2
                else "Ready",
                at="2026-11-29T10:00:00Z",
                message_id=f"<{_UNBROKEN}@demo.localhost>",
                text=f"{_WORDS}\n\n{_UNBROKEN * 2}\n",
                html=None if number == 10 else page,
            )
        )


def _cluster() -> Snapshot:
    """Installations that are well, failing and over, as the cluster would hold them."""

    def conditions(ready: str, reason: str) -> Iterator[dict[str, str]]:
        yield {"type": "Ready", "status": ready, "reason": reason, "message": f"{_WORDS} {_UNBROKEN}"}
        for kind in ("Provisioned", "CredentialsAccepted", "UsersSynchronised", "Notified"):
            yield {"type": kind, "status": "False", "reason": f"{kind}NotYetKnown", "message": _WORDS}

    def installation(name: str, account: str, ready: str, reason: str) -> dict[str, Any]:
        return {
            "metadata": {"name": f"td-{name}", "creationTimestamp": "2026-11-29T10:00:00Z"},
            "spec": {
                "installationId": f"{name}-{_UNBROKEN}",
                "accountId": "a1",
                "region": "eu",
                "talkdesk": {"accountName": {"name": account}},
            },
            "status": {
                "tenant": _TENANT,
                "plan": "A plan for everybody, with a name that goes on and on",
                "users": {"count": 12000},
                "access": {"state": "Allowed" if ready == "True" else "Refused", "reason": reason},
                "deadlines": {"trial": "2026-12-29T10:00:00Z", "retention": "2026-12-30T10:00:00Z"},
                "conditions": list(conditions(ready, reason)),
            },
        }

    event = {
        "reason": "InstallationRejectedAfterPatience",
        "note": f"{_WORDS} {_UNBROKEN}",
        "eventTime": "2026-11-29T10:00:01Z",
        "regarding": {"kind": "TalkdeskInstallation", "name": f"td-{_UNBROKEN}"},
    }
    return snapshot(
        synced=True,
        namespace="talkdesk-system",
        installations=[
            installation("1", "acme", "True", "InstallationReady"),
            installation("2", LONG, "False", "WorkloadNotReadyInTime"),
            installation(_UNBROKEN, "gone", "False", "Uninstalled"),
        ],
        tenants={_TENANT: {"status": {"phase": "Active"}}},
        deployments=[
            {
                "metadata": {
                    "namespace": _TENANT,
                    "name": f"part{number}-{'y' * 40}",
                },
                "spec": {"replicas": 2},
                "status": {"readyReplicas": 1},
            }
            for number in range(3)
        ],
        events=[
            {**event, "type": type_, "metadata": {"name": f"e{number}", "namespace": "talkdesk-system"}}
            for number, type_ in enumerate(["Normal", "Warning"] * 10)
        ],
    )


def _own(show: Any) -> list[Stop]:
    root = show.root
    return [
        Stop(name="accounts", url=f"{root}/"),
        Stop(
            name="account that cannot be",
            url=f"{root}/",
            press="Make the account",
            filled={"Name": "taken"},
        ),
        Stop(name="private install", url=f"{root}/install/{show.app.version.id}"),
        Stop(name="private install, earlier version", url=f"{root}/install/nothing"),
        Stop(name="timeline", url=f"{root}/timeline"),
        *(Stop(name=f"timeline, {kind}", url=f"{root}/timeline?kind={kind}") for kind in ("api", "delivery")),
        Stop(name="timeline, nothing", url=f"{root}/timeline?kind=proxy"),
        Stop(name="kubernetes", url=f"{root}/kubernetes"),
        Stop(name="mailbox", url=f"{root}/mailbox"),
        Stop(name="mail as text", url=f"{root}/mailbox?id=10"),
        Stop(name="controls", url=f"{root}/controls"),
        Stop(name="no such page", url=f"{root}/none"),
    ]


def _of_account(show: Any, account: Account, made: dict[str, Any]) -> list[Stop]:
    """Of an account whose user Ada is signed in."""
    at, wordy = show.console.at(account), made["wordy"].version.id
    gear = f"{at}/apps/{made['live']}"
    theirs = f"{at}/apps/{made['theirs']}"
    two = {"Cleo Marsh": "on"}
    return [
        Stop(name="sign-in", url=f"{at}/login?change=1"),
        Stop(name="My Apps", url=f"{at}/apps"),
        Stop(name="marketplace", url=f"{at}/marketplace"),
        Stop(name="listing", url=f"{at}/marketplace/{made['wordy'].id}"),
        Stop(name="installed already", url=f"{at}/marketplace/install/{show.app.version.id}"),
        Stop(name="plan step", url=f"{at}/marketplace/install/{wordy}"),
        Stop(name="no plan", url=f"{at}/marketplace/install/{wordy}/users"),
        Stop(name="users step", url=f"{at}/marketplace/install/{wordy}/users?plan=Solo"),
        Stop(
            name="too many for the plan",
            url=f"{at}/marketplace/install/{wordy}/users?plan=Solo",
            press=f"Install {made['wordy'].name}",
            filled=two,
        ),
        Stop(name="gear, waiting", url=gear),
        Stop(name="gear, refused beside a waiting one", url=gear, press="Save the users", filled=two),
        Stop(name="gear, nothing changed", url=theirs, press="Save the users"),
        Stop(name="gear, same plan", url=f"{theirs}?part=plan", press="Change the plan"),
        Stop(name="gear, uninstall", url=f"{theirs}?part=uninstall"),
        Stop(name="change that waits", url=f"{gear}/requests/{made['event_change']}"),
        Stop(name="change that was replaced", url=f"{gear}/requests/{made['event_replaced']}"),
    ]


def _of_long(show: Any, account: Account, made: dict[str, Any]) -> list[Stop]:
    """Of the account with the long name, whose user has one, too."""
    at = show.console.at(account)
    waiting, ended = f"{at}/apps/{made['waiting']}", f"{at}/apps/{made['rejected']}"
    gone = f"{at}/apps/{made['done']}"
    return [
        Stop(name="My Apps, long", url=f"{at}/apps"),
        Stop(
            name="installation that waits",
            url=f"{waiting}/requests/{made['event_waiting']}",
        ),
        Stop(name="installation that failed", url=f"{ended}/requests/{made['event_rejected']}"),
        Stop(name="gear of what failed", url=ended),
        Stop(name="installation that is over", url=f"{gone}/requests/{made['event_done']}"),
        Stop(name="uninstallation that is done", url=f"{gone}/requests/{made['event_gone']}"),
        Stop(name="gear of what is gone", url=gone),
        Stop(name="sign-in, long", url=f"{at}/login?change=1"),
        Stop(name="nobody", url=f"{at}/logout?return_to=/apps"),
    ]

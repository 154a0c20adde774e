"""The controls: Talkdesk's clock, faults, what Talkdesk's staff do to an installation, and the switches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_args

from aiohttp import web

from talkdesk_sandbox.console.console import console_of, leads_back, on_the_way
from talkdesk_sandbox.console.render import page
from talkdesk_sandbox.talkdesk import control_bodies as bodies
from talkdesk_sandbox.talkdesk.hosts import REGIONS
from talkdesk_sandbox.talkdesk.platform import UnknownError
from talkdesk_sandbox.talkdesk.switches import Switches

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from talkdesk_sandbox.talkdesk.model import Account, Installation
    from talkdesk_sandbox.talkdesk.platform import Talkdesk

routes = web.RouteTableDef()
_MINUTE, _DAY = 60, 86400
#: Signing in goes on while a region is down, so that the console stays usable.
_ALL_BUT_SIGN_IN = r"(?!/log(in|out)\b).*"


@dataclass(frozen=True, kw_only=True)
class Jump:
    """A move of the clock that is worth a button."""

    label: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ApiFault:
    """A way in which Talkdesk's own hosts misbehave; ``body`` is the control API's."""

    label: str
    help: str
    body: dict[str, Any]


API_FAULTS = {
    "refuse": ApiFault(
        label="Refuse (503)", help="answers 503 to the next request", body={"status": 503, "times": 1}
    ),
    "too-many": ApiFault(
        label="Too many (429)",
        help="says “too many requests” to the next three, with Retry-After: 2",
        body={"status": 429, "headers": {"Retry-After": "2"}, "times": 3},
    ),
    "slow": ApiFault(
        label="Answer late",
        help="answers the next three requests 3 seconds late",
        body={"delay_seconds": 3, "times": 3},
    ),
    "cut-after": ApiFault(
        label="Lost answer",
        help="takes the app's next approve or reject, and its answer is lost",
        body={"method": "POST", "path": ".*/state", "when": "after", "cut": True, "times": 1},
    ),
}
DELIVERY_FAULTS = {
    "drop": "the next delivery is lost on its way; Talkdesk tries again after 5 minutes",
    "delay": "the next delivery leaves 5 seconds late",
    "duplicate": "the next event is delivered twice",
    "reorder": "the next event arrives after the one that follows it",
    "bad-signature": "the next delivery carries the signature of something else",
}


def jumps(installations: Iterable[Installation], accounts: dict[str, Account], now: datetime) -> list[Jump]:
    """Where the clock may usefully go from ``now``: the round times, and the edges of running trials."""
    found = [
        Jump(label="5 minutes on: the second attempt", seconds=5 * _MINUTE + 1),
        Jump(label="1 hour on", seconds=60 * _MINUTE),
        Jump(label="1 day on", seconds=_DAY),
        Jump(label="Past seven days: no answer counts any more", seconds=7 * _DAY + _MINUTE),
    ]
    for one in installations:
        trial = one.trial
        if trial is None or trial.ended_at is not None or not one.live:
            continue
        name, left = accounts[one.account_id].name, (trial.expires_at - now).total_seconds()
        if left > _DAY:
            found.append(Jump(label=f"{name}: the day before the trial ends", seconds=left - _DAY))
        found.append(Jump(label=f"{name}: past the end of the trial", seconds=max(0.0, left) + _MINUTE))
    return found


@routes.get("/controls", allow_head=False)
async def controls(request: web.Request) -> web.Response:
    """Everything that can be set, and what is in force."""
    talkdesk = console_of(request).talkdesk
    return page(
        request,
        "controls",
        jumps=jumps(talkdesk.installations.values(), talkdesk.accounts, talkdesk.clock.now()),
        api_faults=API_FAULTS,
        delivery_faults=DELIVERY_FAULTS,
        faults=_in_force(talkdesk),
        regions=REGIONS,
        live=[one for one in talkdesk.installations.values() if one.live],
        switches=_switches(talkdesk),
    )


leads_back(routes, "/controls/{form:.+}", "/controls")


@routes.post("/controls/clock")
async def move_clock(request: web.Request) -> web.Response:
    """Move the clock on; answers when everything that fell due has been done."""
    form = await request.post()
    seconds = str(form.get("seconds", ""))
    body = bodies.ClockMove.model_validate({"advance_seconds": seconds})
    await console_of(request).talkdesk.agenda.advance(timedelta(seconds=body.advance_seconds))
    raise on_the_way(request, "/controls#clock")


@routes.post("/controls/api-faults")
async def api_fault(request: web.Request) -> web.Response:
    """Talkdesk's hosts misbehave; ``region`` without ``fault`` takes that region down."""
    form = await request.post()
    talkdesk = console_of(request).talkdesk
    region = str(form.get("region", "")) or None
    name = str(form.get("fault", ""))
    if name == "region-down":
        body = {"region": region, "cut": True, "times": None, "path": _ALL_BUT_SIGN_IN}
    elif name in API_FAULTS:
        body = {"path": _ALL_BUT_SIGN_IN, **API_FAULTS[name].body, "region": region}
    else:
        raise UnknownError(f"no fault {name!r}")
    talkdesk.faults.waiting.append(bodies.NewFault.model_validate(body).to_fault())
    raise on_the_way(request, "/controls#faults")


@routes.post("/controls/delivery-faults")
async def delivery_fault(request: web.Request) -> web.Response:
    """Deliveries misbehave."""
    form = await request.post()
    body = bodies.NewDeliveryFault.model_validate({"kind": form.get("fault", ""), "delay_seconds": 5})
    console_of(request).talkdesk.deliveries.faults.waiting.append(body.to_fault())
    raise on_the_way(request, "/controls#faults")


@routes.post("/controls/faults/clear")
async def clear_faults(request: web.Request) -> web.Response:
    """Everything goes right again."""
    talkdesk = console_of(request).talkdesk
    talkdesk.faults.waiting.clear()
    talkdesk.deliveries.faults.waiting.clear()
    raise on_the_way(request, "/controls#faults")


@routes.post("/controls/installations")
async def staff(request: web.Request) -> web.Response:
    """What Talkdesk's staff, or Talkdesk by itself, does to an installation."""
    form = await request.post()
    talkdesk = console_of(request).talkdesk
    id_, what = str(form.get("installation", "")), str(form.get("what", ""))
    if what == "extend":
        talkdesk.trial(id_, "extend")
    elif what == "end":
        talkdesk.trial(id_, "end")
    elif what in ("rotate", "compromise"):
        talkdesk.rotate(id_, compromise=what == "compromise")
    else:
        raise UnknownError(f"nothing is called {what!r}")
    raise on_the_way(request, f"/timeline?installation={id_}")


@routes.post("/controls/switches")
async def change_switches(request: web.Request) -> web.Response:
    """Change those that are sent."""
    talkdesk = console_of(request).talkdesk
    form = {name: str(value) for name, value in (await request.post()).items()}
    # A form knows texts alone; of the switches with a few values, some are numbers.
    for name, field in Switches.model_fields.items():
        numbers = [one for one in get_args(field.annotation) if isinstance(one, int)]
        if name in form and numbers:
            form |= {name: next((one for one in numbers if str(one) == form[name]), form[name])}  # type: ignore[dict-item]
    talkdesk.switches = talkdesk.switches.changed(dict(form))
    raise on_the_way(request, "/controls#switches")


def _in_force(talkdesk: Talkdesk) -> list[str]:
    told = [
        f"Deliveries: {one.kind}" + (f", {one.times} times" if one.times > 1 else "")
        for one in talkdesk.deliveries.faults.waiting
    ]
    for one in talkdesk.faults.waiting:
        what = "cut off" if one.cut else str(one.status or f"{one.delay_seconds:g} s late")
        where = f"region {one.region}" if one.region else "every region"
        times = "until cleared" if one.times is None else f"{one.times} more"
        told.append(f"Hosts of Talkdesk in {where}: {what}, {times}")
    return told


def _switches(talkdesk: Talkdesk) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "about": field.description or "",
            "value": getattr(talkdesk.switches, name),
            "default": field.default,
            "choices": [one for one in get_args(field.annotation) if isinstance(one, str | int)],
        }
        for name, field in Switches.model_fields.items()
    ]

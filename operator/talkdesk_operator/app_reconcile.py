"""One pass over one TalkdeskApp: is it usable, which field is to blame if not, how far is it rolled out?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from pydantic import ValidationError

from talkdesk_crds.app import TalkdeskApp, TalkdeskAppStatus
from talkdesk_crds.conditions import (
    ACCEPTED,
    APP_CONDITIONS,
    MAIL_TEMPLATES_VALID,
    ROLLED_OUT,
    STEADY,
    Reason,
)
from talkdesk_kube import KubeError, NotFound, Unreadable, parse, resources
from talkdesk_operator.conditions import Verdict, conditions, false, find, true, unknown
from talkdesk_operator.mail import compose
from talkdesk_operator.publish import patch_of
from talkdesk_operator.queue import Outcome
from talkdesk_operator.tenant.review import review

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from talkdesk_crds.meta import Condition
    from talkdesk_kube import Kube, Obj
    from talkdesk_kube.events import EventRecorder
    from talkdesk_operator.app_rollout import RolloutDesk
    from talkdesk_operator.brake import Brake
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.directory import Directory
    from talkdesk_operator.endings import Endings
    from talkdesk_operator.keys import AppKey
    from talkdesk_operator.tenant.review import Review

_log = structlog.get_logger(__name__)

#: While a brake holds, it is looked at again so often.
_LOOK_SECONDS = 30.0


def judge(
    app: TalkdeskApp,
    same_id: Sequence[TalkdeskApp],
    review: Review,
    same_host: Sequence[TalkdeskApp] = (),
) -> Verdict:
    """Whether ``app`` is used. Pure.

    ``same_id`` are all with its app id, ``same_host`` all in use with its launch host, oldest first.
    """
    first = same_id[0] if same_id else app
    if first.metadata.name != app.metadata.name:
        message = f"spec.appId: TalkdeskApp {first.metadata.name} is older, has the same appId and is used"
        return false(Reason.DUPLICATE_APP_ID, message)
    launched = same_host[0] if same_host else app
    if launched.metadata.name != app.metadata.name:
        name = launched.metadata.name
        message = (
            f"spec.launchHost: TalkdeskApp {name} is older and has the same launchHost; users come there"
        )
        return false(Reason.DUPLICATE_LAUNCH_HOST, message)
    if review.problems:
        return false(Reason.TEMPLATE_INVALID, "; ".join(str(problem) for problem in review.problems))
    # Nobody can be given such a plan, and everybody else is served.
    return true(Reason.APP_ACCEPTED, "; ".join(str(misfit) for misfit in review.misfits))


def steady(brakes: Mapping[str, Brake]) -> Verdict:
    """Whether a brake holds, in words for people. Pure."""
    held = [
        f"region {region}: Talkdesk's API says of {one.ending} of {one.customers} customers that they "
        f"are none any more (limit {one.limit}); {one.waiting} keep their access"
        for region, one in sorted(brakes.items())
        if one.holds
    ]
    if not held:
        return true(Reason.NOTHING_HELD, "customers come and go one by one")
    return false(Reason.BRAKE_HOLDS, "; ".join(held))


def mail_templates(app: TalkdeskApp) -> Verdict:
    """Whether the app's own mails can be written as it declares them. Pure."""
    problems = compose.problems(app)
    if problems:
        found = "; ".join(str(problem) for problem in problems)
        return false(Reason.MAIL_TEMPLATE_INVALID, f"{found} (the default is sent meanwhile)")
    return true(Reason.MAIL_TEMPLATES_ACCEPTED, "")


class AppReconciler:
    """Judges TalkdeskApps, rolls them out, and writes their status."""

    def __init__(
        self,
        *,
        kube: Kube,
        caches: Caches,
        directory: Directory,
        desk: RolloutDesk,
        recorder: EventRecorder,
        namespace: str,
        endings: Endings,
        clock: Callable[[], datetime],
    ) -> None:
        self._kube = kube
        self._caches = caches
        self._directory = directory
        self._desk = desk
        self._recorder = recorder
        self._namespace = namespace
        self._endings = endings
        self._clock = clock
        self._reviewed: dict[str, tuple[object, Review]] = {}

    async def reconcile(self, key: AppKey) -> Outcome:
        """Judge one TalkdeskApp, take its roll-out a step further, and say both in its status."""
        stored = self._caches.apps.view.get(self._namespace, key.name)
        try:
            if stored is None:
                self._reviewed.pop(key.name, None)
                await self._gone(key)
                return Outcome()
            try:
                app = parse(TalkdeskApp, stored)
            except Unreadable as problem:
                return await self._unreadable(stored, problem)
            return await self._known(stored, app)
        except NotFound:
            return Outcome()
        except KubeError as error:
            _log.warning("a pass over a TalkdeskApp ended early", app=key.name, error=str(error))
            return Outcome(after=error.retry_after, failed=True)

    async def _known(self, stored: Obj, app: TalkdeskApp) -> Outcome:
        verdicts = {
            ACCEPTED: judge(
                app,
                self._directory.apps(app.spec.app_id),
                self._review(app),
                self._directory.launched_at(app.spec.launch_host),
            ),
            STEADY: steady(self._endings.brakes(app)),
            MAIL_TEMPLATES_VALID: mail_templates(app),
        }
        new, after = app.status, None
        failure: KubeError | None = None
        if verdicts[ACCEPTED].status != "True":
            verdicts[ROLLED_OUT] = unknown(
                Reason.NOT_CHECKED, "the app is not accepted: every tenant keeps the revision it has"
            )
        else:
            try:
                plan = await self._desk.step(app)
            except KubeError as error:
                failure = error  # what was found out is said all the same
            else:
                verdicts[ROLLED_OUT], after = plan.verdict, plan.look_in
                new = new.model_copy(update={"revision": plan.settled, "rollout": plan.progress})
        await self._store(stored, app.status, self._status(stored, new, verdicts))
        if failure is not None:
            raise failure
        if verdicts[STEADY].status != "True":
            after = min(after, _LOOK_SECONDS) if after is not None else _LOOK_SECONDS
        return Outcome(after=after)

    async def _unreadable(self, stored: Obj, problem: Unreadable) -> Outcome:
        """What the model refuses is not parsed: its status is looked at alone, and kept if it can be read."""
        verdicts = {ACCEPTED: false(Reason.UNREADABLE, str(problem))}
        try:
            old = TalkdeskAppStatus.model_validate(stored.get("status") or {})
        except ValidationError:
            old = TalkdeskAppStatus()
        await self._store(stored, old, self._status(stored, old, verdicts))
        return Outcome()

    async def _gone(self, key: AppKey) -> None:
        """The app was deleted: of its revisions those stay that a tenant names."""
        for app_id in self._directory.app_ids_of(key.name):
            if self._directory.app(app_id) is None:
                await self._desk.leave(app_id)

    def _status(
        self, stored: Obj, base: TalkdeskAppStatus, verdicts: dict[str, Verdict]
    ) -> TalkdeskAppStatus:
        generation = stored["metadata"].get("generation")
        found = conditions(
            base.conditions, verdicts, wanted=APP_CONDITIONS, generation=generation, now=self._clock()
        )
        return base.model_copy(update={"observed_generation": generation, "conditions": found})

    def _review(self, app: TalkdeskApp) -> Review:
        """As last found: every plan is rendered for it, and passes are many."""
        about = (app.metadata.uid, app.metadata.generation)
        known = self._reviewed.get(app.metadata.name)
        if known is None or known[0] != about:
            known = self._reviewed[app.metadata.name] = (about, review(app))
        return known[1]

    async def _store(self, stored: Obj, old: TalkdeskAppStatus, new: TalkdeskAppStatus) -> None:
        patch = patch_of(old.to_json(), new.to_json())
        if not patch:
            return
        answer = await self._kube.merge_patch(
            resources.APPS,
            stored["metadata"]["name"],
            {"status": patch},
            namespace=self._namespace,
            subresource="status",
        )
        answer["metadata"].pop("managedFields", None)
        self._caches.apps.view.remember(answer)
        self._tell(stored, old.conditions, new.conditions)

    def _tell(self, stored: Obj, before: Sequence[Condition], now: Sequence[Condition]) -> None:
        known = {(one.type, one.status, one.reason) for one in before}
        for condition in now:
            if (condition.type, condition.status, condition.reason) in known:
                continue
            if condition.reason == Reason.NOT_CHECKED:
                continue
            if condition.reason in _AS_EVER and find(before, condition.type) is None:
                continue
            good = condition.status == "True" or condition.reason == Reason.ROLLING_OUT
            note = condition.message or _NOTES.get(condition.type, condition.reason)
            self._recorder.event(
                stored, "Normal" if good else "Warning", condition.reason, note, condition.type
            )


#: No news where nothing was known before.
_AS_EVER = frozenset({Reason.NOTHING_HELD, Reason.MAIL_TEMPLATES_ACCEPTED})

#: What an Event says where the condition has nothing to add.
_NOTES = {
    ACCEPTED: "the app is used",
    ROLLED_OUT: "every tenant has the newest revision",
    MAIL_TEMPLATES_VALID: "the app's own mails can be sent",
}

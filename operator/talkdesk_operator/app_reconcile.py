"""One pass over one TalkdeskApp: is it usable, and if not, which field is to blame?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from talkdesk_crds.app import TalkdeskApp, TalkdeskAppStatus
from talkdesk_crds.conditions import ACCEPTED, Reason
from talkdesk_kube import KubeError, NotFound, Unreadable, parse, resources
from talkdesk_operator.conditions import Verdict, conditions, false, true
from talkdesk_operator.publish import patch_of
from talkdesk_operator.queue import Outcome
from talkdesk_operator.tenant.review import problems_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from talkdesk_crds.meta import Condition
    from talkdesk_kube import Kube, Obj
    from talkdesk_kube.events import EventRecorder
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.directory import Directory
    from talkdesk_operator.keys import AppKey

_log = structlog.get_logger(__name__)


def judge(app: TalkdeskApp, same_id: Sequence[TalkdeskApp]) -> Verdict:
    """Whether ``app`` is used; ``same_id`` are all with its app id, oldest first. Pure."""
    first = same_id[0] if same_id else app
    if first.metadata.name != app.metadata.name:
        message = f"spec.appId: TalkdeskApp {first.metadata.name} is older, has the same appId and is used"
        return false(Reason.DUPLICATE_APP_ID, message)
    problems = problems_of(app)
    if problems:
        return false(Reason.TEMPLATE_INVALID, "; ".join(str(problem) for problem in problems))
    return true(Reason.APP_ACCEPTED)


class AppReconciler:
    """Writes the status of TalkdeskApps."""

    def __init__(
        self,
        *,
        kube: Kube,
        caches: Caches,
        directory: Directory,
        recorder: EventRecorder,
        namespace: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._kube = kube
        self._caches = caches
        self._directory = directory
        self._recorder = recorder
        self._namespace = namespace
        self._clock = clock

    async def reconcile(self, key: AppKey) -> Outcome:
        """Judge one TalkdeskApp and say so in its status."""
        stored = self._caches.apps.view.get(self._namespace, key.name)
        if stored is None:
            return Outcome()
        try:
            app = parse(TalkdeskApp, stored)
        except Unreadable as problem:
            verdict, old = false(Reason.UNREADABLE, str(problem)), TalkdeskAppStatus()
        else:
            verdict, old = judge(app, self._directory.apps(app.spec.app_id)), app.status
        generation = stored["metadata"].get("generation")
        new = TalkdeskAppStatus(
            observed_generation=generation,
            conditions=conditions(
                old.conditions,
                {ACCEPTED: verdict},
                wanted=[ACCEPTED],
                generation=generation,
                now=self._clock(),
            ),
        )
        try:
            await self._store(stored, old, new)
        except NotFound:
            return Outcome()
        except KubeError as error:
            _log.warning("the status of a TalkdeskApp could not be written", app=key.name, error=str(error))
            return Outcome(after=error.retry_after, failed=True)
        return Outcome()

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
        self._tell(stored, old.conditions, new.conditions[0])

    def _tell(self, stored: Obj, before: Sequence[Condition], now: Condition) -> None:
        if any((one.status, one.reason) == (now.status, now.reason) for one in before):
            return
        note = now.message or "the app is used"
        self._recorder.event(
            stored, "Normal" if now.status == "True" else "Warning", now.reason, note, now.type
        )

"""The app's sample-data Job: run once in each new tenant, after its workload is ready.

Its name hangs on what the app declares and on the installation, not on what the references stand for: an
account that is renamed meanwhile gets no second Job, while a corrected declaration, or a customer who tries
again, gets a new one. Once one has succeeded there is never another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_operator.owned import digest_of
from talkdesk_operator.render import RenderError
from talkdesk_operator.tenant.adapt import TTL, adapt
from talkdesk_operator.tenant.making import Once
from talkdesk_operator.tenant.placement import unsuitable
from talkdesk_operator.tenant.template import rendered_for

if TYPE_CHECKING:
    from talkdesk_operator.tenant.making import Making

PATH = "spec.sampleData"
_NAME_LENGTH = 50


def sample_data(made: Making) -> list[Once]:
    """The Job, if the app has one. RenderError with the path of what is wrong.

    As every Job it has no ``ttlSecondsAfterFinished``, until its success was seen: it might be gone unseen.
    """
    declared = made.blueprint.sample_data
    if declared is None:
        return []
    source = declared.to_json()
    job = rendered_for(made, source, PATH)
    if problems := unsuitable(job, PATH):
        raise RenderError(tuple(problems))
    digest = digest_of([source, made.facts.installation_id])[:10]
    job["metadata"]["name"] = f"{job['metadata']['name'][:_NAME_LENGTH].rstrip('-')}-{digest}"
    job["spec"] = job.get("spec") or {}
    seconds = job["spec"].get(TTL)
    return [Once(obj=adapt(job, made), keep_seconds=seconds if isinstance(seconds, int) else None)]

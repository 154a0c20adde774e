"""What the icon of an installed app opens."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from talkdesk_sandbox.talkdesk.platform import UnknownError

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.platform import Talkdesk


def launch_url(talkdesk: Talkdesk, *, installation_id: str, user_id: str) -> str:
    """The launch URL of the installed version, with the two parameters that Talkdesk adds.

    Any user of the account: who is not licensed may still have the link. Raises :class:`UnknownError`.
    """
    installation, user = talkdesk.installation(installation_id), talkdesk.user(user_id)
    if user.account_id != installation.account_id:
        raise UnknownError(f"user {user_id} does not belong to the account of installation {installation_id}")
    urls = talkdesk.app(installation.app_id).urls(installation.version.id)
    parts = urlsplit(urls.launch_url)
    added = urlencode({"talkdesk_installation_id": installation_id, "talkdesk_user_id": user_id})
    return parts._replace(query="&".join(filter(None, (parts.query, added)))).geturl()

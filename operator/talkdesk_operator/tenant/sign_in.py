"""How the users of a tenant are sent to Talkdesk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds.blueprint import SignIn

if TYPE_CHECKING:
    from talkdesk_operator.tenant.making import Making

_SCOPES = ["openid"]


def sign_in(made: Making) -> SignIn:
    """What the app version says; without a word, the launch host's own callback, and the scope ``openid``.

    Without a launch host there is nowhere to come back to: ``redirect_uri`` is then None. Pure.
    """
    said, host = made.blueprint.sign_in, made.app.spec.launch_host
    default = f"{made.tenant.release.url(host)}/_td/callback" if host is not None else None
    return SignIn(redirect_uri=said.redirect_uri or default, scopes=said.scopes or _SCOPES)

"""What Talkdesk does not document, each as a switch.

The defaults are the likeliest readings. A product that works with each of them either way does not
depend on a guess. Switches may be changed while the stand-in runs; they act on what happens next.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

KeyAlgorithm = Literal["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"]
Curve = Literal["p256", "p384", "p521", "secp256k1"]


class Switches(BaseModel):
    """Every switch with its default; an unknown name or value is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Signatures of deliveries
    signature_encoding: Annotated[
        Literal["der", "raw"],
        Field(description="Signature as DER, or as r and s side by side; always in hex."),
    ] = "der"
    signature_hash: Annotated[
        Literal["sha512", "sha384", "sha256"], Field(description="Digest of the body that is signed.")
    ] = "sha512"
    signature_curve: Annotated[Curve, Field(description="Curve of new signing keys.")] = "p256"
    key_encoding: Annotated[
        Literal["spki", "point", "pem"],
        Field(description="public_key of a signing key: Base64 of SPKI, of the bare point, or PEM text."),
    ] = "spki"
    key_gateways: Annotated[
        Literal["all", "own"],
        Field(description="A signing key is served by every gateway, or only by its account's region."),
    ] = "all"
    key_expiry: Annotated[
        Literal["present", "absent"], Field(description="Whether a signing key shows its expires_at.")
    ] = "present"
    signing_key_seconds: Annotated[
        float, Field(gt=0, description="Life of a signing key; a new one signs from four fifths of it on.")
    ] = 90 * 86400.0

    # Deliveries
    retry_second: Annotated[
        Literal["after-second", "after-first"],
        Field(description="The third attempt is 10 minutes after the second one (T+15) or the first."),
    ] = "after-second"
    delivery_timeout_seconds: Annotated[float, Field(gt=0, description="Wall time one attempt may take.")] = (
        10.0
    )

    # Event bodies
    event_id_field: Annotated[
        Literal["id", "event_id", "both"], Field(description="Where the envelope carries the event's id.")
    ] = "id"
    event_time: Annotated[
        Literal["z", "offset"],
        Field(description="created_at as 2016-06-14T16:23:07Z or as 2017-08-18T10:29:52.000+00:00."),
    ] = "z"
    self_link: Annotated[
        Literal["same", "other"], Field(description="Whether _links.self ends in the event's own id.")
    ] = "same"
    token_link: Annotated[
        Literal["tokens", "token", "token_url", "absent"],
        Field(description="Name of the link to the token endpoint in app.installed."),
    ] = "tokens"  # noqa: S105 - a link's name
    licenses: Annotated[
        Literal["string", "int"], Field(description="Type of subscription.adding.licenses in app.updated.")
    ] = "string"
    unchanged_keys: Annotated[
        Literal["absent", "empty"], Field(description="What app.updated shows for what did not change.")
    ] = "absent"
    credential_key: Annotated[
        Literal["base64", "wrapped", "pem"],
        Field(
            description="Keys of an installation: Base64 in one line, wrapped at 64 columns, or with armour."
        ),
    ] = "base64"
    key_algorithm: Annotated[KeyAlgorithm, Field(description="key_algorithm of new credentials.")] = "ES256"

    # The life of an installation
    repeated_answer: Annotated[
        Literal[200, 409], Field(description="Answer to the same state (or acknowledgement) sent again.")
    ] = 200
    contrary_answer: Annotated[
        Literal[409, 422], Field(description="Answer to a contrary state, or where nothing is pending.")
    ] = 409
    update_shows: Annotated[
        Literal["new", "old"],
        Field(description="Users and subscription listed while an update waits for its answer."),
    ] = "new"
    after_uninstall: Annotated[
        Literal["uninstalled", "revoked", "gone"],
        Field(description="State after an uninstall is settled; gone: 404 from then on."),
    ] = "uninstalled"
    rejected_uninstall: Annotated[
        Literal["settled", "restored"],
        Field(description="Rejecting an uninstall settles it all the same, or brings the installation back."),
    ] = "settled"
    unanswered_uninstall: Annotated[
        Literal["settled", "timeout"],
        Field(
            description="An uninstall that nobody answers is settled after seven days as if it were "
            "approved, or reads timeout and keeps its credentials."
        ),
    ] = "settled"
    rejected_install: Annotated[
        Literal["kept", "revoked"], Field(description="Credentials after a rejected or unanswered install.")
    ] = "kept"
    after_trial: Annotated[
        Literal["suspended", "completed"], Field(description="State once a trial has expired.")
    ] = "suspended"
    upgrade_ends_trial: Annotated[
        Literal["at-approval", "at-update"],
        Field(description="When an upgrade to a paid plan ends the trial."),
    ] = "at-approval"
    overlap: Annotated[
        Literal["refuse", "replace"],
        Field(description="A new request while one is pending is refused, or takes the pending one's place."),
    ] = "refuse"

    # OAuth
    audience: Annotated[
        Literal["full-url", "host", "either"],
        Field(description="aud of an assertion: the token URL, https://host without a path, or either."),
    ] = "full-url"
    assertion_leeway_seconds: Annotated[float, Field(ge=0, description="Leeway for iat and exp.")] = 30.0
    basic: Annotated[
        Literal["allowed", "refused"], Field(description="Whether client_secret is accepted beside the key.")
    ] = "allowed"
    token_seconds: Annotated[int, Field(gt=0, description="Life of an access token.")] = 600
    token_form: Annotated[Literal["jwt", "opaque"], Field(description="Form of an access token.")] = "jwt"  # noqa: S105 - a format's name
    code_seconds: Annotated[float, Field(gt=0, description="Life of an authorization code.")] = 60.0
    userinfo_id: Annotated[
        Literal["both", "sub"], Field(description="Whether userinfo has id beside sub, or sub alone.")
    ] = "both"
    logout_events: Annotated[
        Literal["sent", "off"],
        Field(
            description="user.logout when a user signs out in the browser; Talkdesk's support turns it on."
        ),
    ] = "sent"
    scope_delay_seconds: Annotated[
        float, Field(ge=0, description="Token requests get 401 for so long after an install.")
    ] = 0.0
    revoked_tokens: Annotated[
        Literal["refused", "until-expiry"],
        Field(
            description="Access tokens of revoked credentials: refused at once, or good until they expire."
        ),
    ] = "refused"

    # Apps API
    page_size: Annotated[int, Field(ge=1, le=100, description="per_page where the request names none.")] = 20
    no_trial: Annotated[
        Literal["not-found", "empty"], Field(description="GET trial without a trial: 404, or 200 with {}.")
    ] = "not-found"
    state_answer: Annotated[
        Literal["resource", "answer"],
        Field(
            description="state in the reply to POST state: the installation's, or the approve/reject sent."
        ),
    ] = "resource"
    ack_state: Annotated[
        Literal["string", "object"], Field(description="Type of state in the reply to an acknowledgement.")
    ] = "string"
    installation_errors: Annotated[
        Literal["error", "common"],
        Field(description="Error shape of the installation and its users: {error} or {code, message}."),
    ] = "error"
    rotate_answer: Annotated[Literal[202, 200], Field(description="Success code of actions/rotate.")] = 202

    def changed(self, changes: dict[str, Any]) -> Switches:
        """These switches with ``changes`` applied. Raises pydantic's ValidationError."""
        return Switches.model_validate({**self.model_dump(), **changes})


def parse_switch(text: str) -> tuple[str, Any]:
    """``NAME=VALUE`` of the command line; a number is a number. Raises ValueError without a ``=``."""
    name, separator, value = text.partition("=")
    if not separator:
        raise ValueError(f"switch {text!r}: expected NAME=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value

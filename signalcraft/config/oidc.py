"""The settings of single sign-on."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import field

from signalcraft.config.secret import Secret
from signalcraft.config.section import Section, says


class Oidc(Section, frozen=True):
    """Single sign-on by OpenID Connect. Off while `issuer` is empty. docs/how-to/sign-in-with-oidc.md tells how."""

    issuer: Annotated[
        str,
        says(
            "The identity provider's issuer, letter by letter as its discovery document says it. Inside your own "
            "network it must be named in outbound.allow too.",
            form="issuer",
        ),
    ] = ""
    client_id: Annotated[str, says("The client id that the provider gave to this SignalCraft.")] = ""
    client_secret: Annotated[
        Secret,
        says(
            "The client's secret; empty for a public client. Better kept out of this file: `client_secret_file`, "
            "$SIGNALCRAFT_OIDC__CLIENT_SECRET_FILE or the systemd credential `signalcraft-oidc-client-secret`.",
            credential="signalcraft-oidc-client-secret",
        ),
    ] = field(default_factory=Secret)
    label: Annotated[str, says("What the button on the sign-in page says.")] = "Single sign-on"
    scopes: Annotated[list[str], says("What is asked of the provider; `openid` is always among it.")] = field(
        default_factory=lambda: ["openid", "email", "profile"]
    )
    allowed_domains: Annotated[
        list[str],
        says(
            "Domains of e-mail addresses that may sign in this way; who is not here yet gets an account at once. "
            "Empty: only people who have an account already.",
            form="domain",
        ),
    ] = field(default_factory=list)
    email_verified_claim: Annotated[
        str, says("The claim by which the provider says that it has verified the address; without it nobody gets in.")
    ] = "email_verified"
    default_role: Annotated[
        Literal["none", "viewer", "member", "admin"],
        says("What somebody becomes to whom `roles` gives nothing; none: they are refused."),
    ] = "viewer"
    role_claim: Annotated[
        str,
        says(
            "The claim that holds somebody's groups. Set, it decides at every sign-in what they are, owners excepted. "
            "Empty: roles are given here."
        ),
    ] = ""
    roles: Annotated[
        list[str],
        says("Which group is which role, as `GROUP=ROLE`; of several the most powerful counts.", form="granted"),
    ] = field(default_factory=list)

"""The settings of the door: addresses, TLS, proxies, other sites, and what one connection may cost."""

from __future__ import annotations

from typing import Annotated

from msgspec import field

from signalcraft.config.section import Section, says


class Http(Section, frozen=True):
    """The door that people and senders come through."""

    listen: Annotated[
        str, says("Address and port to listen on. Off loopback it belongs behind TLS.", form="listen")
    ] = "127.0.0.1:8080"
    public_url: Annotated[
        str,
        says(
            "How people reach this box from outside, used in links in messages and in webhook addresses. "
            "Empty: messages carry no links to the dashboard, and no acknowledge links.",
            form="public_url",
        ),
    ] = ""
    body_bytes_max: Annotated[
        int, says("Largest request body taken, in bytes; a larger one is answered 413.", ge=1024, le=268_435_456)
    ] = 5_242_880
    request_seconds: Annotated[
        float, says("Time for a request's body to arrive, in seconds; a slower one is answered 408.", gt=0, le=300)
    ] = 10.0
    trusted_proxies: Annotated[
        list[str],
        says(
            "Addresses or networks of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.",
            form="network",
        ),
    ] = field(default_factory=list)
    redirect_listen: Annotated[
        str,
        says(
            "Address and port on which plain HTTP is answered with a redirect (308) to HTTPS; only beside a "
            'certificate. Empty: none. For example "0.0.0.0:80".',
            form="listen_or_none",
        ),
    ] = ""
    acme_webroot: Annotated[
        str,
        says(
            "A folder that an ACME client (certbot, lego: `--webroot`) writes its answers to a certificate authority "
            "in; `redirect_listen` serves what lies in its .well-known/acme-challenge. Empty: none. For example "
            '"/var/www/signalcraft".',
            form="directory",
        ),
    ] = ""
    tls_certificate: Annotated[
        str,
        says(
            "A file with the certificate and the ones between it and its authority (PEM). With it `listen` speaks "
            "HTTPS alone. Read again on SIGHUP.",
            form="readable_file",
        ),
    ] = ""
    tls_key: Annotated[
        str,
        says("The file with the certificate's private key (PEM, without a password).", form="readable_file"),
    ] = ""
    hsts_seconds: Annotated[
        int,
        says(
            "Seconds for which browsers that came by HTTPS refuse to come by plain HTTP (Strict-Transport-Security); "
            "0: not said. Never said over plain HTTP.",
            ge=0,
        ),
    ] = 31_536_000
    cors_origins: Annotated[
        list[str],
        says(
            "Other sites whose pages may ask this API from a browser, for example "
            '"https://status.example.com"; "*": any, with API keys alone. Empty: none.',
            form="origin",
        ),
    ] = field(default_factory=list)
    cors_credentials: Annotated[
        bool,
        says("Lets the pages of `cors_origins` act with the cookies of whoever looks at them. Not together with *."),
    ] = False
    connections_max: Annotated[
        int, says("Connections open at once; further ones wait to be taken.", ge=16, le=100_000)
    ] = 2000
    connections_per_address_max: Annotated[
        int,
        says(
            "Connections open at once from one address; above it those that were silent for longest are cut. "
            "`trusted_proxies` are exempt. 0: no limit.",
            ge=0,
        ),
    ] = 500
    header_seconds: Annotated[
        float,
        says(
            "Time for a request's headers to arrive, in seconds; an open connection without a request is closed after "
            "the same time.",
            ge=0.1,
            le=300,
        ),
    ] = 30.0
    send_seconds: Annotated[
        float,
        says(
            "A connection that takes less than 1 KB a second of what waits for it, for so many seconds, is cut.",
            ge=1,
            le=600,
        ),
    ] = 30.0
    headers_max: Annotated[int, says("Header lines of one request; more are answered 431.", ge=20, le=100)] = 80
    header_bytes_max: Annotated[
        int, says("Bytes of all header lines of one request; more are answered 431.", ge=4096, le=65_536)
    ] = 32_768
    json_depth_max: Annotated[
        int, says("Levels of lists and objects in a JSON body of the API; deeper ones are answered 400.", ge=16, le=400)
    ] = 64

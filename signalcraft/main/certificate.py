"""The certificate that this program speaks HTTPS with: whether it can be used, and what a person should know of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from signalcraft.config import Settings
from signalcraft.errors import BadSetting

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_DAY_MS = 86_400_000
SOON_DAYS = 21
"""Before its end by so much, a certificate that renews itself would have been renewed; a short-lived one with a
quarter of its life left."""
_FILE_MAX = 1 << 20
_RSA_BITS = range(2048, 4097)
_CURVES = ("secp256r1", "secp384r1")


class Certificate(Struct, frozen=True):
    """What stands in it. `names`: host names and addresses it is for, in lower case."""

    names: tuple[str, ...]
    from_ms: int
    until_ms: int

    def warnings(self, public_url: str, now_ms: int) -> list[str]:
        """What is wrong with it that browsers and senders will say before we hear of it."""
        found = []
        if now_ms >= self.until_ms:
            found.append("the certificate has expired: nobody who checks it can reach this box; renew it, then SIGHUP")
        elif now_ms < self.from_ms:
            found.append("the certificate is not valid yet: look at its dates and at this box's clock")
        elif self.until_ms - now_ms < min(SOON_DAYS * _DAY_MS, (self.until_ms - self.from_ms) // 4):
            days = (self.until_ms - now_ms) // _DAY_MS
            found.append(f"the certificate ends in {days} days: renew it, then send SIGHUP")
        host = (urlsplit(public_url).hostname or "").lower()
        if host and not self._is_for(host):
            named = ", ".join(self.names[:3]) or "nobody"
            found.append(f"the certificate is for {named}, not for {host} of http.public_url")
        return found

    def _is_for(self, host: str) -> bool:
        parent = host.partition(".")[2]
        return host in self.names or bool(parent and f"*.{parent}" in self.names)


def read(settings: Settings) -> Certificate | None:
    """The certificate of the settings, None where they name none.

    Raises BadSetting in one sentence: not PEM, a key with a password, a key of another certificate, a key that
    everybody on this box can read, a kind of key that the server cannot serve.
    """
    http = settings.http
    if not http.tls_certificate:
        return None
    # Loaded where it is used: a box behind a proxy starts sooner and smaller.
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        found = x509.load_pem_x509_certificates(_bytes(http.tls_certificate, "http.tls_certificate"))[0]
    except (ValueError, IndexError):
        raise BadSetting(
            f"{http.tls_certificate} holds no certificate in PEM (-----BEGIN CERTIFICATE-----)",
            path="http.tls_certificate",
        ) from None
    raw = _bytes(http.tls_key, "http.tls_key")
    mode = os.stat(http.tls_key).st_mode
    if mode & 0o007:
        raise BadSetting(
            f"{http.tls_key} can be read by everybody on this box (mode {mode & 0o777:04o}): chmod 0640 it, or 0600",
            path="http.tls_key",
        )
    try:
        key = serialization.load_pem_private_key(raw, None)
    except TypeError:
        raise BadSetting(
            f"{http.tls_key} is locked with a password: nobody is there to type it; store it without one",
            path="http.tls_key",
        ) from None
    except Exception:
        raise BadSetting(
            f"{http.tls_key} holds no private key in PEM (-----BEGIN PRIVATE KEY-----)", path="http.tls_key"
        ) from None
    if not _is_served(key):
        raise BadSetting(
            f"{http.tls_key} is of a kind that cannot be served: RSA of 2048 to 4096 bits, ECDSA on P-256 or P-384, "
            "or Ed25519 is",
            path="http.tls_key",
        )
    plain = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if found.public_key().public_bytes(*plain) != key.public_key().public_bytes(*plain):
        raise BadSetting(
            f"{http.tls_key} is not the key of {http.tls_certificate}: they must be of one pair, and the box's own "
            "certificate must stand first in its file",
            path="http.tls_key",
        )
    from_s, until_s = found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp()
    return Certificate(_names(found), round(from_s * 1000), round(until_s * 1000))


def _is_served(key: PrivateKeyTypes) -> bool:
    """Whether the server can sign with it: given any other key, it ends the whole process."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, rsa.RSAPrivateKey):
        return key.key_size in _RSA_BITS
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.curve.name in _CURVES
    return isinstance(key, ed25519.Ed25519PrivateKey)


def _bytes(file: str, path: str) -> bytes:
    try:
        with Path(file).open("rb") as opened:
            return opened.read(_FILE_MAX)
    except OSError as problem:
        raise BadSetting(f"{file} cannot be read: {problem.strerror}", path=path) from None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509

    try:
        said = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    names = said.get_values_for_type(x509.DNSName) + [str(a) for a in said.get_values_for_type(x509.IPAddress)]
    return tuple(name.lower() for name in names)

"""What a text setting may look like: a form gives the text back clean, or raises ValueError with what is allowed."""

from __future__ import annotations

import ipaddress
import os
import re
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}$)(\*\.)?({_LABEL}\.)*{_LABEL}\.?", re.IGNORECASE)


def listen(text: str) -> str:
    """`HOST:PORT`, as it stands. Port 0 lets the system choose."""
    allowed = 'HOST:PORT, for example "127.0.0.1:8080", "0.0.0.0:8080" or "[::1]:8080"'
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(allowed)
    if host.startswith("["):
        _address(host[1:-1] if host.endswith("]") else "", allowed)
    elif ":" in host or not _HOST.fullmatch(host):
        raise ValueError(allowed)
    return text


def listen_or_none(text: str) -> str:
    """The same, or nothing."""
    return listen(text) if text else ""


def origin(text: str) -> str:
    """Scheme, host and port of a site, in lower case, as browsers say it; or `*`."""
    allowed = 'the origin of a site, for example "https://status.example.com", or "*"'
    plain = text.strip().lower()
    if plain == "*":
        return plain
    try:
        parts = urlsplit(_web_address(plain))
        port = parts.port
    except ValueError:
        raise ValueError(allowed) from None
    if parts.path or "*" in plain or not plain.isascii():
        raise ValueError(allowed)
    # Browsers leave the usual port out.
    usual = port == {"http": 80, "https": 443}[parts.scheme]
    return plain.rstrip("/").removesuffix(f":{port}") if usual else plain.rstrip("/")


def split_listen(text: str) -> tuple[str, int]:
    """Host and port of a clean `listen` text; an IPv6 host without its brackets."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _address(text: str, allowed: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(allowed) from None


def _web_address(text: str) -> str:
    allowed = 'an address that starts with http:// or https://, without user name, "?" or "#"'
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        raise ValueError(allowed) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError(allowed)
    if parts.query or parts.fragment or any(c.isspace() or c in '"<>\\' for c in text):
        raise ValueError(allowed)
    return text.rstrip("/")


def public_url(text: str) -> str:
    """A web address without its last slash, or nothing."""
    return _web_address(text) if text else ""


def api_url(text: str) -> str:
    """A web address that ends with one slash, so that method names can be put behind it."""
    return _web_address(text) + "/"


def issuer(text: str) -> str:
    """An identity provider's issuer exactly as it stands (it is compared letter by letter), or nothing."""
    if not text:
        return ""
    _web_address(text)
    host = urlsplit(text).hostname or ""
    if text.startswith("http:") and not (host == "localhost" or host == "::1" or host.startswith("127.")):
        raise ValueError("an https:// address; http:// on loopback alone: tokens are read on the way else")
    return text


def domain(text: str) -> str:
    """The part of an e-mail address behind the @, in lower case."""
    name = text.strip().lower()
    if name.startswith("*") or not _HOST.fullmatch(name):
        raise ValueError('the part of e-mail addresses behind the @, for example "example.com"')
    return name


def granted(text: str) -> str:
    """`VALUE=ROLE`: who has the value has the role."""
    value, equals, role = text.rpartition("=")
    if not equals or not value.strip() or role.strip() not in ("admin", "member", "viewer"):
        raise ValueError('VALUE=ROLE, the role being admin, member or viewer, for example "sre=admin"')
    return f"{value.strip()}={role.strip()}"


def network(text: str) -> str:
    """An address or a network in CIDR."""
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        raise ValueError('addresses or networks, for example "10.0.0.5" or "10.0.0.0/8"') from None


def target(text: str) -> str:
    """An address, a network in CIDR, or a host name (`*.` in front takes in every name below)."""
    try:
        return network(text)
    except ValueError:
        if _HOST.fullmatch(text.strip()) and not re.fullmatch(r"[\d./]+", text.strip()):
            return text.strip().lower().rstrip(".")
        raise ValueError('addresses, networks or host names, for example "10.0.0.0/8" or "jira.internal"') from None


def timezone(text: str) -> str:
    """An IANA zone name that this box knows."""
    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError('the name of a time zone, for example "UTC" or "Europe/Berlin"') from None
    return text


def readable_file(text: str) -> str:
    """The path of a file that can be read, or nothing."""
    if text and not (os.path.isfile(text) and os.access(text, os.R_OK)):
        raise ValueError("the path of a file that can be read")
    return text


def directory(text: str) -> str:
    """The path of a directory, or nothing; `~` is the home directory. It need not exist yet."""
    if "\0" in text:
        raise ValueError("the path of a directory")
    path = os.path.expanduser(text)
    if path and os.path.exists(path) and not os.path.isdir(path):
        raise ValueError("the path of a directory (a file stands there)")
    return os.path.abspath(path) if path else ""


def replica_url(text: str) -> str:
    """Where a replica is kept, without its last slash, or nothing."""
    if not text:
        return ""
    allowed = (
        "an address without a password: file:///absolute/path, s3://bucket/prefix?endpoint=…&region=… "
        "or sftp://user@host/absolute/path"
    )
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        raise ValueError(allowed) from None
    plain = not parts.password and not parts.fragment and parts.path.isprintable() and ".." not in parts.path.split("/")
    rooted = parts.path.strip("/") != ""
    fits = {
        "file": not parts.netloc and not parts.query and rooted,
        "s3": bool(parts.netloc) and "@" not in parts.netloc,
        "sftp": bool(parts.hostname) and bool(parts.username) and not parts.query and rooted,
    }
    if not plain or not fits.get(parts.scheme):
        raise ValueError(allowed)
    return parts._replace(path=parts.path.rstrip("/")).geturl()


def clock(text: str) -> str:
    """A time of the day: `02:00`."""
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text.strip()):
        raise ValueError('a time of the day, HH:MM, for example "02:00"')
    return text.strip()


def time_of_day(text: str) -> str:
    """HH:MM, from 00:00 to 23:59."""
    if re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text) is None:
        raise ValueError("a time of day as HH:MM, for example 08:00")
    return text


FORMS: Final[Mapping[str, Callable[[str], str]]] = {
    "listen": listen,
    "listen_or_none": listen_or_none,
    "origin": origin,
    "public_url": public_url,
    "api_url": api_url,
    "issuer": issuer,
    "domain": domain,
    "granted": granted,
    "network": network,
    "target": target,
    "timezone": timezone,
    "clock": clock,
    "readable_file": readable_file,
    "directory": directory,
    "time_of_day": time_of_day,
    "replica_url": replica_url,
}
"""The forms under the names that `Meta(extra={"form": …})` uses. On a list they judge each item."""

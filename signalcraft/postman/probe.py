"""A look at an address without saying anything to it: has the name an address, does somebody listen, what certificate.

And whether an address of this box could be listened on.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from typing import Final

from msgspec import Struct

from signalcraft.domain.addresses import Allowed
from signalcraft.postman.names import Resolve, resolve
from signalcraft.postman.reach import Unreachable, addresses_of
from signalcraft.postman.words import socket_words

TIMEOUT_S: Final = 8.0


class Seen(Struct, frozen=True, kw_only=True):
    """What was found. `addresses`: of the name, [] where it has none or may not be called; `trouble`: why there is no
    connection, "" where one was made; `chain`: why its certificate is not believed, "" where it is; `until_ms`: its
    end, None where none was shown.
    """

    addresses: tuple[str, ...] = ()
    trouble: str = ""
    chain: str = ""
    until_ms: int | None = None


async def look(
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    *,
    allowed: Allowed | None = None,
    look_up: Resolve = resolve,
    timeout_s: float = TIMEOUT_S,
) -> Seen:
    """Connects, shakes hands where `tls` is given, and hangs up. `allowed` None: wherever the name leads."""
    try:
        async with asyncio.timeout(timeout_s):
            addresses = await addresses_of(host, port, allowed, look_up)
    except Unreachable as fault:
        return Seen(trouble=str(fault))
    except TimeoutError:
        return Seen(trouble=f"no name server said within {timeout_s:g} s what the address of {host} is")
    trouble = "no address"
    for address in addresses:
        try:
            async with asyncio.timeout(timeout_s):
                chain, until_ms = await _shaken(address, host, port, tls)
        except TimeoutError:
            trouble = f"no answer within {timeout_s:g} s"
        except OSError as fault:
            trouble = socket_words(fault)
        else:
            return Seen(addresses=tuple(addresses), chain=chain, until_ms=until_ms)
    return Seen(addresses=tuple(addresses), trouble=trouble)


async def _shaken(address: str, host: str, port: int, tls: ssl.SSLContext | None) -> tuple[str, int | None]:
    """Why the certificate is not believed, and its end. Raises OSError."""
    if tls is None:
        await _hung_up(await asyncio.open_connection(address, port))
        return "", None
    try:
        return "", await _end_of(address, host, port, tls)
    except ssl.SSLCertVerificationError as fault:
        # A second look, for its end alone: what is not believed is told nothing.
        anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anybody.check_hostname = False
        anybody.verify_mode = ssl.CERT_NONE
        return fault.verify_message, await _end_of(address, host, port, anybody)


async def _end_of(address: str, host: str, port: int, tls: ssl.SSLContext) -> int | None:
    from cryptography import x509

    line = await asyncio.open_connection(address, port, ssl=tls, server_hostname=host)
    shown = line[1].get_extra_info("ssl_object").getpeercert(binary_form=True)
    await _hung_up(line)
    if shown is None:
        return None
    return round(x509.load_der_x509_certificate(shown).not_valid_after_utc.timestamp() * 1000)


async def _hung_up(line: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    writer = line[1]
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:
        return  # they hung up first


def why_not_free(host: str, port: int) -> str:
    """Why nobody could listen on an address of this box now; "" where one could. Nothing is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as a server would: ends of old connections
        try:
            trial.bind((host, port))
            trial.listen(1)
        except PermissionError:
            return "this user may not listen there (ports below 1024 want CAP_NET_BIND_SERVICE)"
        except OSError as fault:
            if fault.errno == errno.EADDRINUSE:
                return "another program listens there"
            if fault.errno == errno.EADDRNOTAVAIL:
                return "it is no address of this box"
            return socket_words(fault)
    return ""

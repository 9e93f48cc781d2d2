"""Why a connection failed, in words for people."""

from __future__ import annotations

import socket
import ssl


def socket_words(fault: BaseException) -> str:
    """Why a connection could not be made, from whatever in the chain of causes says most."""
    seen: BaseException | None = fault
    words = "the connection could not be made"
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return f"the certificate is not trusted: {seen.verify_message}"
        if isinstance(seen, ssl.SSLError):
            return f"TLS failed: {seen.reason or 'no reason given'}"
        if isinstance(seen, ConnectionRefusedError):
            return "the connection was refused: nothing listens there"
        if isinstance(seen, socket.gaierror):
            return "the name has no address"
        if isinstance(seen, OSError) and seen.strerror:
            words = f"the connection could not be made: {seen.strerror}"
        seen = seen.__cause__ or seen.__context__
    return words

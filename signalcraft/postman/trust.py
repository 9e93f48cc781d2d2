"""Whose certificates are believed: the system's authorities, Mozilla's list, and a file of the operator's own."""

from __future__ import annotations

import ssl

import certifi

from signalcraft.errors import BadSetting


def trusted(ca_file: str) -> ssl.SSLContext:
    """A client's TLS context: certificates and host names verified, TLS 1.2 at least. Raises BadSetting."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python 3.13 also demands extensions that many a company's own authority leaves out; 3.11 does not.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    # A frozen bundle or a slim container may have no system store.
    context.load_verify_locations(cafile=certifi.where())
    if ca_file:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as fault:
            raise BadSetting(
                f"the certificate authorities in {ca_file} cannot be read", path="outbound.ca_file"
            ) from fault
    return context

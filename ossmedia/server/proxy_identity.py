"""Whose client certificate a trusted proxy has verified.

In flow the two headers in which the proxy hands on what it found (nginx's ``$ssl_client_verify``
and ``$ssl_client_escaped_cert``), out flows the device id that the certificate names. The headers
are believed from the proxies of the settings alone; from anybody else the request is refused. It
does not verify the chain, which is the proxy's part, and it takes no name from a text of the proxy:
the id is read from the certificate itself.

The certificate's only DNS name is the device id; one without any alternative name is known by the
only common name of its subject.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from cryptography import x509
from starlette.types import Scope

from ossmedia.clock import SYSTEM, Clock
from ossmedia.policy import check_device_id
from ossmedia.server.problems import Problem
from ossmedia.server.settings import HttpSettings

__all__ = ["CERTIFICATE", "PEER", "Named", "ProxyIdentity", "read_certificate"]

PEER = "ossmedia.peer"  # in a scope: the address that the connection really comes from
CERTIFICATE = "ossmedia.certificate"  # in a scope: the device id of a verified certificate
_VERIFIED = b"SUCCESS"
_REMEMBERED = 1024


class Named(NamedTuple):
    """What a certificate says: device id, and its life in seconds since 1970."""

    device_id: str
    begins_at: float
    ends_at: float


class ProxyIdentity:
    """Reads the headers.

    Args:
        http: the names of both headers, and the proxies; without a ``client_cert_header`` no
            certificate is looked for.
    """

    def __init__(self, http: HttpSettings, clock: Clock = SYSTEM) -> None:
        self._certificate = http.client_cert_header.lower().encode()
        self._verified = http.client_verify_header.lower().encode()
        self._networks = [ip_network(text) for text in http.trusted_proxies]
        self._clock = clock

    def find(self, scope: Scope) -> str:
        """The device id of the certificate behind a request; "" for a request without one, or with
        one that the proxy did not verify.

        Raises:
            Problem: forbidden: the headers come from elsewhere, or stand twice; unauthorized: the
                certificate names no device, or its life is over.
        """
        if not self._certificate:
            return ""
        given = [v for n, v in scope["headers"] if n == self._certificate]
        verified = [v for n, v in scope["headers"] if n == self._verified]
        if not given and not verified:
            return ""
        if not self._trusted(scope.get(PEER, "")):
            raise Problem("forbidden", "client certificates are handed on by the proxy only")
        if len(given) > 1 or len(verified) > 1:
            raise Problem("forbidden", "what the proxy hands on must stand in the head once")
        if not given or verified != [_VERIFIED]:
            return ""
        try:
            named = read_certificate(given[0])
        except ValueError:
            raise Problem("unauthorized") from None
        if not named.begins_at <= self._clock.now() <= named.ends_at:
            raise Problem("unauthorized")
        return named.device_id

    def _trusted(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


@lru_cache(_REMEMBERED)
def read_certificate(escaped: bytes) -> Named:
    """What a certificate says, from its PEM text in URL form.

    Raises:
        ValueError: it is no certificate, or names no device or several.
    """
    try:
        certificate = x509.load_pem_x509_certificate(unquote_to_bytes(escaped))
        names = _names(certificate)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ValueError(f"certificate: it cannot be read; {error}") from None
    if len(names) != 1:
        raise ValueError(f"certificate: must name one device, not {len(names)}")
    return Named(
        check_device_id(names[0]),
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
    )


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return [str(name.value) for name in common]
    return found.value.get_values_for_type(x509.DNSName)

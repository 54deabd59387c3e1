"""Certificates for tests: an authority and what it signs, as files that nginx and ssl read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

USES = {
    "server": ExtendedKeyUsageOID.SERVER_AUTH,
    "client": ExtendedKeyUsageOID.CLIENT_AUTH,
}
_OTHER_USES = [
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "encipher_only",
    "decipher_only",
]


class Authority:
    """Signs certificates into a folder; P-256 throughout."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _subject([name])
        self.file = folder / f"{name}.pem"
        builder = self._builder(self._name, self._key.public_key(), 1)
        builder = builder.add_extension(x509.BasicConstraints(True, None), True)
        own = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        builder = builder.add_extension(own, False)
        may = dict.fromkeys(_OTHER_USES, False) | {"key_cert_sign": True, "crl_sign": True}
        builder = builder.add_extension(x509.KeyUsage(**may), True)
        certificate = builder.sign(self._key, hashes.SHA256())
        self.file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: float
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=min(0, days)) - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=days))
        )

    def make(
        self,
        common: list[str],
        dns: list[str],
        *,
        use: str = "client",
        days: float = 1,
    ) -> x509.Certificate:
        """A certificate with these names, and its key beside it: see ``sign``."""
        return self._signed(common, dns, use, days)[0]

    def _signed(
        self, common: list[str], dns: list[str], use: str, days: float
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_subject(common), key.public_key(), days)
        builder = builder.add_extension(x509.ExtendedKeyUsage([USES[use]]), False)
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(above, False)
        if dns:
            names = x509.SubjectAlternativeName([x509.DNSName(name) for name in dns])
            builder = builder.add_extension(names, False)
        return builder.sign(self._key, hashes.SHA256()), key

    def sign(
        self,
        stem: str,
        *,
        common: list[str] | None = None,
        dns: list[str] | None = None,
        use: str = "client",
        days: float = 1,
    ) -> tuple[Path, Path]:
        """Files of a certificate and its key.

        Args:
            days: from now until its end; below 0: it has ended.
        """
        names = [stem] if common is None else common
        certificate, key = self._signed(names, dns or [], use, days)
        files = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        files[1].write_bytes(plain)
        return files


def _subject(common: list[str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in common])

"""Certificate chains that a careful client refuses, and some that it takes, each made afresh: for
test_bad_certificates.py.

A chain is written as two files, chain and key; what the client trusts is ``Maker.trusted``.
"""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["BAD", "GOOD", "HOST", "Maker"]

HOST = "cams.oss-cn-hangzhou.aliyuncs.com"
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
Pair = tuple[x509.Certificate, Any]


def dns(*names: str) -> list[x509.GeneralName]:
    return [x509.DNSName(name) for name in names]


def ip(text: str) -> list[x509.GeneralName]:
    return [x509.IPAddress(ipaddress.ip_address(text))]


class Maker:
    """An authority in a folder, and what it or anybody else signs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = self.sign("Root", None, ca=True)
        self.rsa_root = self.sign("RSA Root", None, ca=True, key=_rsa(2048))
        self.trusted = folder / "roots.pem"
        roots = [pair[0].public_bytes(Encoding.PEM) for pair in (self.root, self.rsa_root)]
        self.trusted.write_bytes(b"".join(roots))

    def sign(
        self,
        common: str,
        issuer: Pair | None,
        names: list[x509.GeneralName] | None = None,
        *,
        ca: bool | None = None,
        days: tuple[float, float] = (-1, 1),
        use: x509.ObjectIdentifier | None = SERVER,
        key: Any = None,
        digest: hashes.HashAlgorithm | None = None,
        extra: tuple[tuple[x509.ExtensionType, bool], ...] = (),
        depth: int | None = None,
        signer: Any = None,
    ) -> Pair:
        """A certificate and its key.

        Args:
            issuer: None: signed by itself.
            ca: whether it may sign others; None: it does not say.
            days: from now, of its beginning and end.
            signer: a key that is not the issuer's.
        """
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer[0].subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
        )
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca, depth), True)
        if names is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        if use is not None and not ca:
            builder = builder.add_extension(x509.ExtendedKeyUsage([use]), False)
        for extension, critical in extra:
            builder = builder.add_extension(extension, critical)
        with_key = signer or (issuer[1] if issuer else key)
        return builder.sign(with_key, digest or hashes.SHA256()), key

    def write(self, stem: str, leaf: Pair, *between: Pair) -> tuple[Path, Path]:
        chain, key = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        certificates = [leaf[0], *(pair[0] for pair in between)]
        chain.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in certificates))
        plain = leaf[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        key.write_bytes(plain)
        return chain, key

    def leaf(self, names: list[x509.GeneralName] | None, **how: Any) -> tuple[Path, Path]:
        """Signed by the trusted authority, without a way round."""
        return self.write("leaf", self.sign("leaf", self.root, names, **how))

    def below(self, middle: Pair, **how: Any) -> tuple[Path, Path]:
        """Signed by one that the authority signed."""
        return self.write("leaf", self.sign("leaf", middle, dns(HOST), **how), middle)

    def by_openssl(self, bits: int, digest: str) -> tuple[Path, Path]:
        """What the cryptography package refuses to make; the openssl program does."""
        chain, key, request, extensions = (
            self.folder / f"old.{ending}" for ending in ("pem", "key", "csr", "ext")
        )
        root = self.write("rsa-root", self.rsa_root)
        extensions.write_text(f"subjectAltName=DNS:{HOST}\nextendedKeyUsage=serverAuth\n")
        new_key = f"req -new -newkey rsa:{bits} -nodes -subj /CN=old -keyout {key} -out {request}"
        sign = (
            f"x509 -req -in {request} -CA {root[0]} -CAkey {root[1]} -CAcreateserial"
            f" -days 1 -{digest} -extfile {extensions} -out {chain}"
        )
        for words in (new_key, sign):
            subprocess.run(["openssl", *words.split(" ")], check=True, capture_output=True)
        return chain, key


def _rsa(bits: int) -> Any:
    return rsa.generate_private_key(65537, bits)


def _not_ca(maker: Maker) -> tuple[Path, Path]:
    return maker.below(maker.sign("Middle", maker.root, ca=False))


def _middle_missing(maker: Maker) -> tuple[Path, Path]:
    middle = maker.sign("Middle", maker.root, ca=True)
    return maker.write("leaf", maker.sign("leaf", middle, dns(HOST)))


def _too_deep(maker: Maker) -> tuple[Path, Path]:
    first = maker.sign("First", maker.root, ca=True, depth=0)
    second = maker.sign("Second", first, ca=True)
    return maker.write("leaf", maker.sign("leaf", second, dns(HOST)), second, first)


def _self_signed(maker: Maker) -> tuple[Path, Path]:
    return maker.write("leaf", maker.sign(HOST, None, dns(HOST)))


def _stranger(maker: Maker) -> tuple[Path, Path]:
    other = maker.sign("Root", None, ca=True)  # the same name, another key
    return maker.write("leaf", maker.sign("leaf", other, dns(HOST)), other)


def _constrained(permitted: str | None, excluded: str | None) -> Callable[[Maker], Any]:
    limits = x509.NameConstraints(
        dns(permitted) if permitted else None, dns(excluded) if excluded else None
    )
    return lambda maker: maker.below(
        maker.sign("Middle", maker.root, ca=True, extra=((limits, True),))
    )


def _may_not_sign(maker: Maker) -> tuple[Path, Path]:
    uses = x509.KeyUsage(True, False, False, False, False, False, True, False, False)
    return maker.below(maker.sign("Middle", maker.root, ca=True, extra=((uses, True),)))


def _unknown_critical(maker: Maker) -> tuple[Path, Path]:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    return maker.leaf(dns(HOST), extra=((unknown, True),))


def _forged(maker: Maker) -> tuple[Path, Path]:
    return maker.leaf(dns(HOST), signer=ec.generate_private_key(ec.SECP256R1()))


# name: (the chain, a pattern of the refusal). With "by address" the endpoint is https://127.0.0.1.
BAD: dict[str, tuple[Callable[[Maker], tuple[Path, Path]], str]] = {
    "expired": (lambda m: m.leaf(dns(HOST), days=(-9, -1)), "expired"),
    "not yet valid": (lambda m: m.leaf(dns(HOST), days=(1, 9)), "not yet valid"),
    "another host": (lambda m: m.leaf(dns("oss.example.com")), "(?i)hostname mismatch"),
    "the endpoint without the bucket": (
        lambda m: m.leaf(dns("oss-cn-hangzhou.aliyuncs.com")),
        "(?i)hostname mismatch",
    ),
    "a wildcard for two labels": (lambda m: m.leaf(dns("*.aliyuncs.com")), "(?i)hostname mismatch"),
    "a wildcard within a label": (
        lambda m: m.leaf(dns("ca*.oss-cn-hangzhou.aliyuncs.com")),
        "(?i)hostname mismatch",
    ),
    "a wildcard for everything": (lambda m: m.leaf(dns("*")), "(?i)hostname mismatch"),
    "a name with a NUL": (lambda m: m.leaf(dns(HOST + "\0.evil.com")), "(?i)hostname mismatch"),
    "a common name alone": (
        lambda m: m.write("leaf", m.sign(HOST[:64], m.root)),
        "(?i)hostname mismatch",
    ),
    "another address, by address": (lambda m: m.leaf(ip("127.0.0.2")), "(?i)address mismatch"),
    "an address as a name, by address": (
        lambda m: m.leaf(dns("127.0.0.1")),
        "(?i)address mismatch",
    ),
    "self-signed": (_self_signed, "self.signed"),
    "a stranger of the same name": (_stranger, "self.signed|signature failure"),
    "a forged signature": (_forged, "signature failure"),
    "CA:FALSE in the middle": (_not_ca, "invalid CA"),
    "a middle that may not sign": (_may_not_sign, "(?i)key usage|invalid CA|keyusage"),
    "a middle that is missing": (_middle_missing, "unable to get local issuer"),
    "a middle that is expired": (
        lambda m: m.below(m.sign("Middle", m.root, ca=True, days=(-9, -1))),
        "expired",
    ),
    "a middle too many": (_too_deep, "path length"),
    "names outside what is permitted": (_constrained("example.org", None), "permitted subtree"),
    "names inside what is excluded": (_constrained(None, "aliyuncs.com"), "excluded subtree"),
    "for clients only": (lambda m: m.leaf(dns(HOST), use=CLIENT), "(?i)purpose"),
    "an unknown critical extension": (_unknown_critical, "unhandled critical"),
    "RSA with 1,024 bits": (lambda m: m.leaf(dns(HOST), key=_rsa(1024)), "key too weak"),
    "RSA with 512 bits": (lambda m: m.by_openssl(512, "sha256"), "key too weak"),
    "signed with SHA-1": (lambda m: m.by_openssl(2048, "sha1"), "digest algorithm too weak"),
    "signed with MD5": (lambda m: m.by_openssl(2048, "md5"), "digest algorithm too weak"),
}

GOOD: dict[str, Callable[[Maker], tuple[Path, Path]]] = {
    "the host": lambda m: m.leaf(dns(HOST)),
    "a wildcard for the bucket": lambda m: m.leaf(dns("*.oss-cn-hangzhou.aliyuncs.com")),
    "in capitals": lambda m: m.leaf(dns(HOST.upper())),
    "one name of many": lambda m: m.leaf(dns("a.example", HOST, "b.example")),
    "its address, by address": lambda m: m.leaf(ip("127.0.0.1")),
    "below a middle": lambda m: m.below(m.sign("Middle", m.root, ca=True, depth=0)),
    "within what is permitted": _constrained("aliyuncs.com", "example.org"),
    "RSA with 2,048 bits": lambda m: m.leaf(dns(HOST), key=_rsa(2048)),
    "by openssl": lambda m: m.by_openssl(2048, "sha256"),
}

"""https from Python: the right authority is accepted, everything else is refused before a byte is
sent."""

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ossmedia import Bucket, Credentials, Retry, errors
from ossmedia.emulator.serve import Emulator


def make_certificate(folder, name, *, days=30, issuer=None, address="127.0.0.1", ca=False):
    """Writes name.pem and name.key; returns (certificate, key)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    issued_by = (issuer[0].subject, issuer[1]) if issuer else (subject, key)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issued_by[0])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]),
            critical=False,
        )
        .sign(issued_by[1], hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, key


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    authority = make_certificate(folder, "authority", ca=True)
    make_certificate(folder, "stranger", ca=True)
    make_certificate(folder, "good", issuer=authority)
    make_certificate(folder, "expired", issuer=authority, days=-1)
    make_certificate(folder, "elsewhere", issuer=authority, address="127.0.0.2")
    return folder


def bucket_at(cloud, **options):
    return Bucket(
        "cams",
        endpoint=cloud.endpoint,
        region=cloud.region,
        credentials=Credentials(cloud.access_key_id, cloud.access_key_secret),
        retry=Retry(attempts=3, base_s=0.001),
        **options,
    )


def test_the_right_authority(certificates, tmp_path):
    data = bytes(range(256)) * 4000
    with Emulator(
        buckets=["cams"], tls_cert=certificates / "good.pem", tls_key=certificates / "good.key"
    ) as cloud:
        assert cloud.endpoint.startswith("https://")
        with bucket_at(cloud, ca_file=certificates / "authority.pem") as bucket:
            with bucket.open("big", "wb", block_size=102_400, parallel=3) as f:
                f.write(data)
            with bucket.open("live", "ab") as f:
                f.write(data)
            (tmp_path / "file").write_bytes(data)
            bucket.upload(tmp_path / "file", "file")  # read in windows while it is encrypted
            for key in ("big", "live", "file"):
                with bucket.open(key) as f:
                    assert f.read() == data
            assert bucket.stats()["connections"] <= 5


@pytest.mark.parametrize(
    ("server", "authority"),
    [
        ("good", "stranger"),
        ("good", ""),
        ("expired", "authority"),
        ("elsewhere", "authority"),
        ("stranger", "authority"),
    ],
    ids=["other authority", "the system's", "expired", "other address", "self-signed"],
)
def test_refused(certificates, server, authority):
    with Emulator(
        buckets=["cams"],
        tls_cert=certificates / f"{server}.pem",
        tls_key=certificates / f"{server}.key",
    ) as cloud:
        options = {"ca_file": certificates / f"{authority}.pem"} if authority else {}
        with bucket_at(cloud, **options) as bucket:
            with pytest.raises(errors.TlsError, match=r"(?i)certificate|verif|match"):
                bucket.stat("x")
            with pytest.raises(errors.StreamBroken):
                with bucket.open("x", "wb") as f:
                    f.write(b"secret footage")
            assert bucket.stats()["bytes_sent"] == 0
        assert cloud.counters()["requests"] == {}


def test_a_missing_ca_file(certificates):
    with pytest.raises(FileNotFoundError, match="ca_file"):
        Bucket(
            "cams",
            endpoint="https://127.0.0.1:1",
            region="x",
            credentials=Credentials("a", "b"),
            ca_file=certificates / "absent.pem",
        )

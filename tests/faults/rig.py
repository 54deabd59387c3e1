"""A camera, the fault proxy and the local cloud, and the truth about what the cloud holds.

In flow modes and keys, out flow buckets behind the proxy. What is stored is read from the cloud's
own memory, never through the code under test.
"""

from __future__ import annotations

from ossmedia import Bucket, Credentials, Retry, crc64
from ossmedia.emulator.identities import Session
from tests.faults.proxy import FaultProxy
from tests.faults.tally import Tally

__all__ = ["BLOCK", "QUICK", "Rig"]

BLOCK = 102_400
QUICK = Retry(attempts=8, base_s=0.0005, cap_s=0.002, give_up_after_s=30)
DAY = 86_400


class Rig:
    """One cloud behind one proxy.

    Args:
        cloud: a running ``Emulator`` of this process.
        seed: of the proxy's dice.
        ca_file: whom the camera trusts, when the cloud speaks https; the proxy then counts bytes of
            connections.
    """

    def __init__(self, cloud, seed: int = 0, ca_file: str = "") -> None:
        self.cloud = cloud
        self.ca_file = str(ca_file)
        self.proxy = FaultProxy(cloud.endpoint, seed=seed, raw=bool(ca_file))
        self.issued = 0

    def __enter__(self) -> Rig:
        self.cloud.reset()
        self.proxy.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.proxy.stop()
        self.cloud.reset()

    def token(self, life_s: float = DAY, *, told: bool = True) -> Credentials:
        """Temporary credentials, made by the cloud without its shortest life of 900 s.

        Args:
            told: the camera learns when they end.
        """
        self.issued += 1
        clock = self.cloud.cloud.clock
        role = self.cloud.cloud.identities.find_role(self.cloud.role_arn)
        made = Session(
            access_key_id=f"STS.Fault{self.issued:08d}",
            secret=f"secret{self.issued:026d}",
            token=f"token{self.issued:059d}",
            expires_at=clock.now() + life_s,
            role_arn=role.arn,
            session_name="camera",
            session_policy=None,
            account=self.cloud.cloud.identities.account_id,
        )
        self.cloud.cloud.identities.add_session(made)
        end = made.expires_at if told else None
        return Credentials(made.access_key_id, made.secret, made.token, end)

    def bucket(self, *, credentials=None, direct: bool = False, **options) -> Bucket:
        """A bucket of a camera; its requests go through the proxy unless ``direct``."""
        options = {"retry": QUICK, "block_size": BLOCK, **options}
        endpoint = self.cloud.endpoint if direct else self.proxy.endpoint
        if self.ca_file:
            endpoint = endpoint.replace("http:", "https:")
        return Bucket(
            self.cloud.bucket,
            endpoint=endpoint,
            ca_file=self.ca_file,
            region=self.cloud.region,
            credentials=credentials or self.token(),
            **options,
        )

    def held(self, key: str) -> bytes | None:
        """The object's content as the cloud has it; None: there is none."""
        store = self.cloud.cloud.store
        found = store.object(self.cloud.bucket, key)
        if found is None:
            return None
        return b"".join(store.blobs.read(found.segments, 0, found.size))

    def uploads(self) -> int:
        """Multipart uploads that nobody completed."""
        return len(self.cloud.cloud.store.uploads_from(self.cloud.bucket, b"", "", None, 1000))

    def requests(self) -> int:
        """All requests the cloud has seen since the counters were reset."""
        return sum(self.cloud.counters()["requests"].values())

    def verify(self, tally: Tally, receipt, written: bytes, where: str) -> None:
        """What the receipt names, joined, is what was written, and so are its size and CRC-64."""
        joined = b"".join(
            (self.held(part.key) or b"")[part.base : part.base + part.size]
            for part in receipt.generations
        )
        tally.compare(written, joined, where)
        tally.expect(receipt.size == len(written), f"{where}: receipt of {receipt.size} bytes")
        tally.expect(receipt.crc64 == crc64(written), f"{where}: receipt with another CRC-64")

    def clear(self) -> None:
        """No faults, anywhere."""
        self.proxy.clear()
        self.cloud.clear_faults()

"""The fleet's cloud as a process that can be killed and started again: ``python -m
tests.faults.fleet_cloud '<json>'``.

It keeps lengths and checksums instead of content, puts a new token with a short life into a file
before the old one ends, and answers a share of the requests with 503.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
from pathlib import Path

from ossmedia.emulator.faults import Faults, Rule
from ossmedia.emulator.serve import Emulator
from tests.faults.camera import tell
from tests.faults.rig import Rig


class Dice(Faults):
    """A share of all requests to objects is answered with 503."""

    def __init__(self, share: float, seed: int) -> None:
        super().__init__()
        self._share, self._dice = share, random.Random(seed)

    def fire(self, operation: str, method: str, key: str | None) -> Rule | None:
        if key is None or self._dice.random() >= self._share:
            return None
        return Rule("status", status=503, code="ServiceUnavailable", fired=1)


def renew(cloud: Emulator, path: Path, life_s: float) -> None:
    """One more token, known to the next life of the cloud, too."""
    rig = Rig(cloud)
    rig.issued = int.from_bytes(os.urandom(3), "big")
    token = rig.token(life_s)
    cloud._save_identities(at_once=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(token.to_json()))
    fresh.replace(path)


def main() -> int:
    orders = json.loads(sys.argv[1])
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with Emulator(
        data=orders["data"], port=orders["port"], discard=True, buckets=["cams"]
    ) as cloud:
        cloud.cloud.faults = Dice(orders["unavailable"], orders["seed"])
        renew(cloud, Path(orders["token"]), orders["life_s"])
        tell(endpoint=cloud.endpoint)
        while not ended.wait(orders["life_s"] / 3):
            renew(cloud, Path(orders["token"]), orders["life_s"])
    return 0


if __name__ == "__main__":
    sys.exit(main())

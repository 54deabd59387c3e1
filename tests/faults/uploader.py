"""A device that uploads a file by ticket and can be killed: ``python -m tests.faults.uploader
'<json>'``. In flow the ticket, the file and the checkpoint's place, out flows the receipt."""

from __future__ import annotations

import json
import sys

from ossmedia import UploadTicket, vod
from tests.faults.camera import tell


def main() -> int:
    orders = json.loads(sys.argv[1])
    ticket = UploadTicket.from_json(orders["ticket"], allowed_hosts=(orders["endpoint"],))
    receipt = vod.upload(
        orders["path"],
        ticket,
        checkpoint=orders["checkpoint"],
        block_size=orders["block_size"],
        parallel=orders["parallel"],
    )
    tell(receipt=receipt.to_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the tests of STS send, and what every refusal must look like."""

from __future__ import annotations

import calendar
from typing import Any

NOW = float(calendar.timegm((2024, 5, 31, 16, 8, 37)))
ARN = "acs:ram::1234567890123456:role/uploader"
NARROW = {
    "Version": "1",
    "Statement": [
        {"Effect": "Allow", "Action": "oss:PutObject", "Resource": "acs:oss:*:*:media/cams/1/*"}
    ],
}
FORM = ("content-type", "application/x-www-form-urlencoded")


def check_error(answer: tuple[int, Any], status: int, code: str) -> None:
    assert (answer[0], answer[1].get("Code")) == (status, code)
    assert set(answer[1]) == {"RequestId", "HostId", "Code", "Message", "Recommend"}
    assert answer[1]["HostId"] == "sts.test"

"""The table ``[vod]`` of the settings.

In flow values of the file, out flows one frozen value. The key that signs VOD's events is a secret
and comes from the environment, OSSMEDIA_VOD_CALLBACK_KEYS; two, joined by a comma, while it is
being changed.
"""

from __future__ import annotations

from dataclasses import dataclass

from ossmedia.address import Address
from ossmedia.model import Credentials
from ossmedia.server.setting_checks import check_url, number, setting, text
from ossmedia.sts import TokenIssuer

__all__ = ["VodSettings"]

_LONGEST_URL = 256


@dataclass(frozen=True, slots=True)
class VodSettings:
    """``[vod]``: uploads into ApsaraVideo VOD.

    Attributes:
        region: e.g. "cn-shanghai"; "": this server offers no VOD.
        endpoint: "https://vod.cn-shanghai.aliyuncs.com" (by the region if ""), or a local cloud's.
        ca_file: PEM file of the authorities to trust; "": the usual ones.
        role_arn: the role that devices get tokens of which ask VOD by themselves; "": no such
            tokens. What they make is noted by VOD's events, as recordings of no camera.
        calls_per_s: of each of VOD's operations, in no second more than this, by all processes that
            share a cache. An account has 100.
        threads: calls at a time.
        wait_s: how long a request waits for its turn before it is told to come again.
        callback_url: this server's own /v1/callbacks/vod exactly as VOD's console has it; "": no
            events are taken.
        storage_location, app_id, template_group_id, workflow_id: as VOD calls them, for every
            upload; "": VOD's defaults. An ``app_id`` of its own keeps other programs' videos in the
            same account out of the index.
    """

    region: str = setting("", text)
    endpoint: str = setting("", text)
    ca_file: str = setting("", text)
    role_arn: str = setting("", text)
    calls_per_s: int = setting(80, number(1, 100, int))
    threads: int = setting(4, number(1, 64, int))
    wait_s: float = setting(1.0, number(0, 10, float))
    callback_url: str = setting("", text)
    storage_location: str = setting("", text)
    app_id: str = setting("", text)
    template_group_id: str = setting("", text)
    workflow_id: str = setting("", text)

    @property
    def url(self) -> str:
        """Where VOD is."""
        return self.endpoint or f"https://vod.{self.region}.aliyuncs.com"

    def check(self) -> None:
        """Raises ValueError for values that cannot be."""
        if not self.region:
            for name in ("endpoint", "role_arn", "callback_url"):
                if getattr(self, name):
                    raise ValueError(f"{name}: needs region")
            return
        Address("vod", self.url, self.region)
        if self.role_arn:
            TokenIssuer(self.role_arn, "bucket", credentials=Credentials("none", "none"))
        check_url("callback_url", self.callback_url)
        if len(self.callback_url) > _LONGEST_URL:
            raise ValueError(f"callback_url: at most {_LONGEST_URL} characters")

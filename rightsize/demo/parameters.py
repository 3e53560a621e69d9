"""What the demo mesh is made of. Nothing here is tuned to reach anybody's published figure."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from rightsize.data_files import data_file


@dataclass(frozen=True)
class DemoParameters:
    """Size, time and load of a synthetic mesh.

    `usage_scale` multiplies the load, and so what proxies use. Days run from `start` to `end`,
    both included. `instance_type` is one of `rightsize.demo.shapes.node_shapes`; what applications
    request follows from the nodes, so that they are as full whatever their number.
    """

    seed: int = 20260901
    start: date = date(2026, 9, 1)
    end: date = date(2026, 10, 31)
    nodes: int = 24
    instance_type: str = "m5.xlarge"
    region: str = "us-east-1"
    app_namespaces: int = 10
    workloads: int = 57
    pods: int = 290
    services: tuple[int, int] = (240, 300)
    """Services in the mesh on the first and on the last day."""
    usage_scale: float = 1.0

    @classmethod
    def tiny(cls, **changes: Any) -> DemoParameters:
        """A mesh of seconds: two days, four nodes, a few workloads."""
        small = cls(start=date(2026, 10, 30), nodes=4, app_namespaces=3, workloads=9, pods=26)
        return replace(small, **changes)

    @property
    def days(self) -> list[date]:
        return [self.start + timedelta(days=n) for n in range((self.end - self.start).days + 1)]

    @property
    def begins(self) -> datetime:
        return midnight(self.start)

    @property
    def ends(self) -> datetime:
        return midnight(self.end + timedelta(days=1))

    @property
    def fingerprint(self) -> str:
        """Names these parameters and the generator's own code: a change of either is another demo."""
        digest = hashlib.sha256(repr(sorted(asdict(self).items())).encode())
        for module in sorted(Path(__file__).parent.glob("*.py")):
            digest.update(module.read_bytes())
        digest.update(data_file("demo.toml").read_bytes())
        return digest.hexdigest()[:12]


def midnight(day: date) -> datetime:
    """The start of a UTC day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)

"""Shapes of EC2 instance types (DescribeInstanceTypes)."""

from __future__ import annotations

from typing import Any

import pandas as pd

from rightsize.collectors.aws.calls import INSTANCE_TYPES
from rightsize.collectors.aws.session import AwsSession
from rightsize.collectors.aws.tables import table_of
from rightsize.errors import AwsError
from rightsize.quantity import MEBIBYTE

_PAGE = 100
_ARCHITECTURES = {"x86_64": "amd64", "arm64": "arm64"}


def fetch_instance_types(session: AwsSession) -> pd.DataFrame:
    """Return the region's instance types as the table `instance_types`.

    Raises
    ------
    AwsError
        If the request fails, or lists no type at all.
    """
    rows = list(
        session.rows(
            INSTANCE_TYPES,
            {"MaxResults": _PAGE},
            lambda page: map(_row, page.get("InstanceTypes", [])),
        )
    )
    if not rows:
        raise AwsError(f"{INSTANCE_TYPES.action} in {session.region} lists no instance type")
    return table_of("instance_types", pd.DataFrame(rows).drop_duplicates("instance_type"))


def _row(item: dict[str, Any]) -> dict[str, object]:
    network = item.get("NetworkInfo", {})
    processor = item.get("ProcessorInfo", {})
    return {
        "instance_type": item["InstanceType"],
        "vcpu": item.get("VCpuInfo", {}).get("DefaultVCpus"),
        "memory": _bytes(item.get("MemoryInfo", {}).get("SizeInMiB")),
        "arch": _architecture(processor.get("SupportedArchitectures", [])),
        "max_enis": _interfaces(network),
        "ipv4_per_eni": network.get("Ipv4AddressesPerInterface"),
        "hypervisor": item.get("Hypervisor"),
        "bare_metal": item.get("BareMetal"),
        "burstable": item.get("BurstablePerformanceSupported"),
        "current_generation": item.get("CurrentGeneration"),
        "gpus": float(sum(gpu.get("Count", 0) for gpu in item.get("GpuInfo", {}).get("Gpus", []))),
    }


def _interfaces(network: dict[str, Any]) -> int | None:
    """Interfaces of the default card: nodes use no other (nodeadm, `eni_max_pods.go`)."""
    cards = network.get("NetworkCards", [])
    default = network.get("DefaultNetworkCardIndex", 0)
    for card in cards:
        if card.get("NetworkCardIndex") == default and "MaximumNetworkInterfaces" in card:
            return int(card["MaximumNetworkInterfaces"])
    total = network.get("MaximumNetworkInterfaces")
    return None if total is None else int(total)


def _architecture(names: list[str]) -> str | None:
    for name in names:
        base = name.removesuffix("_mac")
        if base in _ARCHITECTURES:
            return _ARCHITECTURES[base] + ("-mac" if name.endswith("_mac") else "")
    return None


def _bytes(mebibytes: int | None) -> float | None:
    return None if mebibytes is None else float(mebibytes * MEBIBYTE)

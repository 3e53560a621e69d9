"""Puts what AWS reported into a snapshot."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rightsize.collectors.aws.collect import AWS_MARK, AwsFacts
from rightsize.snapshot import Snapshot, SnapshotWriter


def store_aws(path: Path, facts: AwsFacts) -> None:
    """Add AWS's tables to the newest day of a snapshot, in place of those stored before.

    What is missing joins the manifest, and so do the region and the EKS support, where the snapshot
    does not name its own.

    Raises
    ------
    SnapshotError
        If the folder is no snapshot, or another program writes to it.
    OutputError
        If the folder cannot be written.
    """
    manifest = Snapshot(path).manifest
    day = max(manifest.days)
    with SnapshotWriter(path, manifest) as writer:
        writer.write_day(day, facts.tables, manifest.days[day])
        other = tuple(gap for gap in manifest.missing if not gap.what.startswith(AWS_MARK))
        known = {"aws_asked_at": datetime.now(UTC).isoformat(timespec="seconds")}
        if facts.eks_support is not None:
            known["eks_support"] = facts.eks_support
        writer.write_manifest(
            replace(
                writer.manifest,
                region=manifest.region or facts.region,
                missing=(*other, *facts.missing),
                facts={**manifest.facts, **known},
            )
        )


def region_of(path: Path) -> str | None:
    """Return the region that a snapshot's nodes name; None if none or several."""
    snapshot = Snapshot(path)
    if snapshot.manifest.region is not None:
        return snapshot.manifest.region
    named = snapshot.read("nodes", days=snapshot.days[-1:], columns=["region"])["region"]
    regions = named.dropna().astype(str).unique()
    return str(regions[0]) if len(regions) == 1 else None

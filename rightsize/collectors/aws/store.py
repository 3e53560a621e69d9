"""Puts what AWS reported into a snapshot."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rightsize.collectors.aws.collect import AWS_MARK, AwsFacts
from rightsize.errors import UsageError
from rightsize.snapshot import Snapshot, SnapshotWriter
from rightsize.snapshot.views import newest_rows


def store_aws(path: Path, facts: AwsFacts) -> None:
    """Add AWS's tables to the newest day of a snapshot, in place of those stored before.

    What is missing joins the manifest, and so do the region and the EKS support, where the snapshot
    does not name its own.

    Raises
    ------
    UsageError
        If the facts are those of another region than the cluster's.
    SnapshotError
        If the folder is no snapshot, or another program writes to it.
    OutputError
        If the folder cannot be written.
    """
    refuse_other_region(path, facts.region)
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
    regions = regions_of(path)
    return next(iter(regions)) if len(regions) == 1 else None


def regions_of(path: Path) -> frozenset[str]:
    """Return the regions that a snapshot, or its newest nodes, name; maybe none."""
    snapshot = Snapshot(path)
    if snapshot.manifest.region is not None:
        return frozenset({snapshot.manifest.region})
    named = newest_rows(snapshot, "nodes")["region"]
    return frozenset(named.dropna().astype(str))


def refuse_other_region(path: Path, region: str) -> None:
    """Raise where prices of `region` are not those of the snapshot's machines.

    Raises
    ------
    UsageError
    """
    known = regions_of(path)
    if known and region not in known:
        named = ", ".join(sorted(known))
        raise UsageError(
            f"prices of {region} cannot be stored in {path}: its machines run in {named}",
            hint=f"ask for {sorted(known)[0]} (prices --region, collect --aws-region); "
            "without --snapshot any region is shown",
        )

"""The snapshot: what was collected, on disk, and the contract between collecting and analysing."""

from rightsize.snapshot.manifest import DayRecord, Manifest, Missing
from rightsize.snapshot.schema import SCHEMA_VERSION, TABLES, Column, Table, frame
from rightsize.snapshot.store import Snapshot, SnapshotWriter

__all__ = [
    "SCHEMA_VERSION",
    "TABLES",
    "Column",
    "DayRecord",
    "Manifest",
    "Missing",
    "Snapshot",
    "SnapshotWriter",
    "Table",
    "frame",
]

"""Renews the releases in `data/ambient_features.csv` and `data/istioctl_commands.csv` from a checkout of
https://github.com/istio/istio.

    python benchmarks/ambient_tables.py ~/src/istio

A row with a marker holds for the releases with that text in the files named (git tags; no work tree
is needed). Rows without one rest on the page that they name, and are to be read again by hand. Raise
`LAST_KNOWN` in `rightsize/ambient/facts.py` and `rightsize/files/istioctl.py` where a new release came.
"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from istio_tables import FIRST_MINOR, releases

DATA = Path(__file__).parents[1] / "data"
TABLES = {"ambient_features.csv": (24, "-F"), "istioctl_commands.csv": (FIRST_MINOR, "-E")}
"""First minor release (ambient mode is stable from 1.24 on), and how git reads the marker."""
_READ_ON = re.compile(r"read on \d{4}-\d\d-\d\d")
_NEWEST = re.compile(r"newest release read is [\d.]+\d")


def holds(checkout: Path, reference: str, paths: str, marker: str, how: str = "-F") -> bool:
    """Whether a file of these paths holds the marker at a release."""
    command = ["git", "-C", str(checkout), "grep", "-q", how, "-e", marker, reference, "--", paths]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def renew(checkout: Path, table: Path, first_minor: int, how: str) -> None:
    """Write each row's first and last release, and today's date in the table's head."""
    known = [(m, ref) for m, ref in releases(checkout) if int(m.split(".")[1]) >= first_minor]
    lines = table.read_text().splitlines(keepends=True)
    head = "".join(line for line in lines if line.startswith("#"))
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    for row in rows:
        there = [
            minor
            for minor, reference in known
            if row["marker"] and holds(checkout, reference, row["paths"], row["marker"], how)
        ]
        if there:
            row["first"], row["last"] = there[0], there[-1]
        elif row["marker"]:
            sys.stderr.write(f"{next(iter(row.values()))}: its marker is in no release\n")
    today, newest = (
        f"read on {datetime.now(tz=UTC):%Y-%m-%d}",
        f"newest release read is {known[-1][0]}",
    )
    with table.open("w") as file:
        file.write(_NEWEST.sub(newest, _READ_ON.sub(today, head)))
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(checkout: Path) -> None:
    for name, (first_minor, how) in TABLES.items():
        renew(checkout, DATA / name, first_minor, how)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

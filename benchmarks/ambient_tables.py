"""Renews the releases in `data/ambient_features.csv` from a checkout of https://github.com/istio/istio.

    python benchmarks/ambient_tables.py ~/src/istio

A row with a marker holds for the releases with that text in the files named (git tags; no work tree
is needed). Rows without one rest on the page that they name, and are to be read again by hand. Raise
`LAST_KNOWN` in `rightsize/ambient/facts.py` where a new release came.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from istio_tables import releases

TABLE = Path(__file__).parents[1] / "data" / "ambient_features.csv"
FIRST_MINOR = 24
"""Ambient mode is stable from 1.24 on."""


def holds(checkout: Path, reference: str, paths: str, marker: str) -> bool:
    """Whether a file of these paths holds the marker at a release."""
    command = ["git", "-C", str(checkout), "grep", "-q", "-F", "-e", marker, reference, "--", paths]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def main(checkout: Path) -> None:
    known = [(m, ref) for m, ref in releases(checkout) if int(m.split(".")[1]) >= FIRST_MINOR]
    head = [line for line in TABLE.read_text().splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(head))
    for row in rows:
        there = [
            m
            for m, ref in known
            if row["marker"] and holds(checkout, ref, row["paths"], row["marker"])
        ]
        if there:
            row["first"], row["last"] = there[0], there[-1]
        elif row["marker"]:
            sys.stderr.write(f"{row['id']}: its marker is in no release\n")
    with TABLE.open("w") as file:
        file.write(
            "# What ambient mode lacks or has otherwise, from Istio's documentation and source, read on "
            f"{datetime.now(tz=UTC):%Y-%m-%d};\n# releases by the source where a marker is given. Renewed by "
            f"benchmarks/ambient_tables.py; the newest release read is {known[-1][0]}.\n"
        )
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

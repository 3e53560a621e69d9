"""What earlier reports promised, found in the folders beside this one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rightsize.output.report.files import RESULTS
from rightsize.review.promises import PROMISE


@dataclass(frozen=True)
class EarlierReports:
    """Promises by month label, and a sentence for each file beside them that is no report."""

    promises: dict[str, list[dict[str, Any]]]
    skipped: tuple[str, ...] = ()


def earlier_reports(folder: Path, cluster: str, before: str) -> EarlierReports:
    """Read `<folder>/*/report.json` of the same cluster, months before `before`.

    A file that is no report of this program keeps nobody from this month's report, but is told:
    if it was last month's, its promises are missing.
    """
    promises, skipped = {}, []
    for path in sorted(folder.glob(f"*/{RESULTS}")):
        try:
            facts = json.loads(path.read_bytes())["facts"]
            label, ours = facts["month"], facts["cluster"] == cluster
            rows = [{name: row[name] for name in PROMISE} for row in facts["promises"]]
        except (OSError, ValueError, KeyError, TypeError):
            skipped.append(f"{path} is no report of rightsize, or a damaged one: left out")
            continue
        if ours and str(label) < before:
            promises[str(label)] = rows
    return EarlierReports(promises, tuple(skipped))

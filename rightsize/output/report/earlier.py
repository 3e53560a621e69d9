"""What earlier reports promised and found, in the folders beside this one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from rightsize.border import read_file
from rightsize.output.report.files import RESULTS
from rightsize.review.promises import PROMISE


@dataclass(frozen=True)
class EarlierReports:
    """Promises and results by month label, and a sentence for each file that is no report."""

    promises: dict[str, list[dict[str, Any]]]
    skipped: tuple[str, ...] = ()
    results: dict[str, dict[str, Any]] = field(default_factory=dict)


def earlier_reports(folder: Path, cluster: str, before: str) -> EarlierReports:
    """Read `<folder>/*/report.json` of the same cluster, months before `before`.

    A file that is no report of this program does not keep this month's report from being made, but
    is named: if it was an earlier month's, its promises are missing.
    """
    promises, results, skipped = {}, {}, []
    for path in sorted(folder.glob(f"*/{RESULTS}")):
        try:
            facts = orjson.loads(read_file(path, 2**26))["facts"]
            label, ours = str(facts["month"]), facts["cluster"] == cluster
            rows = [{name: row[name] for name in PROMISE} for row in facts["promises"]]
        except (OSError, ValueError, KeyError, TypeError):
            skipped.append(f"{path} is no report of rightsize, or a damaged one: left out")
            continue
        if ours and label < before:
            promises[label], results[label] = rows, facts
    return EarlierReports(promises, tuple(skipped), results)

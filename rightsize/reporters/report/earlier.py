"""What earlier reports promised, found in the folders beside this one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rightsize.errors import InputFileError
from rightsize.reporters.report.files import RESULTS


def earlier_promises(reports: Path, cluster: str, before: str) -> dict[str, list[dict[str, Any]]]:
    """Read `<reports>/*/report.json` of the same cluster, months before `before`.

    Raises
    ------
    InputFileError
        If one of them is no report of this program.
    """
    found = {}
    for path in sorted(reports.glob(f"*/{RESULTS}")):
        try:
            facts = json.loads(path.read_text())["facts"]
            label, promises = facts["month"], facts["promises"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputFileError(
                f"is no report's results ({error})", path=path, hint="delete it, or report again"
            ) from error
        if facts["cluster"] == cluster and label < before:
            found[label] = promises
    return found

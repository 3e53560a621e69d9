"""The text of a release: `python deploy/release_notes.py v1.2.3` prints its section of CHANGELOG.md.

Fails where the tag is not the program's version, or the section is missing or empty: a release without
either is none. Nothing of the program is imported, so that no dependency is needed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def version(root: Path = ROOT) -> str:
    """The program's version, from the one place where it stands."""
    text = (root / "rightsize" / "__init__.py").read_text()
    found = re.search(r'^__version__ = "([^"]+)"$', text, flags=re.M)
    if found is None:
        raise SystemExit("rightsize/__init__.py has no __version__")
    return found[1]


def section(changelog: str, of: str) -> str:
    """The lines below the headline of a version, up to the next."""
    for part in re.split(r"^## ", changelog, flags=re.M)[1:]:
        head, _, body = part.partition("\n")
        if head.split()[0] == of:
            if not body.strip():
                raise SystemExit(f"CHANGELOG.md says nothing about {of}")
            return body.strip() + "\n"
    raise SystemExit(f"CHANGELOG.md has no section for {of}")


def main(tag: str) -> str:
    now = version()
    if tag != f"v{now}":
        raise SystemExit(f"the tag is {tag}, the program is {now}: the tag must be v{now}")
    return section((ROOT / "CHANGELOG.md").read_text(), now)


if __name__ == "__main__":
    print(main(sys.argv[1]), end="")

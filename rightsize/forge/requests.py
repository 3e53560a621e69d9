"""The pull request of a branch, by GitHub's `gh` or GitLab's `glab`: made once, then kept up to date."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rightsize.border import printable
from rightsize.errors import OutputError
from rightsize.forge.programs import run

MARKER = "<!-- rightsize: updated in place -->"
"""Begins the text of each request of ours; another's text is never replaced."""


@dataclass(frozen=True)
class Forge:
    """A program that knows the requests of a repository."""

    program: str
    listing: Callable[[str], Sequence[str]]
    number: str
    text: str
    """Fields of the listing."""
    address: str
    making: Callable[[str, str, str, str, Path], Sequence[str]]
    """From branch, base, title, text and the file that holds it."""
    changing: Callable[[str, str, str, Path], Sequence[str]]
    """From number, title, text and the file that holds it."""


GITHUB = Forge(
    "gh",
    lambda branch: ["gh", "pr", "list", "--head", branch, "--state", "open", "--json",
                    "number,body,url,isCrossRepository"],
    "number", "body", "url",
    lambda branch, base, title, _, file: ["gh", "pr", "create", "--head", branch, "--base", base,
                                          "--title", title, "--body-file", str(file)],
    lambda number, title, _, file: ["gh", "pr", "edit", number, "--title", title, "--body-file",
                                    str(file)],
)  # fmt: skip
GITLAB = Forge(
    "glab",
    lambda branch: ["glab", "mr", "list", "--source-branch", branch, "--output", "json"],
    "iid", "description", "web_url",
    lambda branch, base, title, text, _: ["glab", "mr", "create", "--source-branch", branch,
                                          "--target-branch", base, "--title", title,
                                          "--description", text, "--yes"],
    lambda number, title, text, _: ["glab", "mr", "update", number, "--title", title,
                                    "--description", text, "--yes"],
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """An open request, and what was done to it."""

    address: str
    made: bool
    updated: bool


def forge_of(address: str) -> Forge | None:
    """The program for a remote's address, where it is installed; one of the two where none is named."""
    host = re.sub(r"^\w+://|^[^@/]*@", "", address.lower())
    host = host.rpartition("@")[2].partition("/")[0]
    known = [GITLAB] if "gitlab" in host else [GITHUB] if "github" in host else [GITHUB, GITLAB]
    return next((one for one in known if address and shutil.which(one.program)), None)


def request_of(forge: Forge, top: Path, branch: str, base: str, title: str, file: Path) -> Request:
    """Make the branch's request, or bring its title and text up to date.

    Raises
    ------
    OutputError
        If the program fails, or answers something else.
    """
    text = file.read_text()
    found = _listed(forge, top, branch)
    if not found:
        said = run(forge.making(branch, base, title, text, file), top)
        addresses = re.findall(r"https?://\S+", said)
        address = printable(addresses[-1] if addresses else said.strip())
        return Request(address, made=True, updated=False)
    one = found[0]
    mine = str(one.get(forge.text) or "").lstrip().startswith(MARKER)
    if mine:
        run(forge.changing(str(one[forge.number]), title, text, file), top)
    return Request(printable(one.get(forge.address, "")), made=False, updated=mine)


def _listed(forge: Forge, top: Path, branch: str) -> list[Mapping[str, Any]]:
    said = run(forge.listing(branch), top)
    try:
        found = json.loads(said or "[]")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(
        isinstance(one, dict) and forge.number in one for one in found
    ):
        raise OutputError(
            f"{forge.program} did not answer with a list of requests",
            hint=f"is it signed in? {forge.program} auth status",
        )
    # A fork may have a branch of the same name.
    found = [one for one in found if not one.get("isCrossRepository")]
    return sorted(found, key=lambda one: not str(one.get(forge.text) or "").startswith(MARKER))

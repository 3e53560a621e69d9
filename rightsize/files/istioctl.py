"""Commands of istioctl as each release takes them: the one catalogue for runbooks, plans and fixes.

From `data/istioctl_commands.csv`, collected from Istio's sources at release tags.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from rightsize.border import command
from rightsize.data_files import data_file
from rightsize.files.known import FIRST_KNOWN, Version, parse_version, version_text

LAST_KNOWN: Version = (1, 31)
"""The newest release that the table was checked against."""
IN_SYNC = "STALE or NOT SENT is not in sync"


@dataclass(frozen=True, slots=True)
class Word:
    """A command, or a flag of one, and the releases that take it.

    `marker` is a regular expression that the files `paths` of Istio's source hold in each of them.
    """

    command: tuple[str, ...]
    flag: str
    first: Version
    last: Version
    paths: str
    marker: str

    def taken_by(self, release: Version | None) -> bool:
        """Whether a release takes it; what the newest known one takes is assumed to stay."""
        stays = self.last >= LAST_KNOWN
        if release is None:
            return stays
        return self.first <= max(release, FIRST_KNOWN) and (stays or release <= self.last)


@cache
def catalogue() -> dict[tuple[tuple[str, ...], str], Word]:
    """Every command (with an empty flag) and every flag of the table."""
    with data_file("istioctl_commands.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    words = [
        Word(
            tuple(row["command"].split()),
            row["flag"],
            _version(row["first"]),
            _version(row["last"]),
            row["paths"],
            row["marker"],
        )
        for row in rows
    ]
    return {(word.command, word.flag): word for word in words}


def istioctl(
    release: Version | None, name: str, *arguments: str, flags: Mapping[str, str] | None = None
) -> str:
    """A command of istioctl in the form that a release takes.

    Parameters
    ----------
    release : (int, int) or None
        istioctl's; None writes the form of the newest.
    name : str
        The command as the newest release has it.
    arguments : str
        What it is about.
    flags : mapping of str to str, optional
        Flags with their values; empty for a switch.

    Raises
    ------
    ValueError
        If the catalogue does not hold the command, or a flag of it, for this release.

    >>> istioctl((1, 22), "waypoint apply", flags={"-n": "shop"})
    'istioctl x waypoint apply -n shop'
    """
    given = flags or {}
    for words in (tuple(name.split()), ("x", *name.split())):
        if all(_takes(words, flag, release) for flag in ("", *given)):
            values = (word for pair in given.items() for word in pair if word)
            return command("istioctl", *words, *arguments, *values)
    of = "the newest release" if release is None else version_text(release)
    raise ValueError(f"istioctl {name} with {', '.join(given) or 'no flag'} is not known of {of}")


def proxy_status(
    version: Version | None, *, namespace: str | None = None, revision: str | None = None
) -> str:
    """The command that shows which proxies an istiod serves, each type in sync or not.

    Parameters
    ----------
    version : (int, int) or None
        istioctl's release; None writes the flags that newer releases need.
    namespace : str, optional
        Only its proxies.
    revision : str, optional
        The istiod that is asked, where several run. From 1.28 on istioctl without it asks the
        default one alone; every release takes it.

    >>> proxy_status((1, 26))
    'istioctl proxy-status'
    >>> proxy_status((1, 30), namespace="shop", revision="a")
    'istioctl proxy-status -n shop --revision a -v 1'
    """
    flags = {"-n": namespace or "", "--revision": revision or ""}
    # The table names the types in sync only with it, from the release on that has it.
    flags["-v"] = "1" if _takes(("proxy-status",), "-v", version) else ""
    return istioctl(version, "proxy-status", flags={k: v for k, v in flags.items() if v})


def proxy_status_with_reading(version: Version | None) -> str:
    """The same over the whole mesh, with how it is read as a comment."""
    note = "" if version is not None else " (leave out -v 1 before 1.27)"
    return f"{proxy_status(version)}  # {IN_SYNC}{note}"


def _takes(name: tuple[str, ...], flag: str, release: Version | None) -> bool:
    word = catalogue().get((name, flag))
    return word is not None and word.taken_by(release)


def _version(text: str) -> Version:
    found = parse_version(text)
    if found is None:
        raise ValueError(f"{text!r} is no release")
    return found

"""The plan in words: checks, phases and steps as `data/rollout.toml` has them."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from string import Template
from typing import Any

from rightsize.data_files import data_file
from rightsize.files.shell import plain_script
from rightsize.rollout.model import Check, Phase, PhaseMoney, PhaseName
from rightsize.rollout.steps import Step

_USUAL: Mapping[str, object] = {
    "container": "istio-proxy",
    "reporter": "destination",
    "more": "",
    "mine": "",
}
"""What a query is asked of where nothing else is given."""


@functools.cache
def _words() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(data_file("rollout.toml").read_text(encoding="utf-8"))


def check_names() -> tuple[str, ...]:
    """Every check that a plan may have."""
    return tuple(_words()["checks"])


def check(of: str, name: str | None = None, says: str | None = None, **given: object) -> Check:
    """The check `of` with these values, under a name and in words of its own where given."""
    words, values = _words()["checks"][of], {**_USUAL, **given}
    text = says or filled(words["says"], values)
    return Check(name or of, text, filled(words["query"], values))


def phase(
    name: PhaseName, money: PhaseMoney | None, checks: Iterable[Check] = (), **given: object
) -> Phase:
    """The phase of this name; a list among the values stands for several lines.

    Raises
    ------
    ValueError
        If two checks have one name.
    """
    words = _words()["phases"][name]
    title, what, risk, wait = (
        filled(words[part], given) for part in ("title", "what", "risk", "wait")
    )
    before, notes = (
        tuple(filled_lines(words.get(part, ()), given)) for part in ("before", "notes")
    )
    return Phase(name, title, what, before, risk, unique(checks), wait, money, notes)


def steps(name: PhaseName, **given: object) -> tuple[list[Step], list[Step]]:
    """Steps and way back that a phase always has, and those with an `if` where that is given."""
    words = _words()["phases"][name]

    def made(part: str) -> list[Step]:
        return [
            Step(filled(step["text"], given), tuple(filled_lines(step.get("commands", ()), given)))
            for step in words.get(part, ())
            if given.get(step.get("if", ""), "if" not in step)
        ]

    return made("steps"), made("back")


def script(name: str, **given: object) -> str:
    """A shell script that a phase always has."""
    words = _words()["scripts"][name]
    return plain_script(list(filled_lines(words["lines"], given)), words["comment"])


def unique(checks: Iterable[Check]) -> tuple[Check, ...]:
    """The checks as a tuple.

    Raises
    ------
    ValueError
        If two bear one name.
    """
    found = tuple(checks)
    names = [check.name for check in found]
    if len(set(names)) != len(names):
        raise ValueError(f"checks of one name: {names}")
    return found


def filled_lines(texts: Iterable[str], given: Mapping[str, object]) -> Iterator[str]:
    """The lines with these values; a line that names a list is as many lines."""
    for text in texts:
        several = given.get(text[1:])
        if isinstance(several, list | tuple):
            yield from several
        else:
            yield filled(text, given)


def filled(text: str, given: Mapping[str, object]) -> str:
    """The text with these values for its `$name`s."""
    return Template(text).substitute(given)

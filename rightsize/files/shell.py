"""Shell scripts that are written: every word quoted, nothing done to what is not there any more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rightsize.border import command, remark

_RUNNER = """\
changed=0 absent=0 failed=0
# on NAME OBJECT...: runs `change` if the object is there, and counts what came of it.
on() {
  name=$1
  shift
  if ! found=$(kubectl get "$@" --ignore-not-found -o name); then
    failed=$((failed + 1))
    echo "failed, not found out whether it is there: $name" >&2
  elif [ -z "$found" ]; then
    absent=$((absent + 1))
    echo "not there any more, skipped: $name" >&2
  elif change; then
    changed=$((changed + 1))
  else
    failed=$((failed + 1))
    echo "failed: $name" >&2
  fi
}
"""
_COUNT = """\
echo "$changed changed, $absent not there any more, $failed failed"
[ "$failed" -eq 0 ]
"""


@dataclass(frozen=True, slots=True)
class Change:
    """Commands on one object of the cluster, each a line that is quoted already."""

    name: str
    target: tuple[str, ...]
    """Words after `kubectl get` that find the object."""
    commands: tuple[str, ...]


def change_script(changes: Iterable[Change], comment: str) -> str:
    """A script that makes each change, skips what is gone, goes on after a failure, and counts.

    It ends with 1 if a change failed.
    """
    lines = [*_head(comment), _RUNNER]
    for one in changes:
        if one.commands:
            lines += ["change() {", "  " + " &&\n    ".join(one.commands), "}"]
            lines += [command("on", one.name, *one.target)]
    return "\n".join([*lines, "", _COUNT])


def plain_script(commands: Sequence[str], comment: str) -> str:
    """A script that stops at the first failure: each command needs the one before."""
    return "\n".join([*_head(comment), "set -e", *commands, ""])


def _head(comment: str) -> list[str]:
    # Single quotes keep the shell from reading anything into a name; that is what 2016 asks about.
    return ["#!/bin/sh", "# shellcheck disable=SC2016", *remark(comment)]

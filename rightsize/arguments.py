"""What a caller of the Python interface gives: errors name the argument, and what it can be."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from rightsize.errors import UsageError


def place(argument: str, value: object) -> str:
    """The path or address as text; a UsageError that names the argument where it is neither."""
    found = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(found, str) or not found:
        raise UsageError(f"{argument}={value!r} is no path", hint="give a str or a pathlib.Path")
    return found


def places(argument: str, values: object) -> list[str]:
    """Each path as text; a UsageError that names the argument where they are no list of paths."""
    if isinstance(values, str | bytes | os.PathLike) or not isinstance(values, Iterable):
        raise UsageError(
            f"{argument}={values!r} is no list of paths", hint="give some, such as [path]"
        )
    return [place(argument, one) for one in values]


def several(argument: str, values: Sequence[str], allowed: Sequence[str]) -> None:
    """Raise a UsageError that names the argument where it is not some of `allowed`."""
    if isinstance(values, str) or not values:
        raise UsageError(
            f"{argument}={values!r} is no list of them", hint=f"some of {', '.join(allowed)}"
        )
    for value in values:
        one_of(argument, value, allowed)


def number(
    argument: str,
    value: object,
    *,
    least: float,
    most: float = float("inf"),
    itself: bool = True,
) -> None:
    """Raise a UsageError that names the argument where it is set and out of its range."""
    if value is None:
        return
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and least <= value <= most
        and (itself or value > least)
        and value < float("inf")
    ):
        return
    kind = "from" if itself else "more than"
    upper = "" if most == float("inf") else f" to {most:g}"
    raise UsageError(f"{argument}={value!r} cannot be", hint=f"a number {kind} {least:g}{upper}")


def one_of(argument: str, value: str, allowed: Sequence[str]) -> None:
    """Raise a UsageError that names the argument where `value` is none of `allowed`."""
    if value not in allowed:
        raise UsageError(f"{argument}={value!r} is not known", hint=f"one of {', '.join(allowed)}")

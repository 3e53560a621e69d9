"""A number that a file sets, as Kubernetes reads it."""

from __future__ import annotations

import re

from rightsize.files import tree
from rightsize.files.source import Source
from rightsize.files.tree import dotted
from rightsize.quantity import parse_quantity


def number_at(node: tree.Scalar, path: tree.Path, source: Source, *, whole: bool) -> float:
    """The number of a scalar: a quantity, or a whole number where that is asked for.

    Raises
    ------
    InputFileError
        With the place, where it is neither.
    """
    where = dotted(path)
    try:
        if whole:
            int(node.value)
        return parse_quantity(node.value)
    except ValueError:
        pass
    variable = re.search(r"\$\{+\s*(?:var\.|local\.)?([A-Za-z_][\w.]*)", node.value)
    if variable is not None:
        raise source.error(
            f"{where}: {node.value!r} takes its number from {variable[1]}",
            node.start,
            hint=f"Change {variable[1]} where it is defined, or write the number here.",
        )
    if node.style == "expression":
        raise source.error(
            f"{where}: {node.value} is worked out by Terraform",
            node.start,
            hint="Set the number where it is defined, or write it here.",
        )
    if not whole:
        raise source.error(
            f"{where}: {node.value!r} is not a Kubernetes quantity",
            node.start,
            hint="Write it like 250m or 128Mi, without blanks.",
        )
    raise source.error(f"{where}: {node.value!r} is not a whole number", node.start)

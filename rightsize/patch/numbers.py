"""A number that a file sets, as Kubernetes reads it."""

from __future__ import annotations

import re

from rightsize.errors import InputFileError
from rightsize.files import tree
from rightsize.files.source import Source
from rightsize.files.tree import dotted
from rightsize.quantity import parse_quantity


class WorkedOutError(InputFileError):
    """A number that Terraform works out: the rest of the file can be patched without it."""

    def __init__(self, source: Source, node: tree.Scalar, where: str) -> None:
        line, column = tree.position(source.text, node.start)
        hint = "Set the number where it is defined, or write it here."
        what = f"{where}: {node.value} is worked out by Terraform"
        super().__init__(what, path=source.path, line=line, column=column, hint=hint)
        self.source = source
        self.text = f"line {line}: {what}; set the number where it is defined, or write it here"


def number_at(node: tree.Scalar, path: tree.Path, source: Source, *, whole: bool) -> float:
    """The number of a scalar: a quantity, or a whole number where that is asked for.

    Raises
    ------
    InputFileError
        With the place, where it is neither; `WorkedOutError` where Terraform works it out.
    """
    where = dotted(path)
    try:
        if whole:
            int(node.value)
        return parse_quantity(node.value)
    except ValueError:
        pass
    variable = re.search(r"(?:\$\{|\{\{-?)+\s*(?:var|local|)\.?([A-Za-z_][\w.]*)", node.value)
    if variable is not None:
        raise source.error(
            f"{where}: {node.value!r} takes its number from {variable[1]}",
            node.start,
            hint=f"Change {variable[1]} where it is defined, or write the number here.",
        )
    if node.style == "expression":
        raise WorkedOutError(source, node, where)
    if not whole:
        raise source.error(
            f"{where}: {node.value!r} is not a Kubernetes quantity",
            node.start,
            hint="Write it like 250m or 128Mi, without blanks.",
        )
    raise source.error(f"{where}: {node.value!r} is not a whole number", node.start)

"""Where kinds of document are registered."""

from __future__ import annotations

from collections.abc import Callable

from rightsize.files.source import Layer
from rightsize.patch.given import Given
from rightsize.patch.groups import Group

Kind = Callable[[Layer, Given], "list[Group] | None"]
KINDS: list[Kind] = []


def kind(reader: Kind) -> Kind:
    """Register a kind of document."""
    KINDS.append(reader)
    return reader


def groups_of(layer: Layer, given: Given) -> list[Group] | None:
    """The groups of sizes in a document; None for a document of no known kind."""
    for reader in KINDS:
        found = reader(layer, given)
        if found is not None:
            return found
    return None

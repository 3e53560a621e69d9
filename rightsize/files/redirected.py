"""Values that a document spells as pairs of path and value, read as one tree.

Argo CD's `parameters`, the `set` of Helmfile and Terraform, and JSON 6902 patches all do so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from rightsize.files import tree
from rightsize.files.source import Layer


@dataclass(eq=False)
class Redirected(Layer):
    """A layer with a tree made of pairs.

    `entries` maps the path that a pair sets to the path of its value in the document.
    """

    entries: Mapping[tree.Path, tree.Path] = field(default_factory=dict, kw_only=True)

    @property
    def root(self) -> tree.Node | None:
        return self._tree

    @cached_property
    def _tree(self) -> tree.Mapping:
        top = tree.Mapping(0, 0)
        for path, real in self.entries.items():
            node = tree.lookup(self.source.documents[self.document].root, real)
            if node is not None:
                _put(top, path, node)
        return top

    def real(self, path: tree.Path) -> tree.Path | None:
        """Where in the document a path of the tree is written; None where nothing sets it."""
        for length in range(len(path), 0, -1):
            found = self.entries.get(path[:length])
            if found is not None:
                return (*found, *path[length:])
        return None


def _put(top: tree.Mapping, path: tree.Path, node: tree.Node) -> None:
    """Set a node in a tree of mappings and lists, which are made on the way."""
    at: tree.Node = top
    for step, following in zip(path, (*path[1:], None), strict=True):
        child: tree.Node = tree.Sequence(0, 0) if isinstance(following, int) else tree.Mapping(0, 0)
        child = node if following is None else child
        if isinstance(at, tree.Mapping) and isinstance(step, str):
            held = at.own(step)
            if held is None or following is None:
                at.items = [pair for pair in at.items if pair[1] is not held]
                at.items.append((tree.Scalar(0, 0, value=step), child))
                held = child
        elif isinstance(at, tree.Sequence) and isinstance(step, int):
            while len(at.items) <= step:
                at.items.append(tree.Scalar(0, 0, value="null"))
            if following is None or not isinstance(at.items[step], tree.Mapping | tree.Sequence):
                at.items[step] = child
            held = at.items[step]
        else:
            return
        at = held

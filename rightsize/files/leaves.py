"""The leaves of a document, to compare what two texts mean."""

from __future__ import annotations

from rightsize.files import tree


def flatten(node: tree.Node | None) -> dict[tree.Path, str]:
    """Every leaf of a document with tags kept apart, aliases and merges resolved.

    Two texts parse alike exactly when these are equal; an empty list or mapping is a leaf.
    """
    leaves: dict[tree.Path, str] = {}
    if node is not None:
        _flatten(node, (), leaves)
    return leaves


def _flatten(node: tree.Node, path: tree.Path, leaves: dict[tree.Path, str]) -> None:
    node = tree.resolve(node)
    if len(leaves) > tree.MAX_NODES or len(path) > tree.MAX_DEPTH:
        raise tree.FlawError("aliases make this document too large to compare", node.start)
    if isinstance(node, tree.Scalar):
        leaves[path] = f"{'plain' if not node.style else 'string'}{node.tag}:{node.value}"
    elif isinstance(node, tree.Mapping):
        keys = node.names()
        for key in keys:
            child = node.get(key)
            if child is not None:
                _flatten(child, (*path, key), leaves)
        for number, (key_node, child) in enumerate(node.items):
            if not isinstance(key_node, tree.Scalar):
                _flatten(key_node, (*path, f"complex key {number}"), leaves)
                _flatten(child, (*path, f"complex value {number}"), leaves)
        if not keys:
            leaves[path] = "{}"
    elif isinstance(node, tree.Sequence):
        for number, item in enumerate(node.items):
            _flatten(item, (*path, number), leaves)
        if not node.items:
            leaves[path] = "[]"

"""The one check of a written file, whatever its kind.

It parses; in what Kubernetes gets of it no request is above its limit, looked at in the merged
blocks of the new text and not line by line; nothing but sizes changed; a second run changes
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from difflib import ndiff

import yaml

from rightsize.patch import PatchedFile
from rightsize.patch.given import HCL_SUFFIXES, read_any
from rightsize.quantity import parse_quantity

SIZING = re.compile(
    r"resources|requests|limits|cpu|memory|proxyCPU|proxyMemory|global|proxy|pilot|autoscal|value|"
    r"replicas|utilization|annotations|set|name|runtime|components|container|podAnnotations|"
    r"template|spec|metadata|hpaSpec|k8s|metrics|components|ztunnel|cni|^\s*[{}\[\](),]*$",
    re.IGNORECASE,
)
ANNOTATIONS = (
    ("sidecar.istio.io/proxyCPU", "sidecar.istio.io/proxyCPULimit"),
    ("sidecar.istio.io/proxyMemory", "sidecar.istio.io/proxyMemoryLimit"),
)
Tree = object


def check_written(patched: PatchedFile, again: Callable[[], PatchedFile]) -> None:
    """Check a file that was written; `again` patches the written file once more."""
    patched.path.write_bytes(patched.text_after.encode())
    read_any(patched.path)
    difference = ndiff(patched.text_before.splitlines(), patched.text_after.splitlines())
    moved = [line[2:] for line in difference if line[:2] in ("- ", "+ ")]
    assert all(SIZING.search(line) for line in moved), moved
    broken = set(above_limit(patched)) - set(above_limit(patched, before=True))
    assert not broken, broken
    assert not again().changed


def above_limit(patched: PatchedFile, *, before: bool = False) -> Iterator[str]:
    """Every block with a request above its limit."""
    for document in _documents(patched, before=before):
        for block in _mappings(document):
            for request, limit in _pairs(block):
                try:
                    if parse_quantity(request) > parse_quantity(limit):
                        yield f"{request} above {limit}"
                except ValueError:
                    continue


def _pairs(block: dict[object, Tree]) -> Iterator[tuple[str, str]]:
    requests, limits = block.get("requests"), block.get("limits")
    if isinstance(requests, dict) and isinstance(limits, dict):
        for resource in ("cpu", "memory"):
            if requests.get(resource) is not None and limits.get(resource) is not None:
                yield str(requests[resource]), str(limits[resource])
    for request, limit in ANNOTATIONS:
        if block.get(request) and block.get(limit):
            yield str(block[request]), str(block[limit])


def _documents(patched: PatchedFile, *, before: bool) -> Iterator[Tree]:
    text = patched.text_before if before else patched.text_after
    if patched.path.suffix not in HCL_SUFFIXES:
        yield from yaml.load_all(text.replace("\t", " "), Loader=_Loader)
        return
    # Terraform is read as what its quoted and multi-line blocks say.
    for block in re.findall(r"requests\s*=\s*\{([^}]*)\}\s*,?\s*limits\s*=\s*\{([^}]*)\}", text):
        yield dict(zip(("requests", "limits"), map(_attributes, block), strict=True))
    for body in re.findall(r"<<-?\s*\"?(\w+)\n(.*?)\n\s*\1\b", text, re.DOTALL):
        try:
            yield yaml.safe_load(re.sub(r"[$%]\{[^}]*\}", "x", body[1]))
        except yaml.YAMLError:
            continue


def _attributes(text: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+)\s*=\s*\"?([\w.]+)", text))


def _mappings(node: Tree) -> Iterator[dict[object, Tree]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _mappings(value)
    elif isinstance(node, list):
        for value in node:
            yield from _mappings(value)
    elif isinstance(node, str) and "\n" in node:
        try:
            yield from _mappings(yaml.safe_load(node))
        except yaml.YAMLError:
            return


class _Loader(yaml.SafeLoader):
    """YAML with tags of any other tool."""


_Loader.add_multi_constructor("", lambda loader, tag, node: None)
_Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)

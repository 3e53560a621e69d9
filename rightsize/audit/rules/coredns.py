"""Corefiles that CoreDNS refuses, and caches too short for a mesh."""

from __future__ import annotations

from collections.abc import Iterator

from rightsize.audit.model import Corefile, CorefileLine, Sources
from rightsize.audit.registry import Hit, absent, at, rule

_LEAST_CACHE_SECONDS = 30
"""What EKS's and kubeadm's own Corefile says."""
_REMOVED_PLUGINS = {
    "proxy": ("1.5.0", "forward . /etc/resolv.conf"),
    "federation": ("1.7.0", "# delete the block"),
}
_REMOVED_OPTIONS = {"resyncperiod": ("1.7.0", "# delete the line")}


@rule("coredns-upstream")
def upstream(sources: Sources) -> Iterator[Hit]:
    for line in _lines(sources):
        if line.words[0] == "upstream" and line.plugin not in ("log", "errors"):
            yield at(line.place, " ".join(line.words), "# delete the line")


@rule("coredns-removed")
def removed(sources: Sources) -> Iterator[Hit]:
    for line in _lines(sources):
        name = line.words[0]
        if line.plugin is None and name in _REMOVED_PLUGINS:
            version, fix = _REMOVED_PLUGINS[name]
        elif line.plugin == "kubernetes" and name in _REMOVED_OPTIONS:
            version, fix = _REMOVED_OPTIONS[name]
        else:
            continue
        yield at(line.place, " ".join(line.words), fix, versions=f"CoreDNS {version} and later")


@rule("coredns-cache-short")
def cache_short(sources: Sources) -> Iterator[Hit]:
    for line in _lines(sources):
        seconds = _cache_seconds(line)
        if seconds is not None and seconds < _LEAST_CACHE_SECONDS:
            fix = _with_seconds(line)
            yield at(line.place, f"{' '.join(line.words)} ({seconds} s)", fix)


@rule("coredns-no-cache")
def no_cache(sources: Sources) -> Iterator[Hit]:
    for corefile in sources.corefiles:
        root = _root_zone(corefile)
        if root and not any(line.words[0] == "cache" for line in root):
            forward = next((line for line in root if line.words[0] == "forward"), root[0])
            fix = "cache 30"
            yield at(forward.place, "the block of the root zone has no cache", fix)
    if not sources.corefiles and sources.objects:
        fix = "# cache 30 in the block of the root zone"
        yield absent(sources.objects[0].root, "a Corefile", fix)


@rule("coredns-extra-zone")
def extra_zone(sources: Sources) -> Iterator[Hit]:
    for corefile in sources.corefiles:
        zones = {line.zones: line for line in reversed(corefile.lines)}
        for names, line in zones.items():
            if any(name.split(":")[0] == "svc.cluster.local" for name in names):
                yield at(line.place, f"a block for {' '.join(names)}", "# delete the block")


def _lines(sources: Sources) -> Iterator[CorefileLine]:
    for corefile in sources.corefiles:
        yield from corefile.lines


def _root_zone(corefile: Corefile) -> list[CorefileLine]:
    return [
        line
        for line in corefile.lines
        if line.plugin is None and any(zone.split(":")[0] == "." for zone in line.zones)
    ]


def _cache_seconds(line: CorefileLine) -> int | None:
    """Longest time an answer is kept: `cache [ttl] [zones]`, `success capacity [ttl]`."""
    words = line.words
    if line.plugin is None and words[0] == "cache" and len(words) > 1 and words[1].isdigit():
        return int(words[1])
    if line.plugin == "cache" and words[0] == "success" and len(words) > 2 and words[2].isdigit():
        return int(words[2])
    return None


def _with_seconds(line: CorefileLine) -> str:
    words = list(line.words)
    words[1 if words[0] == "cache" else 2] = str(_LEAST_CACHE_SECONDS)
    if line.place.path.endswith(".parameters"):
        # In the values of CoreDNS' chart the plugin's name stands in a key of its own.
        return f'parameters: "{" ".join(words[1:])}"'
    return " ".join(words)

"""What each command needs of a cluster, object by object, and what it was not allowed to see."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from rightsize.collectors.errors import ServerFailedError
from rightsize.collectors.kube.connection import IN_CLUSTER, Cluster
from rightsize.collectors.kube.pages import AbsentError, Item, RefusedError, checked, get, listed
from rightsize.collectors.kube.resources import RESOURCES, Names, Resource, Use
from rightsize.collectors.objects import Objects, objects_of
from rightsize.errors import NoDataError
from rightsize.snapshot.manifest import Missing

_REVISION = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_MANY = 5
"""Kinds refused in every namespace: a ClusterRole is missing, and not one of its rules."""
_NOISE = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass
class _Gaps:
    """What could not be read."""

    refused: dict[Resource, list[str | None]] = field(default_factory=dict)
    """Namespaces in which a kind may not be read, None for all at once."""
    failed: dict[Resource, str] = field(default_factory=dict)
    """What the server said of kinds that others define: their conversion webhooks may be down."""


@dataclass(frozen=True)
class Read:
    """Objects of a cluster, what could not be read, and the kinds that are there as a whole."""

    objects: list[Item]
    missing: list[Missing]
    whole: frozenset[str]


def cluster_objects(cluster: Cluster) -> Objects:
    """What `--objects` would hold of a cluster, one page in memory at a time."""
    gaps = _Gaps()
    odd: list[str] = []
    found = objects_of(_objects(cluster, "snapshot", gaps), [cluster.name], odd=odd)
    unread = [Missing(f"{one}, an object of another shape", "what it says") for one in odd]
    own = None if cluster.name == IN_CLUSTER else cluster_name(cluster.name)
    return replace(found, missing=[*_missing(gaps), *unread], cluster=own)


def cluster_name(context: str) -> str:
    """The cluster's own name in that of its context.

    Examples
    --------
    >>> cluster_name("arn:aws:eks:eu-west-1:123456789012:cluster/prod")
    'prod'
    >>> cluster_name("ann@prod.eu-west-1.eksctl.io")
    'prod.eu-west-1'
    """
    return context.rpartition("/")[2].rpartition("@")[2].removesuffix(".eksctl.io")


def configuration_objects(cluster: Cluster) -> Read:
    """Istio's and Gateway API's objects, ExternalName Services and the MeshConfig in force."""
    return _read(cluster, "configuration")


def audited_objects(cluster: Cluster) -> Read:
    """What runs and how it is configured, without status and bookkeeping."""
    found = _read(cluster, "audit")
    return replace(found, objects=[_as_written(item) for item in found.objects])


def _read(cluster: Cluster, use: Use) -> Read:
    gaps = _Gaps()
    objects = list(_objects(cluster, use, gaps))
    kinds = {one.kind for one in RESOURCES if use in one.uses and not cluster.namespaces}
    whole = kinds - {resource.kind for resource in (*gaps.refused, *gaps.failed)}
    return Read(objects, _missing(gaps), frozenset(whole))


def _missing(gaps: _Gaps) -> list[Missing]:
    found = []
    for resource, places in gaps.refused.items():
        verb = "get" if resource.names else "list"
        shown = ", ".join(place or "every namespace" for place in places)
        where = f" {shown}" if resource.names else f" in {shown}" if resource.namespaced else ""
        found.append(Missing(f"permission to {verb} {resource.title}{where}", resource.costs))
    everywhere = [one for one, places in gaps.refused.items() if one.namespaced and None in places]
    if len(everywhere) >= _MANY:
        costs = "with a Role in some namespaces alone, give them with --kube-namespace"
        found.insert(0, Missing("permission for every namespace at once", costs))
    found += [Missing(f"{one.title} ({why})", one.costs) for one, why in gaps.failed.items()]
    return found


def _objects(cluster: Cluster, use: Use, gaps: _Gaps) -> Iterator[Item]:
    revisions: dict[str, None] = {}
    for resource in RESOURCES:
        if use not in resource.uses:
            continue
        names = resource.names
        if resource.per_revision:
            names += tuple(
                (place, f"{name}-{revision}")
                for revision in revisions
                for place, name in resource.per_revision
            )
        for item in _of_resource(cluster, resource, names, gaps):
            if resource.kind == "MutatingWebhookConfiguration":
                if not _is_injector(item):
                    continue
                revisions |= dict.fromkeys(_revision(item))
            yield item


def _is_injector(item: Item) -> bool:
    return (item["metadata"].get("labels") or {}).get("app") == "sidecar-injector"


def _revision(item: Item) -> Iterator[str]:
    """The revision that an injector's webhook belongs to, where it is not the default's."""
    revision = (item["metadata"].get("labels") or {}).get("istio.io/rev")
    if isinstance(revision, str) and revision != "default" and _REVISION.fullmatch(revision):
        yield revision


def _of_resource(cluster: Cluster, resource: Resource, names: Names, gaps: _Gaps) -> Iterator[Item]:
    """All objects of a kind; a kind that the server does not have has none."""
    for place, name in names or ((place, "") for place in _places(cluster, resource)):
        for version in resource.versions:
            try:
                for item in _of_version(cluster, resource, version, place, name):
                    # Lists of built-in kinds do not repeat these in their items.
                    item.setdefault("kind", resource.kind)
                    group = f"{resource.group}/" if resource.group else ""
                    item.setdefault("apiVersion", group + version)
                    yield item
            except AbsentError:
                if resource.kind == "Namespace" and place:
                    raise NoDataError(
                        f"{cluster.name}: there is no namespace {place}",
                        hint="kubectl get namespaces lists them; look at --kube-namespace",
                    ) from None
                continue
            except RefusedError:
                where = f"{name} in {place}" if name else place
                gaps.refused.setdefault(resource, []).append(where)
            except ServerFailedError as error:
                if not resource.custom:
                    raise
                gaps.failed[resource] = error.what.partition(": ")[2]
            break


def _places(cluster: Cluster, resource: Resource) -> Iterable[str | None]:
    if resource.namespaced or resource.kind == "Namespace":
        return cluster.namespaces or (None,)
    return (None,)


def _of_version(
    cluster: Cluster, resource: Resource, version: str, place: str | None, name: str
) -> Iterator[Item]:
    if resource.kind == "Namespace":
        name, place = place or "", None
    if name:
        path = resource.path(version, place, name)
        yield checked(cluster, path, get(cluster, path))
    else:
        yield from listed(cluster, resource.path(version, place))


def _as_written(item: Item) -> Item:
    about = {k: v for k, v in item["metadata"].items() if k != "managedFields"}
    notes = {k: v for k, v in (about.get("annotations") or {}).items() if k != _NOISE}
    if notes:
        about["annotations"] = notes
    else:
        about.pop("annotations", None)
    return {k: v for k, v in item.items() if k != "status"} | {"metadata": about}

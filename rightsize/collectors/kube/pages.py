"""Lists in pages: a part of the objects at a time, each once, whatever happens on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from rightsize.collectors.errors import (
    MalformedAnswerError,
    MetricsServerError,
    ServerFailedError,
    TooManyRequestsError,
)
from rightsize.collectors.kube.connection import Cluster, Reply, unauthorized
from rightsize.collectors.objects import shape_fault

PAGE = 250
"""Objects of one answer: of large pods about 5 MB, and an etcd read that hurts nobody."""
_ATTEMPTS = 4
_RESTARTS = 5
_MOST_OBJECTS = 1_000_000
"""Of one list: EKS clusters have up to some hundred thousand pods."""
_LONGEST_WAIT = 30.0
Item = dict[str, Any]


class RefusedError(Exception):
    """403: this list is not allowed."""


class AbsentError(Exception):
    """404: the server has no such resource or object."""


class ExpiredError(Exception):
    """410: the list went on for too long; it has to begin again."""


def get(cluster: Cluster, path: str, query: Mapping[str, str] | None = None) -> Item:
    """Ask for one document; passing failures are tried again, as often as is polite.

    Raises
    ------
    RefusedError, AbsentError, ExpiredError
        What the caller decides about.
    MetricsServerError
        If the server fails, or answers what is no Kubernetes object.
    """
    for attempt in range(_ATTEMPTS):
        last = attempt == _ATTEMPTS - 1
        try:
            reply = cluster.get(path, query or {})
        except MetricsServerError as error:
            if last or not error.passing:
                raise
            time.sleep(0.2 * 2**attempt)
            continue
        if reply.status == 410 and not query:  # only a list can have expired
            raise _failure(cluster.name, path, reply)
        if reply.status == 429 or reply.status >= 500:
            if last:
                raise _failure(cluster.name, path, reply)
            time.sleep(_wait(reply, attempt))
            continue
        return _document(cluster.name, path, reply)
    raise AssertionError("the last attempt returns or raises")


def listed(cluster: Cluster, path: str) -> Iterator[Item]:
    """Every object of a list, each once; a list that expired in the middle begins anew."""
    seen: set[tuple[str, str]] = set()
    tokens: set[object] = set()
    query = {"limit": str(PAGE)}
    restarts = 0
    while True:
        try:
            page = get(cluster, path, query)
        except ExpiredError:
            restarts += 1
            if restarts > _RESTARTS or "continue" not in query:
                raise ServerFailedError(
                    f"{cluster.name}: the list {path} expired again and again",
                    hint="try when the API server is less busy",
                ) from None
            query = {"limit": str(PAGE)}
            tokens.clear()
            continue
        items, about = page.get("items", "none"), page.get("metadata") or {}
        if not (items is None or isinstance(items, (list, tuple))) or not isinstance(about, dict):
            raise MalformedAnswerError(f"{cluster.name}: {path} is no list")
        for item in items or ():  # Go writes an empty list as null
            one = checked(cluster, path, item)
            key = (one["metadata"].get("namespace") or "", one["metadata"]["name"])
            if key not in seen:
                seen.add(key)
                yield one
        following = about.get("continue")
        if not following:
            return
        if not isinstance(following, str) or following in tokens or len(seen) > _MOST_OBJECTS:
            raise MalformedAnswerError(
                f"{cluster.name}: {path} has no end: {len(seen):,} objects, and a page that leads "
                "to another"
            )
        tokens.add(following)
        query = {"limit": str(PAGE), "continue": following}


def checked(cluster: Cluster, path: str, item: object) -> Item:
    """The object itself.

    Raises
    ------
    MalformedAnswerError
        If it has not the shape that every object has.
    """
    if not isinstance(item, dict) or (fault := shape_fault(item)):
        what = fault if isinstance(item, dict) else "is no map"
        raise MalformedAnswerError(f"{cluster.name}: {path} holds what is no object: it {what}")
    return item


def _document(name: str, path: str, reply: Reply) -> Item:
    if reply.status == 401:
        raise unauthorized(name)
    for status, kind in ((403, RefusedError), (404, AbsentError), (410, ExpiredError)):
        if reply.status == status:
            raise kind(path)
    try:
        content = orjson.loads(reply.body)
    except orjson.JSONDecodeError as error:
        raise MalformedAnswerError(
            f"{name}: {path} answered {reply.status} and no JSON",
            hint="is this the address of a Kubernetes API server?",
        ) from error
    if reply.status != 200 or not isinstance(content, dict):
        raise _failure(name, path, reply)
    return content


def _failure(name: str, path: str, reply: Reply) -> MetricsServerError:
    made = TooManyRequestsError if reply.status == 429 else ServerFailedError
    return made(f"{name}: {path} answered {reply.status}", hint="is the API server well?")


def _wait(reply: Reply, attempt: int) -> float:
    try:
        asked = float(reply.retry_after or "")
    except ValueError:
        asked = 0.2 * 2**attempt
    return asked if 0.0 <= asked <= _LONGEST_WAIT else _LONGEST_WAIT

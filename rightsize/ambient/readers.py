"""What reads the metrics of HTTP requests, which end where no waypoint is: rules, boards, scalers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rightsize.audit.model import Sources
from rightsize.audit.tree import Node

LAYER_7_METRICS = (
    "istio_requests_total",
    "istio_request_duration_milliseconds",
    "istio_request_bytes",
    "istio_response_bytes",
    "istio_request_messages_total",
    "istio_response_messages_total",
)
"""Metrics of Envoy's statistics filter; ztunnel has none of them, a waypoint all."""
_METRIC = re.compile(rf"\b({'|'.join(LAYER_7_METRICS)})(_bucket|_sum|_count)?\b")
_NAMESPACE = re.compile(
    r'destination_(?:workload|service)_namespace\s*=~?\s*"([a-z0-9][-a-z0-9]*)"'
)


@dataclass(frozen=True, slots=True)
class Reader:
    """One expression. `namespace` None: it reads every namespace, or one that it does not name."""

    namespace: str | None
    metric: str
    where: str


def layer_7_readers(sources: Sources) -> tuple[Reader, ...]:
    """Every expression over metrics of requests in the documents, once for each place."""
    found = [reader for root in sources.documents for reader in _in(root)]
    return tuple(dict.fromkeys(found))


def _in(root: Node) -> Iterator[Reader]:
    for node in root.walk():
        metric = _METRIC.search(node.text) if node.text else None
        if metric is None or node.text is None:
            continue
        named = sorted(set(_NAMESPACE.findall(node.text)))
        place = node.place
        where = f"{place.file}:{place.line}" if place.line else place.file
        for namespace in named or [None]:
            yield Reader(namespace, metric[1], where)

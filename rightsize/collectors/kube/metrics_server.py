"""The metrics server of a cluster: found among its Services, reached through the API server's proxy.

The API server passes a GET on to a Service for whoever may `get` its `services/proxy`; nothing has to
be exposed, and no port forwarded. kubernetes.io, "Access Services Running on Clusters".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests
from requests.auth import AuthBase

from rightsize.collectors.errors import MalformedAnswerError
from rightsize.collectors.kube.connection import ApiServer
from rightsize.collectors.kube.pages import AbsentError, Item, RefusedError, listed
from rightsize.collectors.prometheus.connection import (
    Connection,
    ThroughApiServer,
    headers_of,
)
from rightsize.config import PrometheusSettings
from rightsize.errors import NoDataError, UsageError
from rightsize.secrets import register_header

_WANTED = re.compile(
    r"([a-z0-9][-a-z0-9.]*)/(?:(https?):)?([a-z0-9][-a-z0-9.]*)(?::([-a-z0-9]{1,63}))?(/[\w./-]*)?"
)
_PORTS = ("http-web", "web", "http", "http-query", "http-metrics", "https", "")
"""Names of the ports that speak Prometheus's API, the likeliest first."""
ROLE_HINT = (
    "kubectl apply -f docs/cluster-role-prometheus.yaml and bind it, or use kubectl port-forward with "
    "--prometheus-url"
)


@dataclass(frozen=True)
class Kind:
    """Labels that a product's chart or operator gives to the Service that answers queries."""

    product: str
    labels: Mapping[str, str]
    path: str = ""


def _kinds(product: str, *labels: Mapping[str, str], path: str = "") -> tuple[Kind, ...]:
    return tuple(Kind(product, one, path) for one in labels)


_NAME, _PART = "app.kubernetes.io/name", "app.kubernetes.io/component"
KINDS: tuple[tuple[Kind, ...], ...] = (
    _kinds("mimir", {_NAME: "mimir", _PART: "query-frontend"}, path="/prometheus"),
    _kinds(
        "thanos",
        {_NAME: "thanos", _PART: "query-frontend"},
        {_NAME: "thanos", _PART: "query"},
        {_NAME: "thanos-query"},
        {"app": "thanos-query"},
        {"app": "thanos-querier"},
    ),
    _kinds(
        "victoriametrics cluster",
        {_NAME: "vmselect"},
        {"app": "vmselect"},
        path="/select/0/prometheus",
    ),
    _kinds(
        "victoriametrics", {_NAME: "vmsingle"}, {_NAME: "victoria-metrics-single"}
    ),
    _kinds(
        "prometheus",
        {"app": "kube-prometheus-stack-prometheus"},
        {"app": "rancher-monitoring-prometheus"},
        {"app": "prometheus-operator-prometheus"},
        {_NAME: "prometheus", _PART: "server"},
        {_NAME: "kube-prometheus", _PART: "prometheus"},
        {_NAME: "prometheus", "app.kubernetes.io/part-of": "kube-prometheus"},
        {"app": "prometheus", "component": "server"},
        {"app": "prometheus-server"},
        {"app": "prometheus-prometheus"},
    ),
    _kinds("prometheus", {"operated-prometheus": "true"}),
)  # fmt: skip
"""What keeps the longest comes first: a store behind several Prometheis, then each by itself; last the
headless Service of Prometheus Operator. Of one rank there must be one alone."""


@dataclass(frozen=True)
class MetricsService:
    """A Service that answers queries."""

    namespace: str
    name: str
    port: str
    scheme: str = "http"
    path: str = ""

    @property
    def title(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def proxy_path(self) -> str:
        """Path below the API server's address."""
        scheme = "https:" if self.scheme == "https" else ""
        port = f":{self.port}" if self.port or scheme else ""
        return (
            f"/api/v1/namespaces/{self.namespace}/services/{scheme}{self.name}{port}/proxy"
            f"{self.path.rstrip('/')}"
        )


def metrics_service(cluster: ApiServer, wanted: str = "auto") -> MetricsService:
    """Find the metrics server, or take the one that is named as `NAMESPACE/[https:]SERVICE[:PORT][/PATH]`.

    Raises
    ------
    UsageError
        If `wanted` is neither, or several are found of one rank.
    NoDataError
        If none is found, or Services may not be listed.
    MetricsServerError
        If the API server fails.
    """
    if wanted != "auto":
        match = _WANTED.fullmatch(wanted)
        if match is None or ".." in wanted:
            raise UsageError(
                f"--prometheus {wanted!r} is no Service",
                hint="write auto, or NAMESPACE/SERVICE:PORT, with a path behind it where there is one",
            )
        namespace, scheme, name, port, path = match.groups()
        return MetricsService(namespace, name, port or "", scheme or "http", path or "")
    found = _services(cluster)
    for kinds in KINDS:
        mine = [item for item in found if _is_any(item, kinds)]
        # Of a Service and its headless twin the first one balances.
        mine = [one for one in mine if (one.get("spec") or {}).get("clusterIP") != "None"] or mine
        if len(mine) > 1:
            titles = ", ".join(sorted(_service(item, kinds[0]).title for item in mine))
            raise UsageError(
                f"{cluster.name}: {len(mine)} Services look like {kinds[0].product}: {titles}",
                hint="choose one with --prometheus NAMESPACE/SERVICE",
            )
        if mine:
            return _service(mine[0], kinds[0])
    where = f" in {', '.join(cluster.namespaces)}" if cluster.namespaces else ""
    raise NoDataError(
        f"{cluster.name}: no Service{where} looks like Prometheus, VictoriaMetrics, Thanos or Mimir",
        hint="name it with --prometheus NAMESPACE/SERVICE:PORT, or give --prometheus-url",
    )


def _services(cluster: ApiServer) -> Sequence[Item]:
    places = [f"/namespaces/{name}" for name in cluster.namespaces] or [""]
    found: list[Item] = []
    refused = []
    for place in places:
        try:
            found += listed(cluster, f"/api/v1{place}/services")
        except AbsentError as error:
            raise MalformedAnswerError(
                f"{cluster.name}: has no Services",
                hint="is this the address of a Kubernetes API server?",
            ) from error
        except RefusedError:
            refused.append(place)
    if refused and not found:
        raise NoDataError(
            f"{cluster.name}: not allowed to list services, so no metrics server is found",
            hint="name it with --prometheus NAMESPACE/SERVICE:PORT, or give --prometheus-url",
        )
    return found


def _is_any(item: Item, kinds: Sequence[Kind]) -> bool:
    labels = item["metadata"].get("labels") or {}
    # kube-state-metrics, Alertmanager and the operator have labels of their own; a Service that only
    # serves gRPC (Thanos' stores) has no HTTP port.
    return any(
        all(labels.get(name) == value for name, value in kind.labels.items()) for kind in kinds
    ) and bool(_ports(item))


def _ports(item: Item) -> list[Mapping[str, Any]]:
    ports = (item.get("spec") or {}).get("ports") or []
    return [one for one in ports if isinstance(one, dict) and "grpc" not in str(one.get("name"))]


def _service(item: Item, kind: Kind) -> MetricsService:
    about = item["metadata"]
    ports = _ports(item)

    def likely(port: Mapping[str, Any]) -> int:
        name = str(port.get("name") or "")
        return _PORTS.index(name) if name in _PORTS else len(_PORTS)

    port = min(ports, key=likely)
    name = str(port.get("name") or port.get("port") or "")
    scheme = "https" if "https" in name or port.get("port") == 443 else "http"
    return MetricsService(str(about["namespace"]), about["name"], name, scheme, kind.path)


class SignedByKubeconfig(AuthBase):
    """Signs as the cluster's client does; an exec plugin is asked again when its token has run out."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        headers: dict[str, str] = {}
        self._client.update_params_for_auth(headers, [], ["BearerToken"])
        for name, value in headers.items():
            register_header(name, value)
            request.headers[name] = value
        return request


def through(
    cluster: ApiServer, service: MetricsService, settings: PrometheusSettings
) -> PrometheusSettings:
    """Settings that reach a Service through the API server, with the cluster's own credentials.

    Raises
    ------
    UsageError
        If the kubeconfig demands what a proxied request cannot do.
    """
    about = cluster.client.configuration
    if getattr(about, "tls_server_name", None):
        raise UsageError(
            f"{cluster.name}: the kubeconfig has a tls-server-name, which --prometheus cannot use",
            hint="use kubectl port-forward with --prometheus-url",
        )
    verify = (about.ssl_ca_cert or True) if about.verify_ssl else False
    certificate = (about.cert_file, about.key_file) if about.cert_file else None
    place = Connection(
        url=about.host.rstrip("/") + service.proxy_path,
        name=f"{service.title} through {cluster.name}",
        auth=SignedByKubeconfig(cluster.client),
        headers=headers_of(settings),
        verify=verify,
        certificate=certificate,
        proxies={"http": about.proxy, "https": about.proxy} if about.proxy else {},
        timeout=settings.timeout_seconds,
        get_only=True,
        refused_hint=ROLE_HINT,
    )
    return ThroughApiServer(**settings.model_dump(exclude={"url"}), url=(place.url,), place=place)

"""The Kubernetes API, asked with `get` and `list` alone."""

from rightsize.collectors.kube.connection import ApiServer, Cluster, connect
from rightsize.collectors.kube.metrics_server import metrics_service, through
from rightsize.collectors.kube.read import audited_objects, cluster_objects, configuration_objects
from rightsize.collectors.kube.resources import RESOURCES, cluster_role, prometheus_role

__all__ = [
    "RESOURCES",
    "ApiServer",
    "Cluster",
    "audited_objects",
    "cluster_objects",
    "cluster_role",
    "configuration_objects",
    "connect",
    "metrics_service",
    "prometheus_role",
    "through",
]

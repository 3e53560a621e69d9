"""The Kubernetes API, asked with `get` and `list` alone."""

from rightsize.collectors.kube.connection import Cluster, connect
from rightsize.collectors.kube.read import audited_objects, cluster_objects, configuration_objects
from rightsize.collectors.kube.resources import RESOURCES, cluster_role

__all__ = [
    "RESOURCES",
    "Cluster",
    "audited_objects",
    "cluster_objects",
    "cluster_role",
    "configuration_objects",
    "connect",
]

"""Owner chains: from a pod to the workload with the template that made it.

With `kube_replicaset_owner` and `kube_job_owner` the chain is known; without, the names are read as
Kubernetes makes them: a Deployment's ReplicaSet is `<deployment>-<pod-template-hash>`, a CronJob's
Job `<cronjob>-<minutes since 1970>`. OpenShift's DeploymentConfigs number their ReplicationControllers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rightsize.collectors.prometheus.labels import PodKey, namespace_of, pod_key
from rightsize.collectors.prometheus.parse import Answer

# k8s.io/apimachinery/pkg/util/rand: no vowels and no 0, 1, 3, so that no words come about.
_HASH = "[bcdfghjklmnpqrstvwxz2456789]"
_REPLICASET = re.compile(rf"(.+)-{_HASH}{{6,10}}")
_JOB = re.compile(r"(.+)-\d{8,11}")
_CONTROLLER = re.compile(r"(.+)-[1-9]\d{0,5}")
_CRON_POD = re.compile(rf"(.+)-[2-9]\d{{7}}-(?:\d+-)?{_HASH}{{5}}")
_REPLICA_POD = re.compile(rf"(.+)-{_HASH}{{6,10}}-{_HASH}{{5}}")
_RANDOM_POD = re.compile(rf"(.+)-{_HASH}{{5}}")
_ORDINAL_POD = re.compile(r"(.+)-\d+")
_NONE = ("", "<none>")

Owner = tuple[str, str]
"""Kind and name."""


@dataclass(frozen=True)
class Owners:
    """Who owns what, by namespace and name."""

    pods: Mapping[PodKey, Owner]
    replicasets: Mapping[PodKey, Owner]
    jobs: Mapping[PodKey, Owner]

    def workload(self, pod: PodKey, node: str) -> Owner:
        """Kind and name of the workload at the end of a pod's owner chain."""
        namespace, name = pod
        kind, owner = self.pods.get(pod, (None, ""))
        if kind is None:
            return _guess(name)
        if kind in _NONE or owner in _NONE:
            return "Pod", name
        if kind == "ReplicaSet":
            return _above(self.replicasets, namespace, kind, owner, _REPLICASET, "Deployment")
        if kind == "Job":
            return _above(self.jobs, namespace, kind, owner, _JOB, "CronJob")
        if kind == "ReplicationController":
            return _above({}, namespace, kind, owner, _CONTROLLER, "DeploymentConfig")
        if kind == "Node":
            # A static pod: the kubelet appends the node's name.
            return "Node", name.removesuffix(f"-{node or owner}")
        return kind, owner


def owners(
    pod_owners: Answer, pod_info: Answer, replicaset_owners: Answer, job_owners: Answer
) -> Owners:
    """Read owner metrics; `kube_pod_info` stands in where `kube_pod_owner` is missing."""
    pods: dict[PodKey, Owner] = {}
    for labels in pod_info.labels:
        if "created_by_kind" in labels:
            pods[pod_key(labels)] = labels["created_by_kind"], labels.get("created_by_name", "")
    for labels in pod_owners.labels:
        pods[pod_key(labels)] = labels.get("owner_kind", ""), labels.get("owner_name", "")
    return Owners(pods, _owned(replicaset_owners, "replicaset"), _owned(job_owners, "job_name"))


def _owned(answer: Answer, label: str) -> dict[PodKey, Owner]:
    return {
        (namespace_of(labels), labels.get(label, "")): (
            labels.get("owner_kind", ""),
            labels.get("owner_name", ""),
        )
        for labels in answer.labels
    }


def _above(
    reported: Mapping[PodKey, Owner],
    namespace: str,
    kind: str,
    name: str,
    pattern: re.Pattern[str],
    usual: str,
) -> Owner:
    if (namespace, name) in reported:
        above = reported[namespace, name]
        return (kind, name) if above[0] in _NONE or above[1] in _NONE else above
    match = pattern.fullmatch(name)
    return (usual, match.group(1)) if match else (kind, name)


def _guess(pod: str) -> Owner:
    """Read the pod's name where no owner metric speaks of it."""
    for pattern, kind in (
        (_CRON_POD, "CronJob"),
        (_REPLICA_POD, "Deployment"),
        (_ORDINAL_POD, "StatefulSet"),
        (_RANDOM_POD, "DaemonSet"),
    ):
        match = pattern.fullmatch(pod)
        if match:
            return kind, match.group(1)
    return "Pod", pod

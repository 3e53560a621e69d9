"""What pods may use of an EKS node: CPU, memory and pod slots, for types not yet in the cluster.

Formulas (checked against Karpenter's published table of allocatable resources, 1,358 types):

- kube-reserved CPU and memory: amazon-eks-ami `nodeadm/internal/kubelet/config.go`, the same in
  Karpenter's `pkg/providers/instancetype/types.go`;
- eviction threshold: 100 Mi of memory, nodeadm's kubelet configuration;
- VM overhead: Karpenter's `--vm-memory-overhead-percent`, 7.5 % by default. It is cautious: a
  real node usually loses less, so where a node of the type exists its own figures are used;
- pod slots: `enis * (addresses - 1) + 2` on the default network card, amazon-eks-ami
  `nodeadm/internal/kubelet/eni_max_pods.go`, and AWS's `max-pods-calculator.sh` for prefixes.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rightsize.quantity import MEBIBYTE

Array = NDArray[np.float64]
CniMode = Literal[
    "default",
    "prefix",
    "custom",
    "custom+prefix",
    "security-groups",
    "ipv6",
]
CNI_MODES: tuple[CniMode, ...] = get_args(CniMode)
"""`custom` is `AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG`, `prefix` `ENABLE_PREFIX_DELEGATION`,
`security-groups` `ENABLE_POD_ENI`."""

VM_MEMORY_OVERHEAD = 0.075
"""Share of the memory that EC2's figure shows and the operating system does not."""
ARM_MEMORY_LOSS = 64 * MEBIBYTE
"""Reserved by the kernel (CMA) on arm64."""
EVICTION_MEMORY = 100 * MEBIBYTE
ADDRESSES_PER_PREFIX = 16
MANY_CPUS = 30
"""Above so many vCPUs AWS advises at most 250 pods, up to it 110."""


def kube_reserved_cpu(vcpu: Array) -> Array:
    """CPU in cores that EKS sets aside for the kubelet on nodes of `vcpu` cores.

    6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the rest, each
    part rounded down to a millicore.

    >>> kube_reserved_cpu(np.array([2.0, 4.0, 8.0, 64.0]))
    array([0.07, 0.08, 0.09, 0.23])
    """
    milli = np.asarray(vcpu, dtype=float) * 1000
    reserved = np.zeros_like(milli)
    steps = ((0, 1000, 0.06), (1000, 2000, 0.01), (2000, 4000, 0.005), (4000, np.inf, 0.0025))
    for start, end, share in steps:
        reserved += np.floor(np.clip(np.minimum(milli, end) - start, 0, None) * share + 1e-9)
    return reserved / 1000


def kube_reserved_memory(max_pods: Array) -> Array:
    """Memory in bytes that EKS sets aside: 255 Mi and 11 Mi for each pod slot."""
    return (255 + 11 * np.asarray(max_pods, dtype=float)) * MEBIBYTE


def max_pods(shapes: pd.DataFrame, mode: CniMode = "default", *, cap: bool = False) -> Array:
    """Pod slots of each instance type; NaN where its interfaces are not known.

    Parameters
    ----------
    shapes : DataFrame
        Columns `vcpu`, `max_enis`, `ipv4_per_eni`, `hypervisor`, `bare_metal`, `trunking`, as of
        `rightsize.prices.catalogue.instance_types`.
    mode : CniMode
        How the VPC CNI hands out addresses. Custom networking loses the primary interface.
        Security groups for pods are counted with one interface less, for the trunk: pods with
        their own group use branch interfaces, which come on top and are not counted. Prefixes and
        IPv6 need Nitro; on other machines they change nothing (IPv6: NaN, not possible). An IPv6
        node draws on one /80 prefix, so only AWS's advice of 110 or 250 limits it.
    cap : bool
        Apply that advice to plain addresses too, as `max-pods-calculator.sh` does and
        nodeadm and Karpenter do not.
    """
    enis = shapes["max_enis"].to_numpy(dtype=float, na_value=np.nan)
    addresses = shapes["ipv4_per_eni"].to_numpy(dtype=float, na_value=np.nan)
    hypervisor = shapes["hypervisor"].astype("string").fillna("")
    metal = shapes["bare_metal"].astype("boolean").fillna(False)
    nitro = ((hypervisor == "nitro") | metal).to_numpy(dtype=bool)
    advised = np.where(shapes["vcpu"].to_numpy(dtype=float, na_value=0) > MANY_CPUS, 250.0, 110.0)
    if mode == "ipv6":
        return np.where(nitro & np.isfinite(enis), advised, np.nan)
    if mode.startswith("custom"):
        enis = enis - 1
    elif mode == "security-groups":
        trunking = shapes["trunking"].astype("boolean").fillna(False).to_numpy(dtype=bool)
        enis = np.where(trunking, enis - 1, enis)
    plain = enis * (addresses - 1) + 2
    if mode.endswith("prefix"):
        wide = np.minimum(enis * (addresses - 1) * ADDRESSES_PER_PREFIX + 2, advised)
        plain = np.where(nitro, wide, plain)
    elif cap:
        plain = np.minimum(plain, advised)
    return np.asarray(plain, dtype=float)


def allocatable(
    shapes: pd.DataFrame,
    mode: CniMode = "default",
    *,
    overhead: float = VM_MEMORY_OVERHEAD,
    cap: bool = False,
    pods: int | None = None,
) -> pd.DataFrame:
    """What pods may request on a node of each type, by the EKS formulas.

    Parameters
    ----------
    shapes : DataFrame
        As for `max_pods`, with `memory` (bytes) and `arch` too.
    mode, cap
        See `max_pods`.
    overhead : float
        Share of EC2's memory figure that the machine itself uses.
    pods : int, optional
        Pod slots set by hand (`maxPods`) instead of those of the mode. Neither they nor the mode
        change the memory set aside, as in nodeadm's `GenerateKubeletConfig`.

    Returns
    -------
    DataFrame
        `instance_type`, `cpu` (cores), `memory` (bytes), `pods` (slots). NaN where unknown; never
        below 0.
    """
    slots = max_pods(shapes, mode, cap=cap)
    if pods is not None:
        slots = np.where(np.isfinite(slots), float(pods), np.nan)
    vcpu = shapes["vcpu"].to_numpy(dtype=float, na_value=np.nan)
    memory = shapes["memory"].to_numpy(dtype=float, na_value=np.nan)
    arm = (shapes["arch"].astype("string").fillna("") == "arm64").to_numpy(dtype=bool)
    memory = memory - np.where(arm, ARM_MEMORY_LOSS, 0)
    lost = np.ceil(memory / MEBIBYTE * overhead - 1e-9) * MEBIBYTE
    # nodeadm sets memory aside for the classic number of slots, then merges the user's maxPods.
    reserved = kube_reserved_memory(max_pods(shapes, cap=cap))
    usable = memory - lost - reserved - EVICTION_MEMORY
    return pd.DataFrame(
        {
            "instance_type": shapes["instance_type"].to_numpy(),
            "cpu": np.clip(vcpu - kube_reserved_cpu(vcpu), 0, None),
            "memory": np.clip(usable, 0, None),
            "pods": slots,
        }
    )


def infer_mode(nodes: pd.DataFrame, shapes: pd.DataFrame) -> CniMode | None:
    """The mode with the formula that gives the pod slots that the cluster's nodes report.

    Parameters
    ----------
    nodes : DataFrame
        `instance_type` and `allocatable_pods`.
    shapes : DataFrame
        As for `max_pods`.

    Returns
    -------
    CniMode or None
        The first mode that explains every node; None when none does or nothing is known.
    """
    known = nodes[["instance_type", "allocatable_pods"]].dropna().drop_duplicates()
    known = known.assign(instance_type=known["instance_type"].astype("string"))
    joined = known.merge(shapes, on="instance_type", how="inner")
    if joined.empty:
        return None
    seen = joined["allocatable_pods"].to_numpy(dtype=float)
    for mode in ("default", "prefix", "custom", "custom+prefix", "ipv6"):
        if np.array_equal(max_pods(joined, mode), seen):
            return mode
    return None

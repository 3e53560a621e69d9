"""Chart values and resource fields that Istio ignores, refuses, or has never had."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from rightsize.audit.coherent import CHART_MOST, minimum_raised
from rightsize.audit.model import Chart, Sources
from rightsize.audit.registry import Hit, at, rule
from rightsize.files.known import version_text

_ISTIOD: tuple[Chart, ...] = ("istiod", "operator")


@dataclass(frozen=True, slots=True)
class _Dead:
    """A path of istiod's values that nothing reads."""

    path: str
    why: str
    fix: str
    versions: str = "every release"


_DEAD = (
    _Dead(
        "pilot.sharding",
        "It never existed: charts and istioctl from 1.24 ignore it, earlier istioctl refuses it.",
        "revision: shard-a  # one istiod a revision; each needs its own "
        "meshConfig.discoverySelectors, or it still watches everything",
    ),
    _Dead(
        "sharding",
        "It never existed; the chart ignores it.",
        "revision: shard-a  # and meshConfig.discoverySelectors of its own",
    ),
    _Dead(
        "global.proxy.securityContext",
        "No template reads it. Injected proxies already drop all capabilities and run as user "
        "1337, not root, with a read-only root filesystem.",
        "# delete it; global.proxy.privileged (false) and global.proxy.seccompProfile are real",
    ),
    _Dead(
        "global.proxy_init.resources",
        "No template reads it: istio-init and istio-validation take global.proxy.resources.",
        "global:\n  proxy:\n    resources: {}  # sizes istio-proxy and istio-init alike",
    ),
    _Dead(
        "gateways.enabled",
        "A key of the charts of 1.0 to 1.5; no template has read it since 1.6.",
        "# delete it; spec.components.ingressGateways[].enabled of an IstioOperator, or no "
        "release of the gateway chart",
        "1.6 and later",
    ),
    _Dead(
        "global.mtls",
        "A key of the charts up to 1.4; no template reads it.",
        "# delete it and apply a PeerAuthentication with mtls.mode STRICT in istio-system",
        "1.5 and later",
    ),
    _Dead(
        "pilot.cache",
        "No template reads it; istiod's cache of pushes is set by environment.",
        'pilot:\n  env:\n    PILOT_XDS_CACHE_SIZE: "60000"  # the default',
    ),
)


@rule("value-ignored")
def value_ignored(sources: Sources) -> Iterator[Hit]:
    for values in sources.values_of(*_ISTIOD):
        for dead in _DEAD:
            node = values.root.get(*dead.path.split("."))
            if node is not None:
                evidence = f"{node.place.path} is set"
                yield at(node, evidence, dead.fix, why=dead.why, versions=dead.versions)


@rule("top-level-resources-ignored")
def top_level_ignored(sources: Sources) -> Iterator[Hit]:
    for values in sources.values_of("istiod"):
        version = sources.release(values)
        for key in ("resources", "env", "replicaCount", "autoscaleMin", "autoscaleMax"):
            node = values.root.get(key)
            if node is None or (version is not None and version >= (1, 24)):
                continue
            if version is None and (key != "resources" or values.root.get("pilot") is None):
                continue
            text = "the release is unknown" if version is None else version_text(version)
            yield at(
                node,
                f"{node.place.path} is at the top level ({text})",
                f"pilot:\n  {key}: ...  # read by every release",
                severity="info" if version is None else "error",
            )


@rule("ztunnel-nested")
def ztunnel_nested(sources: Sources) -> Iterator[Hit]:
    for values in sources.values_of("ztunnel"):
        node = values.root.get("ztunnel")
        if node is not None and node.entries:
            fix = "\n".join(f"{key}: ...  # at the top level" for key in node.names())
            yield at(node, f"{node.place.path} holds {', '.join(node.names())}", fix)


@rule("cni-top-level-ignored")
def cni_top_level(sources: Sources) -> Iterator[Hit]:
    for values in sources.values_of("cni"):
        version = sources.release(values)
        node = values.root.get("resources")
        if node is not None and version is not None and version < (1, 24):
            evidence = f"{node.place.path} is at the top level of {version_text(version)}"
            yield at(node, evidence, "cni:\n  resources: ...")


@rule("defaults-nesting")
def defaults_nesting(sources: Sources) -> Iterator[Hit]:
    for values in sources.values:
        wrapper = values.wrapper
        if wrapper is None or values.shipped:
            continue
        version = sources.release(values)
        internal = wrapper.place.path.startswith("_internal")
        works = version is None or (version >= (1, 24)) == internal
        keys = ", ".join(wrapper.names()[:3])
        yield at(
            wrapper,
            f"{keys} stand below {wrapper.place.path}",
            "\n".join(f"{key}: ...  # without the prefix" for key in wrapper.names()[:3]),
            severity="warning" if works else "error",
        )


@rule("replicas-ignored")
def replicas_ignored(sources: Sources) -> Iterator[Hit]:
    for values in sources.values:
        if values.chart == "gateway":
            count = values.root.get("replicaCount")
            enabled = values.root.get("autoscaling", "enabled")
            keys = ("autoscaling", "minReplicas", "maxReplicas")
            least, most = (values.root.get("autoscaling", key) for key in keys[1:])
        elif values.chart in _ISTIOD:
            count, enabled = values.istiod("replicaCount"), values.istiod("autoscaleEnabled")
            keys = ("pilot", "autoscaleMin", "autoscaleMax")
            least, most = (values.istiod(key) for key in keys[1:])
        else:
            continue
        off = enabled is not None and enabled.truth is False
        if count is None or count.text is None or off:
            continue
        if least is not None and least.text == count.text:
            continue  # ignored, and nothing else than what is in force
        said = "is true" if enabled is not None else "is on by default"
        evidence = f"{count.place.path} is {count.text} while autoscaling {said}"
        if count.number is None or count.number < 2:
            yield at(count, evidence, "# delete it")
            continue
        bounds = minimum_raised(keys[1], count.number, keys[2], most, CHART_MOST)
        yield at(count, evidence, f"{keys[0]}:\n" + textwrap.indent(bounds, "  "))


@rule("resources-null")
def resources_null(sources: Sources) -> Iterator[Hit]:
    for values in sources.values_of("istiod"):
        node = values.istiod("resources")
        if node is not None and node.text is None and node.entries is None and node.items is None:
            fix = "resources:\n  requests:\n    cpu: 500m\n    memory: 2048Mi"
            yield at(node, f"{node.place.path} is null", fix)

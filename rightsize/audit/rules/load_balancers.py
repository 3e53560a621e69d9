"""Annotations of AWS load balancers that the controller in charge does not read.

Sources: kubernetes-sigs/aws-load-balancer-controller, docs/guide/service/annotations.md and nlb.md;
kubernetes/cloud-provider-aws, docs/service_controller.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from rightsize.audit.model import Sources
from rightsize.audit.registry import Hit, at, rule
from rightsize.audit.rules.gateways import load_balancers

_AWS = "service.beta.kubernetes.io/aws-load-balancer-"
_TYPE = _AWS + "type"
_CLASS = "service.k8s.aws/nlb"
_OF_THE_CONTROLLER = tuple(
    _AWS + name
    for name in (
        "nlb-target-type",
        "scheme",
        "attributes",
        "name",
        "ip-address-type",
        "private-ipv4-addresses",
        "target-group-attributes",
        "listener-attributes",
        "manage-backend-security-group-rules",
        "security-groups",
        "alpn-policy",
    )
)
"""Annotations of the AWS Load Balancer Controller alone."""
_IDLE = _AWS + "connection-idle-timeout"
_NLB = ("nlb", "nlb-ip", "external")
_IDLE_SECONDS = (60, 6000)
"""What an NLB's listener takes, and its default is 350."""


@rule("load-balancer-type-in-tree")
def in_tree_type(sources: Sources) -> Iterator[Hit]:
    for where, found, _ in load_balancers(sources):
        node = None if found is None else found.get(_TYPE)
        if found is None or node is None or node.text != "nlb":
            continue
        if where.text_of("spec", "loadBalancerClass") == _CLASS:
            continue
        ignored = [name for name in _OF_THE_CONTROLLER if found.get(name) is not None]
        if ignored:
            short = ", ".join(name.removeprefix("service.beta.kubernetes.io/") for name in ignored)
            yield at(node, f"type nlb beside {short}", f"{_TYPE}: external")


@rule("load-balancer-idle-timeout")
def idle_timeout(sources: Sources) -> Iterator[Hit]:
    for where, found, _ in load_balancers(sources):
        node = None if found is None else found.get(_IDLE)
        if found is None or node is None:
            continue
        network = found.text_of(_TYPE) in _NLB
        if not network and where.text_of("spec", "loadBalancerClass") != _CLASS:
            continue
        low, high = _IDLE_SECONDS
        seconds = min(max(int(node.number or 350), low), high)
        fix = f"{_AWS}listener-attributes.TCP-443: tcp.idle_timeout.seconds={seconds}"
        yield at(node, f"connection-idle-timeout {node.text} on a Network Load Balancer", fix)

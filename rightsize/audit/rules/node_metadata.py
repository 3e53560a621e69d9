"""Nodes that let pods read the instance metadata, and with it the node's own credentials.

With the node's credentials a pod is `system:node:<name>` to the API server, which lets a node read the
Secrets, and ask for the tokens, of the pods that run on it: on istiod's node, those of the mesh's CA.
Sources: EC2 user guide, "Configure the Instance Metadata Service options"; Kubernetes, "Using Node
Authorization"; Karpenter and eksctl, schemas of EC2NodeClass and ClusterConfig.
"""

from __future__ import annotations

from collections.abc import Iterator

from rightsize.audit.model import Sources
from rightsize.audit.registry import Hit, at, rule
from rightsize.audit.tree import Node

WHY = (
    "A pod then takes the node's credentials, with which the API server gives it the Secrets of the pods "
    "on that node: where istiod runs, the key of the mesh's CA. Without tokens no hop limit holds."
)
_LAUNCH = ("LaunchTemplateData", "MetadataOptions")


@rule("node-metadata-open")
def open_metadata(sources: Sources) -> Iterator[Hit]:
    for obj in sources.of_kind("EC2NodeClass", "AWSNodeTemplate"):
        options = obj.root.get("spec", "metadataOptions")
        if options is not None:
            yield from _options(options, "httpEndpoint", "httpTokens", "httpPutResponseHopLimit")
    for obj in sources.of_kind("ClusterConfig"):
        for key in ("nodeGroups", "managedNodeGroups"):
            for group in obj.root.children(key):
                yield from _eksctl(group)
    for document in sources.documents:
        resources = document.get("Resources")
        for resource in ((resources.entries if resources else None) or {}).values():
            options = resource.get("Properties", *_LAUNCH)
            if resource.text_of("Type") == "AWS::EC2::LaunchTemplate" and options is not None:
                yield from _options(
                    options, "HttpEndpoint", "HttpTokens", "HttpPutResponseHopLimit"
                )


def _options(options: Node, endpoint: str, tokens: str, hops: str) -> Iterator[Hit]:
    if options.text_of(endpoint) == "disabled":
        return
    token, limit = options.get(tokens), options.get(hops)
    if token is not None and token.text == "optional":
        yield at(token, f"{tokens} is optional", f"{tokens}: required")
    if limit is not None and (limit.number or 0) > 1:
        yield at(limit, f"{hops} is {limit.text}", f"{hops}: 1")


def _eksctl(group: Node) -> Iterator[Hit]:
    tokens = group.get("disableIMDSv1")
    pods = group.get("disablePodIMDS")
    if tokens is not None and tokens.truth is False:
        yield at(tokens, "disableIMDSv1 is false", "disableIMDSv1: true")
    if pods is not None and pods.truth is False:
        yield at(pods, "disablePodIMDS is false", "disablePodIMDS: true")

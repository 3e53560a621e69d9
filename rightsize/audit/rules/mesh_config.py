"""Fields of MeshConfig that no release has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from rightsize.audit.known import nearest
from rightsize.audit.model import Sources
from rightsize.audit.registry import Hit, at, rule

_NAMES = """
accessLogEncoding accessLogFile accessLogFormat ca caCertificates certificates configSources
connectTimeout defaultConfig defaultDestinationRuleExportTo defaultHttpRetryPolicy
defaultProviders defaultServiceExportTo defaultVirtualServiceExportTo disableEnvoyListenerLog
discoverySelectors dnsRefreshRate enableAutoMtls enableEnvoyAccessLogService
enablePrometheusMerge enableTracing extensionProviders h2UpgradePolicy hboneIdleTimeout
inboundClusterStatName inboundTrafficPolicy ingressClass ingressControllerMode ingressSelector
ingressService localityLbSetting meshMTLS outboundClusterStatName outboundTrafficPolicy
pathNormalization protocolDetectionTimeout proxyHttpPort proxyInboundListenPort proxyListenPort
rootNamespace serviceScopeConfigs serviceSettings tcpKeepalive tlsDefaults trustDomain
trustDomainAliases verifyCertificateAtClient
"""
_FIELDS = frozenset(_NAMES.split())
"""Of istio/api, mesh/v1alpha1/config.proto, at the tags 1.18.7 to 1.30.3."""


@rule(
    "mesh-config-unknown",
    severity="warning",
    title="a field that MeshConfig does not have",
    why="istiod passes over fields it does not know, without a word above debug level "
    "(pkg/util/protomarshal).",
    versions="1.18 to 1.30",
)
def mesh_config_unknown(sources: Sources, now: datetime) -> Iterator[Hit]:
    for mesh in sources.mesh_configs:
        for name, node in (mesh.entries or {}).items():
            if _camel(name) in _FIELDS:
                continue
            meant = nearest(name, _FIELDS)
            evidence = f"{node.place.path} is no field of MeshConfig"
            evidence += f"; {meant} is" if meant else ""
            yield at(node, evidence, f"{meant}: ..." if meant else f"# delete {name}")


def _camel(name: str) -> str:
    """Protobuf reads `access_log_file` as well as `accessLogFile`."""
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)

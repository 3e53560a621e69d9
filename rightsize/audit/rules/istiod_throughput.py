"""Settings that decide how much istiod does at once.

Source: istio/istio, pilot/pkg/features/tuning.go (from 1.21; pilot.go before) and
pilot/pkg/xds/discovery.go, `doSendPushes`.
"""

from __future__ import annotations

from collections.abc import Iterator

from rightsize.audit.model import Sources
from rightsize.audit.registry import Hit, at, rule
from rightsize.audit.rules.contradictions import resources_of
from rightsize.audit.rules.istiod_environment import variables_of
from rightsize.audit.tree import Node
from rightsize.files.known import Version
from rightsize.istiod.pilot_settings import push_throttle
from rightsize.quantity import parse_quantity

_THROTTLE = "PILOT_PUSH_THROTTLE"
_BY_CORES: Version = (1, 21)
"""First release that works the limit out from istiod's cores."""
_RELEASE = "1.21"
_OLD_DEFAULT = 100
_MOST = 100
"""What istiod itself never goes above."""


@rule("push-throttle-zero")
def throttle_zero(sources: Sources) -> Iterator[Hit]:
    for variable in variables_of(sources):
        known = variable.version
        if variable.name != _THROTTLE or known is None or known >= _BY_CORES:
            continue
        if variable.value.strip() == "0":
            yield at(variable.place, f"{_THROTTLE}=0 is set", f'{_THROTTLE}: "{_OLD_DEFAULT}"')


@rule("push-throttle-above-most")
def throttle_above(sources: Sources) -> Iterator[Hit]:
    limits = [_cores(sized.resources) for sized in resources_of(sources) if sized.is_istiod]
    cores = min((limit for limit in limits if limit is not None), default=None)
    for variable in variables_of(sources):
        text = variable.value.strip()
        if variable.name != _THROTTLE or not text.isdigit():
            continue
        by_cores = variable.version is None or variable.version >= _BY_CORES
        allowed = push_throttle(_RELEASE, cores) if by_cores and cores is not None else None
        if int(text) > (_MOST if allowed is None else allowed):
            under = "" if allowed is None else f", its CPU limit gives {allowed:.0f}"
            fix = f"# delete {_THROTTLE}: istiod works it out from its cores, 25 with two"
            yield at(variable.place, f"{_THROTTLE}={text} is set{under}", fix)


def _cores(resources: Node) -> float | None:
    """The CPU limit; None without one, or where it is no quantity."""
    text = resources.text_of("limits", "cpu")
    try:
        return None if text is None else parse_quantity(text)
    except ValueError:
        return None


@rule("istiod-one-cpu")
def one_cpu(sources: Sources) -> Iterator[Hit]:
    for sized in resources_of(sources):
        if not sized.is_istiod:
            continue
        node, cores = sized.resources.get("limits", "cpu"), _cores(sized.resources)
        if node is not None and cores is not None and 0 < cores <= 1:
            yield at(
                node, f"istiod's CPU limit is {node.text}", "# delete the CPU limit, or: cpu: 2"
            )

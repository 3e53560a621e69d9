"""How the replicas of a workload must be spread over nodes and zones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rightsize.nodes.problem import Flags
from rightsize.nodes.rules import HOSTNAME, ZONE, Expression, Rules, matches

SpreadDefault = Literal["none", "host", "zone"]
DEFAULT_SOFT = (3, 5)
"""kube-scheduler's constraints for pods without any (`podtopologyspread/plugin.go`, systemDefaultConstraints)."""
_UNSELECTED = ("Job", "CronJob", "Pod")
"""Kinds of which no controller's selector gives the pods those constraints (`helper.DefaultSelector`)."""


@dataclass(frozen=True, eq=False)
class Owner:
    """A workload's replicas and the rules on where they may meet.

    `node_limit` 0 means none; `zone_skew` None means that zones do not matter. `zone_limit` is the
    most pods in one zone (required anti-affinity over zones), 0 for none.
    """

    key: tuple[str, str, str]
    replicas: int
    node_limit: int
    host_skew: int | None
    zone_skew: int | None
    zone_limit: int
    labels: dict[str, str] | None
    assumed: bool
    """The rule is the settings' assumption, not the workload's."""
    soft: tuple[int, int] = DEFAULT_SOFT
    """Skew over hosts and over zones with which PodTopologySpread scores nodes; 0 is not scored."""

    def full(self, zones: int) -> bool:
        """Whether so many zones have no place for one pod more."""
        return 0 < self.zone_limit * zones <= self.replicas


def owner_of(
    key: tuple[str, str, str],
    replicas: int,
    rules: Rules,
    labels: dict[str, str] | None,
    assume: SpreadDefault,
) -> Owner:
    """Read a workload's own spread, or assume the settings' where it has none.

    A `DoNotSchedule` spread over hosts of skew `s` lets a node of a node set of two or more have at
    most `(n + s) / 2` of `n` pods; larger node sets allow fewer, which the scheduler replay checks.
    """
    node_limit, host_skew, zone_skew, zone_limit = 0, None, None, 0
    for apart in rules.apart:
        if _selects_own(apart.selector, labels):
            if apart.topology == HOSTNAME:
                node_limit = 1
            elif apart.topology == ZONE:
                zone_limit, zone_skew = 1, 1
    for spread in rules.spread:
        if _selects_own(spread.selector, labels):
            if spread.topology == HOSTNAME:
                host_skew = spread.max_skew
                most = max((replicas + spread.max_skew) // 2, 1)
                node_limit = min(node_limit or most, most)
            elif spread.topology == ZONE:
                zone_skew = min(zone_skew or spread.max_skew, spread.max_skew)
    own = node_limit or zone_skew is not None
    assumed = not own and replicas > 1 and assume != "none"
    if assumed and assume == "host":
        node_limit = replicas - 1
    elif assumed:
        zone_skew = 1
    soft = _soft(key[1], rules, labels)
    return Owner(key, replicas, node_limit, host_skew, zone_skew, zone_limit, labels, assumed, soft)


def _soft(kind: str, rules: Rules, labels: dict[str, str] | None) -> tuple[int, int]:
    """What scores the spread: the pod's own preferences, else those of the scheduler."""
    if rules.preferred is None:
        return (0, 0) if kind in _UNSELECTED else DEFAULT_SOFT
    own = {s.topology: s.max_skew for s in rules.preferred if _selects_own(s.selector, labels)}
    return own.get(HOSTNAME, 0), own.get(ZONE, 0)


def _selects_own(selector: tuple[Expression, ...], labels: dict[str, str] | None) -> bool:
    # Unknown labels: workloads nearly always spread themselves.
    return labels is None or matches(selector, labels)


@dataclass(frozen=True)
class Share:
    """Pods of a class for a zone; `pinned` of them every valid spread puts there."""

    pods: int
    pinned: int


class ZoneSplit:
    """Hands the pods of one workload to zones evenly, class after class.

    The odd pods go to the zone with the least load so far; `load` is shared by all workloads.
    """

    def __init__(self, owner: Owner, load: dict[str, float], zoned: bool) -> None:
        self._owner = owner
        self._load = load
        self._split = zoned and owner.zone_skew is not None
        self._count = dict.fromkeys(load, 0)

    def take(
        self, pods: int, weight: float, zone_of_offer: NDArray[np.object_], fits: Flags
    ) -> Iterator[tuple[str | None, Share]]:
        """Yield (zone, share) for `pods` pods; zone None means any. May hand out fewer.

        `weight` is the load that one of them is.
        """
        if not self._split:
            yield None, Share(pods, pods)
            return
        open_zones = [z for z in self._load if bool((fits & (zone_of_offer == z)).any())]
        given = dict.fromkeys(open_zones, 0)
        for _ in range(pods):
            free = [
                z
                for z in open_zones
                if not self._owner.zone_limit or self._count[z] < self._owner.zone_limit
            ]
            if not free:
                break
            zone = min(free, key=lambda z: (self._count[z], self._load[z]))
            self._count[zone] += 1
            self._load[zone] += weight
            given[zone] += 1
        pinned = self._pinned(pods, len(open_zones))
        for zone, number in given.items():
            if number:
                yield zone, Share(number, min(number, pinned))

    def _pinned(self, pods: int, zones: int) -> int:
        """Pods that each zone holds in any valid spread: n <= m + (zones - 1) (m + skew)."""
        if pods != self._owner.replicas or zones == 0:
            return 0
        skew = self._owner.zone_skew or 1
        return max(math.ceil((pods - (zones - 1) * skew) / zones), 0)

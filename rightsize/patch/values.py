"""Sizes in the values of Istio's charts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rightsize.files import tree
from rightsize.files.chart_metadata import Chart, chart_yaml, conditions_of
from rightsize.files.charts import FLAT_FROM, Scope, require_version
from rightsize.files.known import Version
from rightsize.files.redirected import Redirected
from rightsize.files.source import Layer
from rightsize.files.tree import dotted
from rightsize.patch.groups import BOUNDS, SIZES, Found, Group, Placed, first_set
from rightsize.patch.model import SizeChange, Slot
from rightsize.patch.paths import (
    AUTOSCALING,
    BLOCKS,
    MEMORY_TARGETS,
    SCOPED,
    Layout,
    candidates,
    slot_path,
)
from rightsize.results import Sizes


@dataclass(eq=False)
class PairsScope(Redirected, Scope):
    """Values given as pairs of path and value, over all other values."""


@dataclass(eq=False)
class ValuesGroup(Group):
    """The values of one release of one chart, from one file or several."""

    @property
    def scopes(self) -> list[Scope]:
        return [layer for layer in self.layers if isinstance(layer, Scope)]

    @property
    def chart(self) -> Chart:
        return self.scopes[0].chart

    @property
    def version(self) -> Version | None:
        return next((s.version for s in self.scopes if s.version is not None), None)

    def covers(self, change: SizeChange) -> bool:
        exception = change.component == "sidecar" and change.workload is not None
        known = (self.chart, change.component) in BLOCKS and not exception
        return known and self._is_rendered(change)

    def _is_rendered(self, change: SizeChange) -> bool:
        """Whether the release has what the component's sizes go to.

        With `profile: remote` istiod and the injector's ConfigMap are another cluster's
        (`deployment.yaml`, `istiod-injector-configmap.yaml` and `files/profile-remote.yaml` of the
        istiod chart, 1.24 and later); `resourceScope: cluster` leaves both to a second release.
        """
        if any(self._is_switched_off(scope) for scope in self.scopes):
            return False
        if self.chart != "istiod":
            return True
        remote = any(_profile(scope) == "remote" for scope in self.scopes)
        if self._text(("global", "resourceScope")) == "cluster":
            return False
        if change.component == "istiod":
            local = self._text(("istiodRemote", "enabledLocalInjectorIstiod")) == "true"
            return local or not self._is_on(("istiodRemote", "enabled"), remote)
        if change.component == "sidecar":
            return not self._is_on(("global", "omitSidecarInjectorConfigMap"), remote)
        return True

    def _is_switched_off(self, scope: Scope) -> bool:
        """Whether the `condition` of an umbrella chart's dependency is false in these values."""
        if not scope.outer_global:
            return False
        above, key = scope.prefix[:-1], str(scope.prefix[-1])
        for path in conditions_of(chart_yaml(scope.source.path), key):
            texts = (tree.text_at(one.root, (*above, *path)) for one in reversed(self.scopes))
            text = next((text for text in texts if text is not None), None)
            if text is not None:
                return text == "false"
        return False

    def _text(self, path: tree.Path) -> str | None:
        found = self._find(path)
        return None if found is None or found.scalar is None else found.scalar.value

    def _is_on(self, path: tree.Path, default: bool) -> bool:
        text = self._text(path)
        return default if text is None else text == "true"

    def candidates(self, layer: Layer, change: SizeChange, slot: Slot) -> list[tree.Path]:
        path = slot_path(self.chart, change.component, slot)
        return [] if path is None else candidates(self._layout(layer), path)

    def preferred(self, layer: Layer, change: SizeChange, slot: Slot) -> tree.Path | None:
        path = slot_path(self.chart, change.component, slot)
        return None if path is None else (*self._layout(layer).prefix, *path)

    def place_of(self, path: tree.Path) -> tuple[Layer, tree.Path, str | None]:
        """Where a value of the chart is set or belongs, and what it is now; None where unset."""
        found = self._find(path)
        if found is not None:
            return found.layer, found.path, None if found.scalar is None else found.scalar.value
        layer = self.scopes[-1]
        return layer, (*self._layout(layer).prefix, *path), None

    def autoscaling_off(self, change: SizeChange) -> Found | None:
        path = AUTOSCALING.get(self.chart)
        found = None if path is None else self._find(path)
        # A quoted "false" is a string, which Helm's templates take for true.
        off = (
            found is not None
            and found.scalar is not None
            and found.scalar.value == "false"
            and not found.scalar.style
        )
        return found if off else None

    def memory_target(self, change: SizeChange) -> Found | None:
        path = MEMORY_TARGETS.get(self.chart) if change.component == self.chart else None
        found = None if path is None or self.autoscaling_off(change) else self._find(path)
        on = found is not None and found.scalar is not None and found.scalar.value != "0"
        return found if on else None

    def place(
        self, change: SizeChange, largest_node: Sizes | None = None, scaled_on: str | None = None
    ) -> Placed:
        placed = super().place(change, largest_node, scaled_on)
        pairs = [scope for scope in self.scopes if isinstance(scope, PairsScope)]
        if not placed.missing or not pairs or placed.settled is None:
            return placed
        # A pair that is not there cannot be added beside others of an unknown order.
        values = dict(placed.settled.wanted)
        lines = []
        for slot in placed.missing:
            path = slot_path(self.chart, change.component, slot)
            if path is not None and slot in values:
                lines.append(f"{dotted(path)}={self.leaf(slot, values[slot], None).text}")
        self.note(pairs[-1].source, f"to set by hand for {change.key}: {', '.join(lines)}")
        return replace(placed, reason=f"to set by hand: {', '.join(lines)}")

    def unread(self, change: SizeChange) -> str | None:
        if change.component == "waypoint":
            return None if self._has_waypoints() else "this release does not read it"
        self._refuse_unknown_release(change)
        return None

    def conclude(self, change: SizeChange) -> None:
        if change.component == "sidecar":
            self.note(
                self.scopes[-1].source,
                "global.proxy.resources also sizes istio-init, istio-validation and the gateways "
                "that Istio deploys for the Gateway API; pin those that need more",
            )
        for scope in self.scopes:
            self._note_wrapper_and_profile(scope, change)
        if change.autoscale_min is not None or change.autoscale_max is not None:
            self._note_replica_count()

    def _layout(self, layer: Layer) -> Layout:
        scope = next(scope for scope in self.scopes if scope is layer)
        return Layout(
            self.chart,
            self.version,
            next((s.wrapper for s in self.scopes if s.wrapper is not None), None),
            any(_profile(s) is not None for s in self.scopes),
            scope.prefix,
            scope.outer_global,
        )

    def _find(self, path: tree.Path) -> Found | None:
        return first_set(self.scopes, [candidates(self._layout(s), path) for s in self.scopes])

    def _refuse_unknown_release(self, change: SizeChange) -> None:
        """Flattened keys count from 1.24 on and are ignored before: it must be known which."""
        scoped = SCOPED.get(self.chart)
        paths = [slot_path(self.chart, change.component, slot) for slot in (*SIZES, *BOUNDS)]
        for path in paths:
            if path is None or scoped is None or path[0] != scoped:
                continue
            for scope in self.scopes:
                node = tree.lookup(scope.root, (*scope.prefix, *path[1:]))
                if node is None:
                    continue
                flat = dotted((*scope.prefix, *path[1:]))
                if self.version is None:
                    why = f"`{flat}` at the top level counts from 1.24 on and is ignored before"
                    require_version(scope, why, node.start)
                elif self.version < FLAT_FROM:
                    self.note(scope.source, f"`{flat}` is ignored by Istio before 1.24")

    def _has_waypoints(self) -> bool:
        """Whether the release reads `global.waypoint.resources` (1.24 and later)."""
        scope = self.scopes[-1]
        version = self.version
        if version is None:
            version = require_version(scope, "waypoints can be sized from 1.24 on only", 0)
        if version < FLAT_FROM:
            self.note(
                scope.source,
                "waypoint sizes not written: before 1.24 the chart hard-codes them and ignores "
                "global.waypoint.resources",
            )
        return version >= FLAT_FROM

    def _note_wrapper_and_profile(self, scope: Scope, change: SizeChange) -> None:
        if scope.wrapper is not None:
            self.note(
                scope.source,
                f"a copy of the chart's own values.yaml: sizes changed inside `{scope.wrapper}`, "
                "which Istio asks not to set; better keep a file with only what differs",
            )
        profile = _profile(scope)
        if profile is not None and change.component in ("istiod", "istio-cni"):
            self.note(
                scope.source,
                f"profile {profile} outranks top-level keys: sizes go to "
                f"{SCOPED[self.chart]}.resources",
            )

    def _note_replica_count(self) -> None:
        scoped = SCOPED.get(self.chart)
        found = self._find(("replicaCount",) if scoped is None else (scoped, "replicaCount"))
        if found is not None and found.scalar is not None:
            text = f"{dotted(found.path)} is ignored while autoscaling is on (the default)"
            self.note(found.layer.source, text)


def _profile(scope: Scope) -> str | None:
    outer = [(*scope.prefix[:-1], "global", "profile")] if scope.outer_global else []
    paths = [(*scope.prefix, "profile"), (*scope.prefix, "global", "profile"), *outer]
    found = (tree.text_at(scope.root, path) for path in paths)
    return next((name for name in found if name), None)

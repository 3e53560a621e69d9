"""Panels of Grafana's dashboard model, as far as this dashboard needs them.

Names of fields are those of `@grafana/schema` (kinds `dashboard`, `timeseries`, `table`); a test holds
every panel against the types that Grafana publishes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
"""The data source that the reader chooses at the top of the page."""
WIDTH = 24
"""Columns of Grafana's grid."""

Json = Mapping[str, object]


@dataclass(frozen=True)
class Line:
    """One query of a chart; `legend` may name labels as `{{label}}`."""

    legend: str
    expression: str


@dataclass(frozen=True)
class Chart:
    """Lines over time; `mark` is a value drawn as a dashed line."""

    title: str
    description: str
    unit: str
    lines: tuple[Line, ...]
    mark: float | None = None
    width: int = 12
    height: int = 8

    def as_dict(self) -> Json:
        steps: list[Json] = [{"color": "transparent", "value": None}]
        if self.mark is not None:
            steps.append({"color": "red", "value": self.mark})
        style = {"mode": "off" if self.mark is None else "dashed"}
        custom = {"drawStyle": "line", "lineWidth": 2, "thresholdsStyle": style}
        return {
            "type": "timeseries",
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "min": 0,
                    "thresholds": {"mode": "absolute", "steps": steps},
                    "custom": custom,
                },
                "overrides": [],
            },
            "options": {
                "legend": {
                    "displayMode": "list",
                    "placement": "bottom",
                    "showLegend": True,
                    "calcs": [],
                },
                "tooltip": {"mode": "multi", "sort": "desc"},
            },
            "targets": [
                _target(number, line.expression) | {"legendFormat": line.legend, "range": True}
                for number, line in enumerate(self.lines)
            ],
        }


@dataclass(frozen=True)
class Grid:
    """A table of the newest values: one column a query, a row for each set of labels.

    `sorted_by` is the column whose largest value comes first.
    """

    title: str
    description: str
    unit: str
    labels: tuple[str, ...]
    columns: tuple[Line, ...]
    sorted_by: str
    units: Mapping[str, str] = field(default_factory=dict)
    """Of columns with a unit of their own."""
    width: int = WIDTH
    height: int = 10

    def as_dict(self) -> Json:
        names = {f"Value #{_letter(i)}": c.legend for i, c in enumerate(self.columns)}
        order = [*self.labels, *names]
        own = [_override(column, unit) for column, unit in self.units.items()]
        return {
            "type": "table",
            "fieldConfig": {"defaults": {"unit": self.unit}, "overrides": own},
            "options": {
                "frameIndex": 0,
                "showHeader": True,
                "cellHeight": "sm",
                "enablePagination": True,
                "sortBy": [{"displayName": self.sorted_by, "desc": True}],
            },
            "transformations": [
                {"id": "merge", "options": {}},
                {
                    "id": "organize",
                    "options": {
                        "excludeByName": {"Time": True},
                        "indexByName": {name: place for place, name in enumerate(order)},
                        "renameByName": names,
                    },
                },
            ],
            "targets": [
                _target(number, column.expression) | {"format": "table", "instant": True}
                for number, column in enumerate(self.columns)
            ],
        }


Panel = Chart | Grid


@dataclass(frozen=True)
class Row:
    """A headline with its panels; a closed one loads nothing until it is opened."""

    title: str
    panels: tuple[Panel, ...]
    closed: bool = False


@dataclass(frozen=True)
class Variable:
    """A choice at the top of the page, out of a label's values; `chosen` is what it starts with."""

    name: str
    label: str
    query: str
    chosen: tuple[str, ...] = ()
    multi: bool = False
    everything: bool = False

    def as_dict(self) -> Json:
        chosen: str | list[str] = list(self.chosen) if self.multi else "".join(self.chosen[:1])
        found: dict[str, object] = {
            "name": self.name,
            "label": self.label,
            "type": "query",
            "datasource": SOURCE,
            "query": self.query,
            "refresh": 2,
            "sort": 1,
            "multi": self.multi,
            "includeAll": self.everything,
        }
        if self.everything:
            # Every name in one regular expression would be refused in a large mesh.
            found |= {"allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}}
        elif self.chosen:
            found["current"] = {"text": chosen, "value": chosen}
        return found


def placed(rows: Sequence[Row]) -> Iterator[Json]:
    """Rows and panels with numbers and places, from the top down."""
    number, top = 1, 0
    for row in rows:
        inside: list[Json] = []
        head = {
            "type": "row",
            "id": number,
            "title": row.title,
            "collapsed": row.closed,
            "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1},
        }
        number, top, left, tallest = number + 1, top + 1, 0, 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                left, top, tallest = 0, top + tallest, 0
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            common = {"id": number, "title": panel.title, "description": panel.description}
            inside.append({**common, "datasource": SOURCE, "gridPos": place, **panel.as_dict()})
            number, left, tallest = number + 1, left + panel.width, max(tallest, panel.height)
        top += tallest
        # Panels of a closed row are kept inside of it, those of an open one beside it.
        yield head | {"panels": inside if row.closed else []}
        if not row.closed:
            yield from inside


def _target(number: int, expression: str) -> dict[str, object]:
    return {"refId": _letter(number), "datasource": SOURCE, "expr": expression}


def _letter(number: int) -> str:
    return chr(ord("A") + number)


def _override(column: str, unit: str) -> Json:
    return {
        "matcher": {"id": "byName", "options": column},
        "properties": [{"id": "unit", "value": unit}],
    }

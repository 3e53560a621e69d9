"""The Grafana dashboard: Grafana's own types accept it, and each query answers on a real Prometheus."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
import requests
import yaml

from rightsize.output.alerts import rule_groups, rules_text
from rightsize.output.dashboard import config_map_text, dashboard
from rightsize.rollout.canary_folder import ResizedPod, TriedSize
from tests.output.mesh_of_alerts import MIB, WEB, cfs, healthy, marks, workload
from tests.servers.prometheus import Series, backfill, openmetrics, running_prometheus
from tests.servers.require import require_file

SCHEMAS = Path(__file__).resolve().parents[2] / ".tools" / "schemas" / "grafana"
EVIL = 'p$namespace[[workload]] ${x} "%'
MATCHERS = 'cluster="p$namespace[[workload]] ${x} \\"%",'
DOTTED, NEAR = "we.b-7d9f8b6c5d-xk2bq", "wexb-7d9f8b6c5d-xk2bq"
SIBLING = "web-7d9f8b6c5d-zz7zz"
RESIZED = ResizedPod(WEB, "u", datetime(2026, 11, 1, tzinfo=UTC), None)
TRIED = TriedSize(
    "shop", "web", "Deployment", "sidecar", "istio-proxy", False, (RESIZED,), 1, 1, 1
)  # fmt: skip
KILLS = "Out-of-memory kills within an hour"
QUIET = {"Alerts that fire", KILLS}
"""Panels that are empty while nothing is wrong."""


def panels(found: Mapping) -> Iterator[dict]:
    for panel in found["panels"]:
        yield panel
        yield from panel.get("panels", [])


def queries(found: Mapping) -> Iterator[tuple[str, str, str]]:
    """Panel, legend or letter, expression."""
    for panel in panels(found):
        for target in panel.get("targets", []):
            yield panel["title"], target.get("legendFormat", target["refId"]), target["expr"]


def escaped(name: str) -> str:
    """As Grafana puts a chosen value into a regular expression of PromQL."""
    name = name.replace("\\", "\\\\\\\\")
    return re.sub(r"[$^*{}\[\]'+?.()|]", lambda found: "\\\\" + found[0], name)


def shown(text: str, chosen: Mapping[str, str | list[str]]) -> str:
    """As Grafana fills in its variables: `$name`, `${name}` and `[[name]]`, where there is such a one.

    A variable of one choice is taken as it is, one of several as a regular expression.
    """
    values = {name: value if isinstance(value, str) else "|".join(map(escaped, value))
              for name, value in chosen.items()}  # fmt: skip
    values["__range"] = "3600s"
    pattern = r"\$(\w+)|\$\{(\w+)\}|\[\[(\w+)\]\]"
    return re.sub(pattern, lambda m: values.get(m[1] or m[2] or m[3], m[0]), text)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory) -> Iterator[str]:
    """Prometheus with the rules of the alerts on an hour of the mesh; its address."""
    folder = tmp_path_factory.mktemp("dashboard")
    there = healthy() | istio_requests()
    for pod in (DOTTED, NEAR, SIBLING):
        there |= workload(pod, "istio-proxy", cores=0.01, mib=60, sizes=(0.1, 128, 1024))
    there |= {cfs("periods", SIBLING): "0+600x90", cfs("throttled_periods", SIBLING): "0+60x90"}
    there |= {"pilot_xds{}": "5x90"}
    now = int(time.time())
    text = folder / "series.om"
    text.write_text(openmetrics(samples(one, values, now) for one, values in there.items()))
    rules = yaml.safe_load(rules_text(marks(), MATCHERS))
    for group in rules["groups"]:
        group["interval"] = "1s"
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    data = backfill(folder, [text])
    with running_prometheus(data, rules=folder / "rules.yaml") as address:
        for _ in range(200):
            if answer(address, "rightsize:recommended_request"):
                break
            time.sleep(0.1)
        yield address


def samples(series: str, values: str, now: int) -> Series:
    """A series of promtool's notation, as the 90 minutes that end now."""
    name, labels = series.rstrip("}").split("{")
    found = dict(re.findall(r'(\w+)="([^"]*)"', labels)) | {"cluster": EVIL}
    start, step = re.fullmatch(r"([\d.]+)(?:\+([\d.]+))?x\d+", values).groups()
    points = [(now - 60 * (90 - n) - 5, float(start) + n * float(step or 0)) for n in range(91)]
    return Series(name, found, points)


def istio_requests() -> dict[str, str]:
    found = {}
    for pod, code, each in ((WEB, "200", 600), (WEB, "503", 60), (SIBLING, "200", 600)):
        of = f'reporter="destination",namespace="shop",pod="{pod}",response_code="{code}"'
        found[f"istio_requests_total{{{of}}}"] = f"0+{each}x90"
        found[f"istio_request_duration_milliseconds_sum{{{of}}}"] = f"0+{each * 20}x90"
        found[f"istio_request_duration_milliseconds_count{{{of}}}"] = f"0+{each}x90"
    return found


def answer(address: str, expression: str) -> list[dict]:
    asked = requests.get(f"{address}/api/v1/query", params={"query": expression}, timeout=20)
    assert asked.status_code == 200, f"{expression}: {asked.text}"
    return asked.json()["data"]["result"]


EVERYTHING = {"namespace": ".*", "workload": ".*", "container": ".*", "canary_namespace": "shop",
              "canary_workload": "web", "canary_container": "istio-proxy",
              "resized": [WEB]}  # fmt: skip


def value(address: str, title: str, legend: str, **chosen: object) -> float:
    (expression,) = (
        text
        for panel, name, text in queries(dashboard(marks(), MATCHERS))
        if (panel, name) == (title, legend)
    )
    (one,) = answer(address, shown(expression, EVERYTHING | chosen))
    return float(one["value"][1])


@pytest.mark.servers
@pytest.mark.parametrize("canary", [None, TRIED], ids=["closed", "open"])
def test_grafanas_own_types_accept_it(canary):
    schemas = {name: json.loads(require_file(SCHEMAS / f"{name}.json").read_text()) for name in
               ("dashboard", "timeseries-options", "timeseries-custom", "table-options")}  # fmt: skip
    found = dashboard(marks(), MATCHERS, canary)
    jsonschema.validate(found, schemas["dashboard"])
    kinds = set()
    for panel in panels(found):
        kinds.add(panel["type"])
        if panel["type"] != "row":
            jsonschema.validate(panel["options"], schemas[f"{panel['type']}-options"])
        if panel["type"] == "timeseries":
            custom = panel["fieldConfig"]["defaults"]["custom"]
            jsonschema.validate(custom, schemas["timeseries-custom"])
    assert kinds == {"row", "timeseries", "table"}


@pytest.mark.servers
def test_every_query_answers_on_a_real_prometheus(mesh):
    for title, legend, expression in queries(dashboard(marks(), MATCHERS)):
        found = answer(mesh, shown(expression, EVERYTHING))
        assert bool(found) != (title in QUIET), (title, legend, expression)


@pytest.mark.servers
def test_every_choice_at_the_top_has_values(mesh):
    for variable in dashboard(marks(), MATCHERS)["templating"]["list"][1:]:
        text = shown(variable["query"], EVERYTHING)
        series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", text).groups()
        asked = requests.get(
            f"{mesh}/api/v1/label/{label}/values", params={"match[]": series}, timeout=20
        )
        assert asked.json()["data"], variable["name"]


@pytest.mark.servers
def test_sums_are_those_of_the_mesh(mesh):
    title = "CPU: requested, used, recommended"
    assert value(mesh, title, "requested") == pytest.approx(0.05 + 0.2 + 0.3 + 3 * 0.1)
    assert value(mesh, title, "used") == pytest.approx(0.03 + 0.15 + 0.15 + 3 * 0.01)
    # web has two pods; it and the two others that nobody sized have the mesh default of 50m.
    assert value(mesh, title, "recommended") == pytest.approx(4 * 0.05 + 0.2 + 0.3)


@pytest.mark.servers
def test_a_chosen_name_is_that_name_alone(mesh):
    title = "Memory: requested, used, recommended"
    assert value(mesh, title, "used", workload=["we.b"]) == 60 * MIB
    assert value(mesh, title, "used", workload=["we.b", "cart"]) == 160 * MIB
    assert value(mesh, title, "recommended", workload=["cart"]) == 128 * MIB


@pytest.mark.servers
def test_too_much_is_above_the_recommendation_over_all_pods(mesh):
    # Column D; web's mean pod requests 75m against 50m, in two pods.
    assert value(mesh, "CPU by workload", "D", workload=["web"]) == pytest.approx(0.05)
    assert value(mesh, "CPU by workload", "D", workload=["cart"]) == pytest.approx(0)


@pytest.mark.servers
def test_resized_pods_stand_beside_their_siblings(mesh):
    for legend, used, failed in (("resized", 80, 1 / 11), ("siblings", 60, 0)):
        assert value(mesh, "Memory of a pod", legend) == used * MIB
        assert value(mesh, "Failed requests (5xx)", legend) == pytest.approx(failed)
        assert value(mesh, "Mean latency", legend) == pytest.approx(20)
    assert value(mesh, "Throttled CFS periods", "siblings") == pytest.approx(0.1)
    assert value(mesh, "CPU of a request", "resized") == pytest.approx(0.03 / 11)


def test_queries_read_what_the_rules_record():
    recorded = {r["record"] for g in rule_groups(marks()) for r in g["rules"] if "record" in r}
    found = dashboard(marks())
    choices = [v["query"] for v in found["templating"]["list"]]
    asked = set(
        re.findall(r"rightsize:\w+", " ".join([*choices, *(q for *_, q in queries(found))]))
    )
    assert asked <= recorded
    outside = set(
        re.findall(r"(?<![:\w])(?:container|kube|pilot)_\w+(?={)", str(list(queries(found))))
    )
    assert outside == set()


def test_names_out_of_data_are_no_variables_of_grafana():
    advice = replace(marks().advice, cluster=EVIL)
    found = dashboard(replace(marks(), advice=advice), MATCHERS)
    for text in (found["title"], *(query for *_, query in queries(found))):
        assert "$namespace[[" not in text
        assert "${x}" not in text


def test_the_canary_of_a_folder_is_chosen_and_open():
    found = dashboard(marks(), "", TRIED)
    chosen = {v["name"]: v.get("current", {}).get("value") for v in found["templating"]["list"]}
    assert chosen["canary_workload"] == "web"
    assert chosen["resized"] == [WEB]
    assert not any(panel.get("collapsed") for panel in found["panels"])
    (closed,) = (p for p in dashboard(marks())["panels"] if p.get("collapsed"))
    assert closed["title"].startswith("Canary")


def test_panels_do_not_overlap():
    taken = set()
    for panel in panels(dashboard(marks(), "", TRIED)):
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                 for y in range(at["y"], at["y"] + at["h"])}  # fmt: skip
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_one_cluster_has_one_address():
    same, other = (
        dashboard(marks()),
        dashboard(replace(marks(), advice=replace(marks().advice, cluster="other"))),
    )
    assert dashboard(marks())["uid"] == same["uid"] != other["uid"]
    assert 8 <= len(same["uid"]) <= 40


def test_without_istiods_metrics_nothing_is_projected():
    without = dashboard(replace(marks(), services=None))
    assert "projected at most" not in [legend for _, legend, _ in queries(without)]


def test_a_config_map_carries_it_for_grafanas_sidecar():
    found = dashboard(marks())
    (config_map,) = yaml.safe_load_all(config_map_text(found, "monitoring"))
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config_map["metadata"]["namespace"] == "monitoring"
    assert json.loads(config_map["data"][f"{found['uid']}.json"]) == found

"""The files in examples/observing: what they ask for is there, what they set fits, and their tools accept them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from prometheus_client import CollectorRegistry, Metric

from gw_sqla.admin import Count, Fleet
from gw_sqla.admin.fleet import ForwardedTask, ReadyTask
from gw_sqla.cli.worker import command
from gw_sqla.telemetry import PrometheusMetrics
from gw_sqla.telemetry.fleet_figures import FleetFigures
from gw_sqla.telemetry.worker_endpoints import endpoints
from gw_sqla.types import JobState

FOLDER = Path(__file__).parents[2] / "examples" / "observing"
NAME = re.compile(r"\bgw_sqla_\w+")
OF_THE_SUPERVISOR = {"gw_sqla_processes"}

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def families() -> Iterator[Metric]:
    metrics = PrometheusMetrics(registry=CollectorRegistry())
    yield from metrics.registry.collect()
    figures = FleetFigures.__new__(FleetFigures)
    figures.is_up, figures._seconds = True, 0.1
    ready, forwarded = (ReadyTask("a", Count(1), 1.0, 1),), (ForwardedTask("b", 1.0),)
    figures._fleet = Fleet(dict.fromkeys(JobState, Count(1)), 1.0, ready, 1, 1, 0, 0, forwarded)
    yield from figures.collect()


def known_names() -> set[str]:
    found = set(OF_THE_SUPERVISOR)
    for family in families():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        found |= {family.name + suffix for suffix in suffixes}
    return found


def dashboard() -> Any:
    return json.loads((FOLDER / "grafana.json").read_text())


def dashboard_expressions() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]


def expressions(text: str) -> list[str]:
    """What a dashboard asks, as Prometheus is asked."""
    return [text.replace("$__rate_interval", "5m").replace("$job", ".*")]


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


@pytest.mark.parametrize("name", ["grafana.json", "alerts.yml", "alerts_test.yml", "keda.yaml"])
def test_the_metrics_are_there(name: str) -> None:
    asked = set(NAME.findall((FOLDER / name).read_text()))
    assert asked - {"gw_sqla_"}, "it asks for some"
    assert asked - known_names() == set()


def test_the_dashboard() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
    places = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(places)) == len(places), "none is over another"
    shown = {name for text in dashboard_expressions() for name in NAME.findall(text)}
    left_out = {name.removesuffix("_sum").removesuffix("_count") for name in known_names() - shown}
    assert {name for name in left_out if f"{name}_bucket" not in shown} <= {
        "gw_sqla_cron_jobs_total",
        "gw_sqla_claim_jobs_bucket",
        "gw_sqla_claim_jobs",
        "gw_sqla_database_outages_total",
        "gw_sqla_foreign_lock_owners",
        "gw_sqla_forward_lag_seconds",
        "gw_sqla_outcome_batch_jobs",
        "gw_sqla_outcome_batch_jobs_bucket",
        "gw_sqla_processes",
        "gw_sqla_queue_jobs_exact",
        "gw_sqla_queue_reading_seconds",
        "gw_sqla_queue_up",
        "gw_sqla_task_ready_jobs",
        "gw_sqla_task_workers",
        "gw_sqla_workers_slots",
    }


def run(*command: str, cwd: Path = FOLDER) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@promtool
def test_promtool_accepts_the_rules() -> None:
    rules = documents("alerts.yml")[0]["groups"][0]["rules"]
    assert f"SUCCESS: {len(rules)} rules found" in run("promtool", "check", "rules", "alerts.yml")


@promtool
def test_the_rules_fire_when_they_should() -> None:
    assert "SUCCESS" in run("promtool", "test", "rules", "alerts_test.yml")


@promtool
def test_promtool_reads_the_dashboards_expressions(tmp_path: Path) -> None:
    asked = [one for text in dashboard_expressions() for one in expressions(text)]
    triggers = documents("keda.yaml")[0]["spec"]["triggers"]
    asked += [trigger["metadata"]["query"] for trigger in triggers]
    rules = [{"record": f"asked:{number}", "expr": expr} for number, expr in enumerate(asked)]
    (tmp_path / "asked.yml").write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    assert f"SUCCESS: {len(asked)} rules found" in run("promtool", "check", "rules", "asked.yml", cwd=tmp_path)


@promtool
def test_promtool_finds_nothing_wrong_with_the_metrics() -> None:
    """Names, units and texts as Prometheus wants them."""
    from prometheus_client import generate_latest
    from prometheus_client.registry import Collector

    class All(Collector):
        def collect(self) -> Iterator[Metric]:
            return iter(list(families()))

    registry = CollectorRegistry(auto_describe=False)
    registry.register(All())
    text = b"\n".join(line for line in generate_latest(registry).split(b"\n") if b"_created" not in line)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.decode(), done.stdout.decode()) == (0, "", "")


def seconds(container: Any, name: str) -> float:
    [value] = [one["value"] for one in container["env"] if one["name"] == name]
    return float(value)


def test_the_deployment_fits_the_worker() -> None:
    [deployment] = documents("deployment.yaml")
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    options = {str(one.envvar): one for one in command.params if isinstance(one, click.Option)}
    assert {one["name"] for one in container["env"]} <= options.keys()
    assert container["args"][:4] == ["python", "-m", "gw_sqla", "worker"]
    flags = {name for option in options.values() for name in option.opts}
    assert {one for one in container["args"] if one.startswith("--")} <= flags
    paths = endpoints(PrometheusMetrics(registry=CollectorRegistry())).keys()
    probes = [container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")]
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert {probe["httpGet"]["path"] for probe in probes} | {annotations["prometheus.io/path"]} <= paths
    port = container["ports"][0]["containerPort"]
    [http] = [one["value"] for one in container["env"] if one["name"] == "GW_SQLA_HTTP"]
    assert http == f"0.0.0.0:{port}" == f"0.0.0.0:{annotations['prometheus.io/port']}"
    assert {probe["httpGet"]["port"] for probe in probes} == {container["ports"][0]["name"]}
    pre_stop = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
    needed = pre_stop + seconds(container, "GW_SQLA_GRACE_PERIOD") + seconds(container, "GW_SQLA_FLUSH_TIMEOUT")
    assert needed + 10 <= pod["terminationGracePeriodSeconds"], "with the some seconds of each of its last steps"
    for probe in probes:
        assert probe["timeoutSeconds"] > 4, "a supervisor waits four seconds for its processes"
    liveness = container["livenessProbe"]
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 60, "not before others take it for dead"


def test_keda_scales_that_deployment() -> None:
    [scaled] = documents("keda.yaml")
    [deployment] = documents("deployment.yaml")
    assert (scaled["apiVersion"], scaled["kind"]) == ("keda.sh/v1alpha1", "ScaledObject")
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert scaled["spec"]["minReplicaCount"] <= deployment["spec"]["replicas"] <= scaled["spec"]["maxReplicaCount"]
    for trigger in scaled["spec"]["triggers"]:
        assert trigger["type"] == "prometheus"
        assert all(isinstance(value, str) for value in trigger["metadata"].values()), "KEDA takes texts only"

"""Prometheus and Grafana of the profile `observability` fit the service and each other."""

import json
import re
from pathlib import Path

import pytest
import yaml

NAME = re.compile(r"\b(?:gramd|process)_\w+")


@pytest.fixture(scope="module")
def docker(root: Path) -> Path:
    return root / "docker"


def test_prometheus_reads_the_api_where_compose_has_it(docker: Path) -> None:
    compose = yaml.safe_load((docker / "compose.yaml").read_text())
    services = compose["services"]
    (scrape,) = yaml.safe_load((docker / "prometheus" / "prometheus.yml").read_text())[
        "scrape_configs"
    ]
    (target,) = scrape["static_configs"][0]["targets"]
    host, port = target.split(":")
    assert services[host]["command"][-1] == port
    assert set(services[host]["networks"]) & set(services["prometheus"]["networks"])
    (secret,) = services["prometheus"]["secrets"]
    assert scrape["authorization"]["credentials_file"] == f"/run/secrets/{secret}"
    for name in ("prometheus", "grafana"):
        assert services[name]["profiles"] == ["observability"]
        assert re.search(r":v?\d+\.\d+\.\d+}$", services[name]["image"])
        for volume in services[name]["volumes"]:
            source = volume.partition(":")[0]
            inside = (docker / source).exists() if source.startswith(".") else None
            assert inside or source in compose["volumes"], volume
    for about in compose["secrets"].values():
        assert not (docker / about["file"]).is_file(), "a secret is in the project"


def test_the_dashboard_is_whole_and_asks_only_for_metrics_that_there_are(
    docker: Path, root: Path
) -> None:
    board = json.loads((docker / "grafana" / "dashboards" / "gramd.json").read_text())
    (source,) = yaml.safe_load(
        (docker / "grafana" / "provisioning" / "datasources" / "prometheus.yaml").read_text()
    )["datasources"]
    # tests/service/front/test_metrics.py holds this page to what is exposed.
    page = (root / "docs" / "operations.md").read_text()
    stated = {name for name in re.findall(r"`(\w+)`", page) if NAME.fullmatch(name)}
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) >= 12
    used: set[str] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for target in panel["targets"]:
            assert target["datasource"] == {"type": source["type"], "uid": source["uid"]}
            assert target["expr"].count("(") == target["expr"].count(")")
            used |= set(NAME.findall(target["expr"]))
    plain = {re.sub(r"_bucket$", "", name) for name in used}  # of a histogram
    assert plain <= stated
    assert {name for name in stated if name.startswith("gramd_")} <= plain

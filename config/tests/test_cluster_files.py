"""The examples for Kubernetes and Grafana say what docker-compose.yml and the code say."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.urls import resolve

DEPLOY = Path(settings.BASE_DIR) / "deploy"
COMPOSE = yaml.safe_load((Path(settings.BASE_DIR) / "docker-compose.yml").read_text())
THINGS = yaml.safe_load((DEPLOY / "kubernetes" / "tirelire.yaml").read_text())["items"]
PANELS = json.loads((DEPLOY / "grafana" / "tirelire.json").read_text())["panels"]
OF_RULES = {"payment_success_rate"}  # recorded, not exported
ENDS = ("", "_total", "_sum", "_count", "_bucket")
NAMED = {
    name
    for app in ("config", "billing", "credits", "wallets", "events", "rest")
    for module in (Path(settings.BASE_DIR) / app).rglob("*.py")
    if "tests" not in module.parts
    for name in re.findall(r'"((?:tirelire|payment)_[a-z_]+)"', module.read_text())
}
FIGURES = {name + end for name in NAMED for end in ENDS}


def container(name: str) -> dict[str, Any]:
    [found] = [each for each in THINGS if each["kind"] in ("Deployment", "Job") and each["metadata"]["name"] == name]
    [only] = found["spec"]["template"]["spec"]["containers"]
    return dict(only)


@pytest.mark.parametrize("name", ["stream", "worker", "beat"])
def test_processes_are_started_as_by_compose(name: str) -> None:
    wanted = shlex.split(COMPOSE["services"][name]["command"])
    assert container(name)["command"][: len(wanted)] == wanted


def test_migrations_are_made_as_by_compose() -> None:
    _, _, script = shlex.split(COMPOSE["services"]["migrate"]["command"])
    assert container("migrate")["args"] == [script]


def test_web_is_what_the_image_starts() -> None:
    assert "command" not in container("web")
    probes = [container("web")[f"{kind}Probe"]["httpGet"] for kind in ("readiness", "liveness")]
    assert [resolve(probe["path"]).url_name for probe in probes] == ["health-ready", "health-live"]


def test_secrets_are_references_and_all_run_one_image_without_rights() -> None:
    for name in ("web", "stream", "worker", "beat", "migrate"):
        found = container(name)
        assert {"secretRef": {"name": "tirelire"}} in found["envFrom"]
        assert found["securityContext"]["readOnlyRootFilesystem"]
    assert len({container(name)["image"] for name in ("web", "stream", "worker", "beat", "migrate")}) == 1
    text = (DEPLOY / "kubernetes" / "tirelire.yaml").read_text()
    assert not re.search(r"^\s*(SECRET_KEY|JWT_SECRET|\w*PASSWORD)\s*:(?! \"\")", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["web", "stream", "worker", "beat", "migrate"])
def test_config_map_comes_before_what_the_secret_took_from_env(name: str) -> None:
    """Of two sources the last one counts: a whole .env names other hosts, and holds the superuser's password."""
    assert container(name)["envFrom"] == [{"secretRef": {"name": "tirelire"}}, {"configMapRef": {"name": "tirelire"}}]
    [said] = [each["data"] for each in THINGS if each["kind"] == "ConfigMap"]
    assert said["POSTGRES_PASSWORD"] == ""
    assert {"APP_ENV", "ALLOWED_HOSTS", "BASE_URL", "TRUSTED_PROXY_COUNT"} <= said.keys()


def test_connections_are_kept_as_by_compose() -> None:
    for name in ("web", "stream"):
        pooled = ("DATABASE_KEEP_SECONDS", "DATABASE_POOL_SIZE")
        wanted = {key: value for key, value in COMPOSE["services"][name]["environment"].items() if key in pooled}
        wanted = {key: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for key, value in wanted.items()}
        there = {"DATABASE_POOL_SIZE": "0"} | {each["name"]: each["value"] for each in container(name).get("env", [])}
        assert there == {"DATABASE_POOL_SIZE": "0"} | wanted


def test_streams_go_to_their_own_process_as_at_the_front() -> None:
    [ingress] = [each for each in THINGS if each["kind"] == "Ingress"]
    paths = ingress["spec"]["rules"][0]["http"]["paths"]
    to_stream = {path["path"] for path in paths if path["backend"]["service"]["name"] == "stream"}
    front = (DEPLOY / "nginx.conf").read_text()
    assert to_stream == set(re.findall(r"location (?:= )?(\S+)\s*\{ include /etc/nginx/tirelire-stream", front))


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panels_show_figures_that_there_are(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        named = set(re.findall(r"\b((?:tirelire|payment)_\w+)\b", target["expr"]))
        assert named, target
        assert named <= FIGURES | OF_RULES


def test_alarms_watch_figures_that_there_are() -> None:
    groups = yaml.safe_load((DEPLOY / "prometheus-rules.yml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len({rule.get("alert") for rule in rules}) > 6
    for rule in rules:
        named = set(re.findall(r"\b((?:tirelire|payment)_\w+)\b", rule["expr"]))
        assert named, rule
        assert named <= FIGURES | OF_RULES

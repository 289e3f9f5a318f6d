"""What is shipped for containers: valid for the tools that read it, and true to the settings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from muttd.settings import declared, load

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
TOOLS = Path(sys.executable).parent

needs_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None and os.environ.get("CI") != "true",
    reason="kubectl is not installed",
)


def built(overlay: str) -> str:
    """What `kubectl apply -k` would send."""
    return subprocess.run(
        ["kubectl", "kustomize", DEPLOY / "kubernetes" / "overlays" / overlay],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def objects(overlay: str) -> dict[str, Any]:
    """The same, by kind; of several of a kind the last."""
    return {each["kind"]: each for each in yaml.safe_load_all(built(overlay))}


@needs_kubectl
@pytest.mark.parametrize("version", ["1.27", "1.35"])
@pytest.mark.parametrize("overlay", ["plain", "openshift"])
def test_manifests_are_strictly_valid(overlay: str, version: str, tmp_path: Path) -> None:
    path = tmp_path / "manifests.yaml"
    path.write_text(built(overlay))
    done = subprocess.run(
        [TOOLS / "kubernetes-validate", "--strict", "-k", version, path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # Two kinds come from operators, which Kubernetes itself has no schema of.
    unknown = [line for line in (done.stdout + done.stderr).splitlines() if "WARN" in line]
    assert all("ServiceMonitor" in line or "Route" in line for line in unknown)


def route_errors(route: object) -> list[str]:
    schema = json.loads((Path(__file__).parent / "route.schema.json").read_text())
    validator = jsonschema_rs.validator_for(schema)
    return [each.message for each in validator.iter_errors(route)]


@needs_kubectl
def test_the_route_is_strictly_valid_and_leads_to_a_port_of_the_service() -> None:
    documents = list(yaml.safe_load_all(built("openshift")))
    [route] = [each for each in documents if each["kind"] == "Route"]
    assert route_errors(route) == []
    services = {each["metadata"]["name"]: each for each in documents if each["kind"] == "Service"}
    ports = services[route["spec"]["to"]["name"]]["spec"]["ports"]
    assert route["spec"]["port"]["targetPort"] in {each["name"] for each in ports}


@needs_kubectl
@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("tls", {"termination": "re-encrypt"}),
        ("tls", {"termination": "edge", "destinationCACertificate": "a certificate"}),
        ("to", {"kind": "Service", "name": "muttd", "weight": 1000}),
        ("hosts", ["muttd.apps.example.com"]),
    ],
)
def test_a_mistake_in_the_route_is_found(part: str, value: object) -> None:
    route = objects("openshift")["Route"]
    route["spec"][part] = value
    assert route_errors(route) != []


@needs_kubectl
def test_a_pod_runs_as_an_ordinary_user_on_a_read_only_root() -> None:
    spec = objects("plain")["Deployment"]["spec"]["template"]["spec"]
    [container] = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    # OpenShift gives each namespace a group of its own.
    openshift = objects("openshift")["Deployment"]["spec"]["template"]["spec"]
    assert "fsGroup" not in openshift["securityContext"]


@needs_kubectl
def test_the_settings_of_the_manifests_are_settings() -> None:
    found = objects("plain")
    known = {name for row in declared() for name in row.names}
    names = set(found["ConfigMap"]["data"])
    [container] = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    names |= {each["name"] for each in container["env"]}
    assert {name for name in names if name.startswith("MUTTD_")} <= known


def test_the_settings_of_the_compose_stack_are_right() -> None:
    stack = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    for service in ("muttd", "muttd-2"):
        environ = {
            # ${NAME:-default} as Compose reads it where NAME is not set.
            name: value[value.index(":-") + 2 : -1] if value.startswith("${") else value
            for name, value in stack["services"][service]["environment"].items()
        }
        settings = load(environ)
        assert settings.redis.url is not None
        assert settings.database.url is not None


@pytest.mark.parametrize("unit", ["muttd.service", "muttd@.service"])
def test_the_settings_of_the_units_are_right(unit: str) -> None:
    lines = (DEPLOY.parent / "systemd" / unit).read_text().splitlines()
    text = " ".join(line.partition("=")[2] for line in lines if line.startswith("Environment="))
    # The specifiers that stand in it.
    words = text.replace("%H", "host").replace("%i", "1").split()
    cluster = {"MUTTD_REDIS_URL": "redis://r", "MUTTD_DATABASE_URL": "postgresql://mutt@p/mutt"}
    settings = load({**dict(word.split("=", 1) for word in words), **cluster})
    assert settings.reuse_port is ("@" in unit)


def test_the_containerfile_has_no_known_mistake() -> None:
    path = DEPLOY / "container" / "Containerfile"
    done = subprocess.run([TOOLS / "hadolint", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")

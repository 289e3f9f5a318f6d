"""The compose stack up for real: images of our own making, podman's API, Compose 2.

    network and mount namespaces of our own
      podman system service  <- docker-compose -f deploy/compose/compose.yaml up
      webhook on 10.9.0.1    <- the containers, by their bridge

No image is pulled: a Debian tree stands in for the base of each. The images are built outside of
the namespaces, where the package index is reached; all is kept in a directory of the test's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from background import running
from debian_tree import checked, fetch_compose, make_tree, pip_files
from running_daemon import eventually

ROOT = Path(__file__).parent.parent.parent
STACK = ROOT / "deploy" / "compose" / "compose.yaml"
IMAGES = Path(__file__).parent / "images"

TOOLS = ("podman", "buildah", "runc", "debootstrap")
CAN_RUN = os.geteuid() == 0 and all(shutil.which(tool) for tool in TOOLS)
WHY_NOT = f"root and {', '.join(TOOLS)} are needed (script/test --nightly installs them)"

WEBHOOK = "10.9.0.1"
ADMIN_KEY = "muttd-admin-key"
_IMAGE = "localhost/%s:local"
_SOCKET = "/run/podman.sock"

# Else networks and state are kept beside those of this machine, and are taken away with them.
_CONTAINERS_CONF = """
[network]
network_backend = "netavark"
network_config_dir = "{directory}/networks"
[engine]
tmp_dir = "{directory}/tmp"
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""

_NAMESPACES = f"""
set -e
mount -t tmpfs tmpfs /run
ip link set lo up
ip address add {WEBHOOK}/32 dev lo
echo ready
read -r _
"""

# Prints every body that it gets, a line each.
_RECEIVER = """
import http.server, sys
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer((sys.argv[1], 8000), Receiver)
print("bound", flush=True)
server.serve_forever()
"""


class ComposeStack:
    """The stack in its namespaces.

    Args:
        directory: Where images and containers are kept.
        keeper: The process whose namespaces these are.
    """

    def __init__(self, directory: Path, keeper: int) -> None:
        self._enter = ["nsenter", "-t", str(keeper), "-n", "-m"]
        self._podman = _podman(directory)
        self._environ: dict[str, str | Path] = {
            "CONTAINERS_CONF": directory / "containers.conf",
            "DOCKER_HOST": f"unix://{_SOCKET}",
            "MUTTD_IMAGE": _IMAGE % "muttd",
            "REDIS_IMAGE": _IMAGE % "redis",
            "POSTGRES_IMAGE": _IMAGE % "postgres",
            "MUTTD_MOOG_WEBHOOK_URL": f"http://{WEBHOOK}:8000/alerts",
        }
        self._compose = fetch_compose(directory / "apt")
        self.alerts: list[dict[str, Any]] = []

    def run(self, *command: str) -> str:
        """Run a command in the namespaces; its output. It must succeed."""
        return checked([*self._enter, *command], **self._environ)

    def compose(self, *command: str) -> str:
        """Run docker-compose on the stack."""
        files = ("-f", str(STACK), "-f", str(IMAGES / "limits.yaml"))
        return self.run(str(self._compose), *files, *command)

    def podman(self, *command: str) -> str:
        """Run podman on the stack's containers."""
        return self.run(*self._podman, *command)

    def api(self, path: str, body: object = None) -> Any:
        """Ask the first daemon by its published port."""
        # 503 until the store is there.
        words = ["curl", "-sS", "--fail-with-body", "--retry", "20", "--retry-delay", "1"]
        words += ["-H", f"X-API-KEY: {ADMIN_KEY}"]
        if body is not None:
            words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        return json.loads(self.run(*words, f"http://127.0.0.1:8080{path}"))

    def is_healthy(self, service: str) -> bool:
        """Ask the container's own health check: without systemd podman starts none by itself."""
        argv = [*self._enter, *self._podman, "healthcheck", "run", f"muttd-{service}-1"]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    @contextmanager
    def services(self) -> Iterator[None]:
        """The API of podman, the receiver, and somebody who asks how Redis and PostgreSQL are."""
        api = ("system", "service", "--time", "0", f"unix://{_SOCKET}")
        with (
            self._running(*self._podman, *api),
            self._running(sys.executable, "-c", _RECEIVER, WEBHOOK) as receiver,
        ):
            assert receiver.stdout is not None
            assert receiver.stdout.readline() == "bound\n"
            reader = threading.Thread(target=self._read_alerts, args=(receiver,), daemon=True)
            reader.start()
            up = [*self._enter, "test", "-S", _SOCKET]
            eventually(lambda: subprocess.run(up, check=False).returncode == 0)
            yield

    @contextmanager
    def health_checks(self) -> Iterator[None]:
        """Run the health checks that others wait for, again and again."""

        def ask(ended: threading.Event) -> None:
            while not ended.wait(0.5):
                for service in ("redis", "postgres"):
                    self.is_healthy(service)

        with running(ask):
            yield

    def _read_alerts(self, receiver: subprocess.Popen[str]) -> None:
        assert receiver.stdout is not None
        for line in receiver.stdout:
            self.alerts.append(json.loads(line))

    @contextmanager
    def _running(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [*self._enter, *command],
            env=os.environ | {name: str(value) for name, value in self._environ.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.terminate()


@contextmanager
def compose_stack() -> Iterator[ComposeStack]:
    """The stack, its images built and its services running; nothing of it is up yet."""
    with ExitStack() as stack:
        # Some three GB, and a name that is short enough for podman.
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stack-")))
        (directory / "containers.conf").write_text(_CONTAINERS_CONF.format(directory=directory))
        stack.callback(_remove_images, directory)
        _build_images(directory)
        keeper = stack.enter_context(
            subprocess.Popen(
                ["unshare", "-n", "-m", "sh", "-c", _NAMESPACES],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == "ready\n"
        running = ComposeStack(directory, keeper.pid)
        stack.enter_context(running.services())
        stack.callback(running.compose, "down", "--volumes", "--timeout", "5")
        yield running


def _podman(directory: Path) -> list[str]:
    return ["podman", "--root", f"{directory}/images", "--runroot", f"{directory}/run"]


def _build_images(directory: Path) -> None:
    conf = {"CONTAINERS_CONF": directory / "containers.conf"}
    podman = _podman(directory)
    tree = directory / "tree"
    servers = ("redis-server", "redis-tools", "postgresql")
    make_tree(tree, "python3", "python3-venv", "ca-certificates", *servers)
    base = _IMAGE % "base"
    archive = directory / "tree.tar"
    checked(["tar", "-C", str(tree), "-cf", str(archive), "."])
    checked([*podman, "import", "-q", str(archive), base], **conf)
    archive.unlink()
    shutil.rmtree(tree)
    shared = [word for name in pip_files() for word in ("-v", f"{name}:{name}:ro")]
    build = [*podman, "build", "-q", "--isolation=chroot", "--network=host", "--format=docker"]
    muttd = ["--build-arg", f"PYTHON_IMAGE={base}", "-f", "deploy/container/Containerfile"]
    checked([*build, *shared, *muttd, "-t", _IMAGE % "muttd", "."], cwd=ROOT, **conf)
    for name in ("redis", "postgres"):
        file = ["--build-arg", f"BASE={base}", "-f", str(IMAGES / f"Containerfile.{name}")]
        checked([*build, *file, "-t", _IMAGE % name, str(IMAGES)], **conf)


def _remove_images(directory: Path) -> None:
    """What podman mounted could not be removed as files."""
    conf = {"CONTAINERS_CONF": directory / "containers.conf"}
    checked([*_podman(directory), "system", "reset", "--force"], **conf)

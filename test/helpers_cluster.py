"""A Ray cluster on this machine, and workers for it, made up for tests."""

import os
import secrets
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conftest import ROOT

from lesionclick.errors import ModelError

Cluster = Any
"""Of ray.cluster_utils, most of which has no types."""


@contextmanager
def running_cluster(nodes: int) -> Iterator[Cluster]:
    """Starts so many nodes of a core each, the head included."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    former = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{ROOT}:{ROOT / 'test'}"  # so that workers find the classes below
    import ray.cluster_utils

    cluster: Cluster = ray.cluster_utils.Cluster()
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as scratch:  # sockets need short paths
        try:
            for _ in range(nodes):
                add_node(cluster, Path(scratch))
            yield cluster
        finally:
            cluster.shutdown()
            if former is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = former


def add_node(cluster: Cluster, scratch: Path | None = None) -> Any:
    """Adds a node, the first one with its files in a folder."""
    folder = scratch if scratch is not None else Path(cluster.head_node.get_temp_dir_path())
    node_id = secrets.token_hex(28)
    with _saying_port(folder, node_id):
        return cluster.add_node(
            num_cpus=1,
            object_store_memory=80 << 20,
            include_dashboard=False,
            include_log_monitor=False,
            env_vars={"RAY_OVERRIDE_NODE_ID_FOR_TESTING": node_id},
            **({} if cluster.head_node else {"temp_dir": str(folder)}),
            **_free_ports("metrics_agent_port", "runtime_env_agent_port", "metrics_export_port"),
        )


@contextmanager
def _saying_port(folder: Path, node_id: str) -> Iterator[None]:
    """Says in an agent's stead that it listens on no port, as all do without a dashboard.

    A node waits for this file for 15 s and dies without it, which is too short where tests share a machine with much
    else (https://github.com/ray-project/ray/issues/65983).
    """
    is_up = threading.Event()

    def write() -> None:
        while not is_up.wait(0.05):
            for session in folder.glob("session_2*"):
                path = session / f"dashboard_agent_listen_port_{node_id}"
                if not path.exists():
                    path.write_text("-1")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        is_up.set()
        thread.join()


def _free_ports(*names: str) -> dict[str, int]:
    sockets = [socket.create_server(("", 0)) for _ in names]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return dict(zip(names, ports, strict=True))


class Doubler:
    """A worker that gives the double, dies of 0 and fails at 13."""

    def __init__(self, log: Path, refuses: bool = False) -> None:
        self._log = log
        self._refuses = refuses

    def prepare(self) -> None:
        if self._refuses:
            raise ModelError("model: has no weights")

    def run(self, item: int) -> int:
        with self._log.open("a") as file:
            file.write(f"{item}\n")
        time.sleep(0.1)
        if item == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if item == 13:
            raise ValueError("thirteen")
        return 2 * item

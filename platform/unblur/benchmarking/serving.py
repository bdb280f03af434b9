"""How fast a registered model answers over HTTP: behind `mlflow models serve` and behind Ray Serve, asked by clients
that send one request after the other.
"""

import http.client
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import yaml

from unblur import environment
from unblur.benchmarking.recommending import made
from unblur.benchmarking.result import Serving
from unblur.data.dataset import Dataset
from unblur.errors import RunFailed, UserError
from unblur.models.diffusion import cfg_diffrec
from unblur.processes import free_port, server
from unblur.running.cluster import OWN
from unblur.tracking import names
from unblur.tracking.client import Store, connect
from unblur.tracking.registry import register
from unblur.tracking.runs import LoggedDataset
from unblur.tracking.tracker import Tracker
from unblur.training.loop import fit_for

USERS, K = 2_000, 10
"""Users that the model is trained on, whose histories are asked for, and items that each request wants."""
CLIENTS, WORKERS = (1, 4, 16), 1
"""Clients at a time, in turn, and processes of the server: with more of them MLflow's (uvicorn's) sockets wait for each
other's acknowledgements (Nagle's algorithm), which adds 40 ms to every answer."""
START_SECONDS, END_SECONDS = 300.0, 60.0
"""For a server to come up, and to end by itself."""


def measure(seconds: float, hidden: int, batch_size: int) -> list[Serving]:
    """Ask both servers for so many seconds with each number of clients. RunFailed when one does not answer."""
    _need_ray_serve()
    dataset = made(USERS)
    config = cfg_diffrec.Config.model_validate({"dims": (hidden,), "batch_size": batch_size, "guidance_scale": 2.0})
    model = cfg_diffrec.Model(config, dataset.n_users, dataset.n_items)
    fit_for(model, dataset, epochs=1)
    bodies = requests(dataset)
    with TemporaryDirectory(prefix="unblur-") as folder:
        model.save(Path(folder) / "saved")
        store = connect(f"sqlite:///{folder}/mlflow.db")
        uri = _registered(store, Path(folder) / "saved", dataset)
        return [each for name in SERVERS for each in _measured(name, uri, store, Path(folder), bodies, seconds)]


def _measured(
    name: str, uri: str, store: Store, folder: Path, bodies: Sequence[bytes], seconds: float
) -> list[Serving]:
    begun = time.monotonic()
    with served(name, uri, store, folder) as port:
        start_up = time.monotonic() - begun
        return [_asked(name, port, bodies, clients, seconds, start_up) for clients in CLIENTS]


def _need_ray_serve() -> None:
    try:
        import ray.serve  # noqa: F401
    except ImportError as error:
        raise UserError(f"--serve-seconds: {error.name} is missing; use pip install 'unblur[serve]'") from None


def requests(dataset: Dataset) -> list[bytes]:
    """A request for each user: the whole history, oldest first."""
    events = dataset.history().in_order()
    histories = [dataset.items[events.items[a:b]].tolist() for a, b in zip(events.starts, events.ends, strict=True)]
    return [json.dumps({"inputs": [history], "params": {"k": K}}).encode() for history in histories]


def _registered(store: Store, folder: Path, dataset: Dataset) -> str:
    tracker = Tracker(store, "benchmark")
    logged = LoggedDataset("benchmark", dataset.digest, {})
    run = tracker.open_study("serving", "serving", {}, {}, logged)
    tags = {names.MODEL: "cfg_diffrec"}
    uri = register(store, folder, "benchmark", dataset.items.tolist(), run, tags, dict, None, "")
    tracker.close()
    return uri


@contextmanager
def served(name: str, uri: str, store: Store, folder: Path, replicas: int = WORKERS) -> Iterator[int]:
    """The port on loopback at which one of SERVERS answers for a registered model; its log is in `folder`."""
    port = free_port()
    command, surroundings = SERVERS[name](uri, store, folder, port, replicas)
    told = {"OMP_NUM_THREADS": "1", **surroundings}
    with server(name, command, port, folder / "serve.log", told, "/ping", START_SECONDS, END_SECONDS):
        yield port


def _mlflow(uri: str, store: Store, folder: Path, port: int, replicas: int) -> tuple[list[str], dict[str, str]]:
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", uri, "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", str(replicas)]
    # MLflow looks for its server's program there, also where the environment is not activated
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return command, {"MLFLOW_TRACKING_URI": store.uri, "PATH": path}


def _ray(uri: str, store: Store, folder: Path, port: int, replicas: int) -> tuple[list[str], dict[str, str]]:
    application = {
        "name": "unblur",
        "import_path": "unblur.serving:application",
        "args": {"model": uri, "tracking_uri": store.uri},
        "deployments": [{"name": "Recommender", "num_replicas": replicas}],
    }
    file = folder / "serve.yaml"
    asked = {"http_options": {"host": "127.0.0.1", "port": port}, "grpc_options": {"port": free_port()}}
    file.write_text(yaml.safe_dump({**asked, "applications": [application]}))
    command = [sys.executable, "-c", "from ray.serve.scripts import cli; cli()", "run", str(file)]
    # a cluster of its own, whatever runs on the machine; Ray's workers would give way to everybody else
    return command, {"RAY_ADDRESS": OWN, "RAY_TMPDIR": str(folder), "RAY_worker_niceness": "0", **environment.RAY}


SERVERS = {"mlflow models serve": _mlflow, "Ray Serve": _ray}


def _asked(name: str, port: int, bodies: Sequence[bytes], clients: int, seconds: float, start_up: float) -> Serving:
    with ThreadPoolExecutor(clients) as pool:
        end = time.monotonic() + seconds
        shares = [pool.submit(_ask, port, bodies[client::clients], end) for client in range(clients)]
        took = np.concatenate([share.result() for share in shares])
    return Serving(
        server=name,
        workers=WORKERS,
        clients=clients,
        requests=len(took),
        seconds=seconds,
        start_up=start_up,
        p50=float(np.quantile(took, 0.5)),
        p99=float(np.quantile(took, 0.99)),
    )


def _ask(port: int, bodies: Sequence[bytes], end: float) -> list[float]:
    """Seconds of each answer of a client that keeps its connection; RunFailed for one that is none."""
    connection, took = http.client.HTTPConnection("127.0.0.1", port, timeout=60), list[float]()
    while (begun := time.monotonic()) < end or not took:
        body = bodies[len(took) % len(bodies)]
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        took.append(time.monotonic() - begun)
        if answer.status != 200 or len(json.loads(content)["predictions"][0]) != K:
            raise RunFailed(f"the server answered {answer.status}: {content[:300].decode(errors='replace')}")
    return took

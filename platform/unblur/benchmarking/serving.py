"""How fast a registered model answers over HTTP: `mlflow models serve`, and clients that ask one request after the
other.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from unblur.benchmarking.recommending import made
from unblur.benchmarking.result import Serving
from unblur.data.dataset import Dataset
from unblur.errors import RunFailed
from unblur.models.diffusion import cfg_diffrec
from unblur.tracking import names
from unblur.tracking.client import Store, connect
from unblur.tracking.registry import register
from unblur.tracking.runs import LoggedDataset
from unblur.tracking.tracker import Tracker
from unblur.training.loop import fit_for

USERS, K = 2_000, 10
"""Users that the model is trained on, whose histories are asked for, and items that each request wants."""
CLIENTS, WORKERS = (1, 4), 1
"""Clients at a time, in turn, and processes of the server: with more of them MLflow's (uvicorn's) sockets wait for each
other's acknowledgements (Nagle's algorithm), which adds 40 ms to every answer."""
START_SECONDS = 180.0
"""For a server to come up."""


def measure(seconds: float, hidden: int, batch_size: int) -> list[Serving]:
    """Ask a served model for so many seconds with each number of clients. RunFailed when the server does not answer."""
    dataset = made(USERS)
    config = cfg_diffrec.Config.model_validate({"dims": (hidden,), "batch_size": batch_size, "guidance_scale": 2.0})
    model = cfg_diffrec.Model(config, dataset.n_users, dataset.n_items)
    fit_for(model, dataset, epochs=1)
    bodies = requests(dataset)
    with TemporaryDirectory(prefix="unblur-") as folder:
        model.save(Path(folder) / "saved")
        store = connect(f"sqlite:///{folder}/mlflow.db")
        uri, begun = _registered(store, Path(folder) / "saved", dataset), time.monotonic()
        with served(uri, store, Path(folder)) as port:
            start_up = time.monotonic() - begun
            return [_asked(port, bodies, clients, seconds, start_up) for clients in CLIENTS]


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
def served(uri: str, store: Store, folder: Path) -> Iterator[int]:
    """The port on loopback at which `mlflow models serve` answers for a registered model; its log is in `folder`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", uri, "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", str(WORKERS)]
    # MLflow looks for its server's program there, also where the environment is not activated
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    told = {"MLFLOW_TRACKING_URI": store.uri, "OMP_NUM_THREADS": "1", "PATH": path}
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **told}, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(port, process, folder / "serve.log")
        yield port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/ping")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    raise RunFailed(f"mlflow models serve did not come up: {log.read_text(errors='replace').strip()[-500:]}")


def _asked(port: int, bodies: Sequence[bytes], clients: int, seconds: float, start_up: float) -> Serving:
    with ThreadPoolExecutor(clients) as pool:
        end = time.monotonic() + seconds
        shares = [pool.submit(_ask, port, bodies[client::clients], end) for client in range(clients)]
        took = np.concatenate([share.result() for share in shares])
    return Serving(
        server="mlflow models serve",
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

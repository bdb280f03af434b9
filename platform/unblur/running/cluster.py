"""The Ray cluster of a run: the one that is there, or one on this machine that lasts as long as the run."""

import logging
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import ray
from ray._common.utils import get_ray_address_file
from ray._private import ray_constants, services, worker

from unblur import environment
from unblur.errors import UserError
from unblur.running.leftovers import in_use, sweep
from unblur.running.tune_run import kept
from unblur.signals import deaf_children, sigterm_as_ctrl_c

log = logging.getLogger(__name__)

WORKERS_ENVIRONMENT = {
    "env_vars": environment.RAY_WORKERS,
    "worker_process_setup_hook": "unblur.running.own_cluster.know_own_cluster",
}
OWN = "local"
"""Ray's word for a cluster of one's own, whatever else there is."""
STARTS = 2
"""Times that a cluster on this machine is started: on a busy one Ray gives up after half a minute."""
TIMED_OUT = "timed out during startup"


@contextmanager
def ray_cluster() -> Iterator[None]:
    """Join the cluster that RAY_ADDRESS or a running head names, or start one on this machine for as long as needed."""
    with environment.variables({}, defaults=environment.RAY), ExitStack() as stack:
        if not ray.is_initialized():
            log.info("starting Ray, or joining the cluster that is there")
            stack.enter_context(_joined(os.environ.get("RAY_ADDRESS", "")))
        stack.enter_context(sigterm_as_ctrl_c())
        stack.enter_context(kept())
        yield


@contextmanager
def _joined(address: str) -> Iterator[None]:
    alone = not _answers(address)
    with ExitStack() as stack:
        if alone:
            stack.enter_context(_on_loopback())
        stack.callback(_leave)
        session = Path(_connected(address, alone, STARTS if alone else 1))
        if alone:
            sweep([*session.parent.glob("session_*"), *Path(tempfile.gettempdir()).glob("unblur-tune-*")])
            stack.enter_context(in_use(session))
        yield


def _answers(address: str) -> bool:
    """Whether there is a cluster to join; where nobody answers Ray itself waits for minutes, and says nothing.

    UserError when RAY_ADDRESS asks for one. A head that was killed leaves its address in a file: this is told, and no
    reason not to start.
    """
    place = address or services.find_bootstrap_address(None) or OWN
    if place == OWN:
        return False
    silent = _silent(place)
    if silent and address:
        raise UserError(
            f"no Ray cluster answers at {address} ({silent}). Set RAY_ADDRESS to HOST:PORT of a head that runs (ray "
            "start --head; 6379), or unset it for a cluster on this machine; a dashboard's http:// address is for `ray "
            "job submit`."
        )
    if silent:
        log.info(
            f"nobody answers at {place} ({silent}), where {get_ray_address_file(None)} says that a Ray cluster runs: "
            "starting one for this run"
        )
    return not silent


def _silent(place: str) -> str:
    """Why nobody can be reached at HOST:PORT or `auto`; empty where somebody answers."""
    try:
        host, _, port = services.canonicalize_bootstrap_address(place).rpartition(":")  # where Ray will go
        socket.create_connection((host, int(port)), timeout=5).close()
    except ValueError:
        return "this is no HOST:PORT"
    except OSError as error:
        return error.strerror or str(error).partition(". ")[0]
    return ""


@contextmanager
def _on_loopback() -> Iterator[None]:
    """What is begun in the block listens on this machine alone; Ray has that for systems where it forms no clusters."""
    quiet = {ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0"}
    if sys.platform == "linux":
        quiet["GLOO_SOCKET_IFNAME"] = "lo"
    before = ray_constants.ENABLE_RAY_CLUSTER
    with environment.variables(quiet):
        ray_constants.ENABLE_RAY_CLUSTER = False  # this process has read its environment already
        try:
            yield
        finally:
            ray_constants.ENABLE_RAY_CLUSTER = before


def _connected(address: str, alone: bool, times: int) -> str:
    """The session's folder, of a cluster for this run alone or of the one to join. UserError when it cannot be had."""
    try:
        # otherwise a SIGTERM to all processes ends Ray before the driver, and Ray's library then ends the driver
        with deaf_children():
            begun = ray.init(
                address=OWN if alone else None,
                log_to_driver=False,
                logging_level="error",
                runtime_env=WORKERS_ENVIRONMENT,
                # by default with a dashboard, though nobody is told of its page: Ray Train asks it whether a training
                # that was killed is gone, and keeps the resources of that one for ever where nobody answers
            )
        return str(begun.address_info["session_dir"])
    except SystemExit:  # Ray's own handler of SIGTERM, until ours is there again
        raise KeyboardInterrupt from None
    except (ConnectionError, ray.exceptions.AuthenticationError) as error:
        raise UserError(
            f"the Ray cluster {f'at {address} ' if address else ''}cannot be joined: {str(error).partition('. ')[0]}. "
            "If it asks for a token (ray start with RAY_AUTH_MODE=token), set RAY_AUTH_MODE=token here too and give "
            "its token in RAY_AUTH_TOKEN or ~/.ray/auth_token; RAY_ADDRESS names another cluster."
        ) from None
    except OSError as error:
        if "AF_UNIX path length" not in str(error):
            raise
        raise UserError(
            f"TMPDIR={tempfile.gettempdir()}: the path is too long for Ray's sockets below it; set RAY_TMPDIR, or "
            "TMPDIR, to a folder with a short one, such as /tmp"
        ) from None
    except Exception as error:  # Ray has no class of its own for it
        if TIMED_OUT not in str(error):
            raise
    if times > 1:
        log.info("Ray did not start in time, as happens on a busy machine: once more")
        return _connected(address, alone, times - 1)
    raise UserError(
        "Ray did not start within half a minute, twice: the machine is too busy or short of memory. Try again when "
        "it is less so, or name a cluster that runs with RAY_ADDRESS."
    )


def _leave() -> None:
    """Disconnect, and end the cluster if it is this run's: its processes are deaf to anything gentle.

    Ray would wait a second for each of them, and leave those that the raylet, its daemon, had begun to themselves.
    """
    import psutil  # Ray's own, which lies among its files

    node, begun = worker._global_node, []
    for process in [info.process for infos in node.all_processes.values() for info in infos] if node else ():
        process.terminate = process.kill
        with suppress(psutil.Error):
            begun += psutil.Process(process.pid).children(recursive=True)
    ray.shutdown()
    for each in begun:
        with suppress(psutil.Error):
            each.kill()

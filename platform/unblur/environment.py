"""Process environment: the one module that writes variables for Ray, Tune and MLflow, and restores them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # otherwise every CPU-only actor of a trial would be told that it has no GPU
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Of the driver, from before Ray is up; what a person has set stays."""
RAY_WORKERS = {
    # every report of a Ray Train worker waits for this poll, which takes 2 s by default
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    # compiled operations that oneDNN keeps, where it would keep 1,024: each number of rows has one of its own, of up to
    # a MiB, and a training whose batches all differ in size, as those of sequences do, would come to hold a GiB of them
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
}
"""Of Ray's workers. Their warnings go to Ray's log files, where who adds a model finds them."""
TUNE = {
    # no tables, log files or advice from Tune: the listeners show what happens
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    # Ctrl-C is ours (`signals`)
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # a thread that outlives Ray would start it again
    "RAY_ENABLE_AUTO_CONNECT": "0",
    # the record is the study: Tune's own state is of no use after the run
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
"""Of the driver while tasks run."""
TUNE_TRIAL = {
    # how long a stopped trial function may take to clean up before its process is given up; read in the trial's own
    # process when the next trial takes it over
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
}
MLFLOW = {
    # we retry by ourselves: a create that MLflow repeats behind our back would make a second run
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    # MLflow prints the server's address, credentials included, at the end of every run
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
MLFLOW_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""What a person has set stays."""


@contextmanager
def restored() -> Iterator[None]:
    """Leave the environment as it was: for a whole run, in which `keep` may be called."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def variables(values: Mapping[str, str], defaults: Mapping[str, str] | None = None) -> Iterator[None]:
    """Set these while the block runs; `defaults` only where there is nothing yet."""
    before = {name: os.environ.get(name) for name in {**values, **(defaults or {})}}
    keep(values, defaults)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def keep(values: Mapping[str, str], defaults: Mapping[str, str] | None = None) -> None:
    """Set these until the end of the process (a worker's), or of the run around (`restored`)."""
    os.environ.update(values)
    for name, value in (defaults or {}).items():
        os.environ.setdefault(name, value)

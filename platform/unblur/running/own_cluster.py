"""What every process of a job is told at its start: which cluster it belongs to."""

import ray

from unblur import environment


def know_own_cluster() -> None:
    """Ray Train's own helpers look for the cluster in the environment; a search would hang for ever without it.

    On a machine with several clusters (two searches of one person) they find more than one, give up, and leave the
    resources of a training that was stopped reserved. The light module is imported by each worker.
    """
    environment.keep({"RAY_ADDRESS": ray.get_runtime_context().gcs_address})

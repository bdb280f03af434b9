"""MLflow's scoring server for a model that is in this process already: its addresses, its requests and its answers."""

from typing import TYPE_CHECKING

from unblur.models.serving import Recommends
from unblur.tracking.registry import Registered

if TYPE_CHECKING:
    from fastapi import FastAPI  # MLflow's own dependency


def scoring_server(registered: Registered, served: Recommends) -> "FastAPI":
    """What `mlflow models serve` has at /invocations, /ping, /health and /version, answered by `served`."""
    from mlflow.models import Model
    from mlflow.pyfunc import PyFuncModel
    from mlflow.pyfunc.scoring_server import init

    from unblur.tracking.pyfunc_model import TopK

    top_k = TopK()
    top_k.served = served
    server: FastAPI = init(PyFuncModel(Model.load(registered.package), top_k))
    return server

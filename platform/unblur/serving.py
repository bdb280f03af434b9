"""A registered model behind Ray Serve, with MLflow's requests and answers; requests that wait are scored together.

    serve run unblur.serving:application model=models:/unblur-plays@champion

or `import_path: unblur.serving:application` in the file of `serve deploy` (examples/serve.yaml).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import click
from pydantic import BaseModel, ConfigDict, ValidationError
from ray import serve

from unblur import models
from unblur.errors import UserError, explain
from unblur.models.serving import Answer, Request, ServedModel
from unblur.tracking.client import connect
from unblur.tracking.invocations import scoring_server
from unblur.tracking.registry import load_registered
from unblur.training.workers import on_best_device

if TYPE_CHECKING:
    from fastapi import FastAPI
    from ray.serve import Application

AT_ONCE = 64
"""Requests that are scored together at most."""
WAITING = 2 * AT_ONCE
"""Requests that a replica takes at a time: the next batch is read while one is scored."""


class Arguments(BaseModel):
    """What `serve run` takes after the import path, and `args` in a file of `serve deploy`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """models:/NAME@ALIAS, models:/NAME/VERSION, or a dataset's name, which is its champion."""
    tracking_uri: str | None = None
    """MLflow's tracking store [MLFLOW_TRACKING_URI, else ./mlflow.db]."""


class Batched:
    """A model that is asked by a thread for each client: the thread waits, the requests go to `ask`.

    To be made in the event loop in which `ask` runs.
    """

    def __init__(self, ask: Callable[[Request], Awaitable[Answer | UserError]]) -> None:
        self.ask, self.loop = ask, asyncio.get_running_loop()

    def recommend(
        self, histories: Sequence[Sequence[str]], k: int, guidance_scale: float | None, exclude: Sequence[str]
    ) -> Answer:
        """As `ServedModel.recommend`."""
        request = Request(histories, k, guidance_scale, tuple(exclude))
        found = asyncio.run_coroutine_threadsafe(self._asked(request), self.loop).result()
        if isinstance(found, UserError):
            raise found
        return found

    async def _asked(self, request: Request) -> Answer | UserError:
        return await self.ask(request)


@serve.ingress()
class Recommender:
    """One process that answers: the addresses of MLflow's scoring server, and a model that scores batches."""

    async def __init__(self, model: str, tracking_uri: str) -> None:  # type: ignore[misc]  # Ray Serve awaits it
        registered = load_registered(connect(tracking_uri), model)
        self.model = ServedModel(on_best_device(models.load(registered.folder)), registered.items)
        # of these MLflow's server gives each request one
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(WAITING))
        self.server = scoring_server(registered, Batched(self.together))

    def __serve_build_asgi_app__(self) -> "FastAPI":
        return self.server

    # nobody waits for others to come. Scoring holds up the event loop, and with it the requests of the next batch: in a
    # thread, each would become a batch of its own when it comes, and wait as such
    @serve.batch(max_batch_size=AT_ONCE, batch_wait_timeout_s=0)
    async def together(self, requests: list[Request]) -> list[Answer | UserError]:
        """The answers to requests that waited."""
        return self.model.answers(requests)


def application(args: Mapping[str, Any]) -> "Application":
    """What Ray Serve runs for these `Arguments`. The alias is looked up now: all replicas have the same version."""
    try:
        asked = Arguments.model_validate(args)
        store = connect(asked.tracking_uri)
        return serve.deployment(max_ongoing_requests=WAITING)(Recommender).bind(
            load_registered(store, asked.model).version, store.uri
        )
    except ValidationError as error:
        told = explain(error, "argument", Arguments.model_fields)
    except UserError as error:
        told = str(error)
    raise click.UsageError(told)  # which `serve run` tells in its own form

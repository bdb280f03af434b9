"""A registered model behind Ray Serve answers what it answers by itself, to many clients at a time too."""

import asyncio
import http.client
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import pytest
import yaml
from tests.helpers import ROOT
from tests.helpers.mlflow_store import empty_store
from tests.helpers.synthetic import communities

from unblur import models
from unblur.benchmarking.serving import SERVERS, served
from unblur.errors import UserError
from unblur.models.serving import Answer, Request, ServedModel
from unblur.serving import Arguments, Batched, application
from unblur.tracking.registry import CHAMPION, decide, register
from unblur.tracking.runs import LoggedDataset
from unblur.tracking.tracker import Tracker

DATA = communities()


def test_threads_get_their_own_answers_from_one_event_loop() -> None:
    seen = list[Request]()

    async def ask(request: Request) -> Answer | UserError:
        seen.append(request)
        while len(seen) < 3:  # all of them wait at the same time
            await asyncio.sleep(0.001)
        return UserError("k = 0, expected 1") if request.k == 0 else [list(row) for row in request.histories]

    async def answered() -> Sequence[Answer | BaseException]:
        model, loop = Batched(ask), asyncio.get_running_loop()
        with ThreadPoolExecutor(3) as threads:
            asked = [([["a"]], 1, None, []), ([["b"], ["c"]], 2, 3.0, ["d"]), ([["e"]], 0, None, [])]
            calls = [loop.run_in_executor(threads, model.recommend, *each) for each in asked]
            return await asyncio.gather(*calls, return_exceptions=True)

    first, second, third = asyncio.run(answered())
    assert (first, second) == ([["a"]], [["b"], ["c"]])
    assert isinstance(third, UserError)
    assert Request([["b"], ["c"]], 2, 3.0, ("d",)) in seen


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({}, "argument model is missing"),
        ({"modle": "plays", "model": "plays"}, "unknown argument 'modle'. Did you mean 'model'?"),
        ({"model": "plays"}, "no registered model models:/unblur-plays@champion"),
    ],
)
def test_what_cannot_be_served_is_told_before_anything_starts(args: dict[str, str], told: str, tmp_path: Path) -> None:
    place = {"tracking_uri": empty_store(tmp_path).uri} if args else {}
    with pytest.raises(click.UsageError, match=told):
        application({**args, **place})


def test_the_example_names_what_there_is() -> None:
    asked = yaml.safe_load((ROOT / "examples/serve.yaml").read_text())
    (app,) = asked["applications"]
    module, _, name = app["import_path"].partition(":")
    assert (module, name) == (application.__module__, application.__name__)
    Arguments.model_validate(app["args"])
    assert [each["name"] for each in app["deployments"]] == ["Recommender"]


def post(port: int, body: Any) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request("POST", "/invocations", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


@pytest.mark.slow
def test_it_answers_as_the_model_and_as_mlflow_do() -> None:
    """Two replicas, forty clients at a time, and the same slips to both servers."""
    config = models.configure("cfg_diffrec", {"dims": [8], "guidance_scale": 2.0}, "test")
    model = models.model_class("cfg_diffrec")(config, DATA.n_users, DATA.n_items).eval()
    itself = ServedModel(model, DATA.items.tolist())
    histories = [[str(item), str(item + 1)] for item in range(40)]
    dials: list[dict[str, Any]] = [{"k": 3}, {"k": 5, "guidance_scale": 0.5}, {"k": 3, "exclude": ["7"]}]
    bodies = [{"inputs": [row], "params": dials[at % 3]} for at, row in enumerate(histories)]
    slips: list[Any] = [
        {"inputs": [["1"]], "params": {"k": 0}},
        {"inputs": [["1", 2]]},
        {"inputs": [["1"]], "params": {"guidance_scale": "much"}},
        {"instances": [["1"]]},
        {"inputs": [["1"]], "params": {"exclude": 7}},
    ]
    with TemporaryDirectory(prefix="unblur-") as folder:  # short: Ray's sockets are in it
        model.save(Path(folder) / "saved")
        store = empty_store(Path(folder))
        tracker = Tracker(store, "toys/clean")
        run = tracker.open_study("s1", "toys", {}, {}, LoggedDataset("toys", "ab" * 32, {}))
        uri = register(store, Path(folder) / "saved", "toys", DATA.items.tolist(), run, {}, dict, None, "")
        decide(store, uri, "the first", crowned=True)
        tracker.close()
        refused = {}
        for name in SERVERS:
            with served(name, f"models:/unblur-toys@{CHAMPION}", store, Path(folder), 2) as port:
                alone = [post(port, body) for body in bodies[:6]]
                with ThreadPoolExecutor(40) as clients:
                    together = list(clients.map(lambda body, port=port: post(port, body), bodies))
                refused[name] = [post(port, body) for body in slips]
            assert alone == together[:6], name
            asked = [(each["inputs"], each["params"]) for each in bodies]
            assert together == [(200, {"predictions": itself.recommend(row, **set_)}) for row, set_ in asked], name
    one, other = refused.values()
    assert [status for status, _ in one] == [400] * len(slips)
    assert "k = 0, expected a number of items" in one[0][1]["message"] and "stack_trace" not in one[0][1]
    assert one == other

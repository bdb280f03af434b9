"""The benchmark of a served model: a real server, clients that keep asking, and the quantiles of what they waited."""

import json

import pytest

from unblur.benchmarking import serving
from unblur.benchmarking.recommending import made


def test_a_request_is_a_history_in_its_order() -> None:
    data = made(3)
    first = json.loads(serving.requests(data)[0])
    ranks = dict(zip(data.train[[0]].indices.tolist(), data.train_rank[: data.train.indptr[1]].tolist(), strict=True))
    assert first["params"] == {"k": serving.K}
    assert first["inputs"] == [[str(item) for item, _ in sorted(ranks.items(), key=lambda each: each[1])]]


@pytest.mark.slow
def test_both_servers_are_asked_by_each_number_of_clients() -> None:
    found = serving.measure(seconds=1.0, hidden=8, batch_size=400)
    asked = [(server, clients) for server in serving.SERVERS for clients in serving.CLIENTS]
    assert [(each.server, each.clients) for each in found] == asked
    for each in found:
        assert each.requests >= each.clients and 0 < each.p50 <= each.p99 and each.start_up > 0

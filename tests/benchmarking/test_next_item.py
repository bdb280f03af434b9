"""SASRec beside RecBole's: the data that it is told, the network, and the same metrics for the same weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from tests.helpers.synthetic import chains, communities
from torch import nn

from unblur.benchmarking import next_item, recbole
from unblur.benchmarking.options import BenchmarkOptions
from unblur.errors import UserError

DATA = chains()


def test_recboles_files_hold_each_target_once_behind_the_newest_items_before_it(tmp_path: Path) -> None:
    recbole.write_prefixes(DATA, 3, tmp_path / "unblur")
    history = DATA.history().in_order()
    items = [history.items[a:b].tolist() for a, b in zip(history.starts, history.ends, strict=True)]
    rows = [line.split("\t") for line in (tmp_path / "unblur" / "unblur.train.inter").read_text().splitlines()]
    assert rows[0] == ["user_id:token", "item_id_list:token_seq", "item_id:token"]
    told = [(int(user), list(map(int, before.split())), int(item)) for user, before, item in rows[1:]]
    assert told == [(u, own[max(0, k - 3) : k], own[k]) for u, own in enumerate(items) for k in range(1, len(own))]
    rows = [line.split("\t") for line in (tmp_path / "unblur" / "unblur.valid.inter").read_text().splitlines()]
    assert {(int(u), int(i)) for u, _, i in rows[1:]} == set(
        zip(*map(np.ndarray.tolist, DATA.valid.nonzero()), strict=True)
    )
    assert all(list(map(int, before.split())) == items[int(u)][-3:] for u, before, _ in rows[1:])


def test_the_network_is_the_post_norm_transformer_that_pytorch_has() -> None:
    torch.manual_seed(0)
    ours = next_item.PostNormTransformer(next_item.CONFIG).eval()
    for weights in ours.parameters():
        nn.init.normal_(weights, std=0.3)
    dim, block = next_item.CONFIG.dim, ours.blocks[0]
    theirs = nn.TransformerEncoderLayer(
        dim, 1, 4 * dim, activation="gelu", layer_norm_eps=next_item.EPSILON, batch_first=True
    ).eval()
    theirs.load_state_dict(
        {
            "self_attn.in_proj_weight": block.inwards.weight,
            "self_attn.in_proj_bias": block.inwards.bias,
            "self_attn.out_proj.weight": block.outwards.weight,
            "self_attn.out_proj.bias": block.outwards.bias,
            "linear1.weight": block.widen.weight,
            "linear1.bias": block.widen.bias,
            "linear2.weight": block.narrow.weight,
            "linear2.bias": block.narrow.bias,
            "norm1.weight": block.norm_attention.weight,
            "norm1.bias": block.norm_attention.bias,
            "norm2.weight": block.norm_feed_forward.weight,
            "norm2.bias": block.norm_feed_forward.bias,
        }
    )
    x = torch.randn(2, 5, dim)
    expected = theirs(ours.norm(x + ours.positions.weight[:5]), nn.Transformer.generate_square_subsequent_mask(5))
    torch.testing.assert_close(ours(x, torch.ones(2, 5, dtype=torch.bool)), expected, rtol=1e-4, atol=1e-4)


def test_only_data_with_one_item_to_find_can_be_compared() -> None:
    with pytest.raises(UserError, match=r"up to [0-9]+ validation interactions.*beauty_5core"):
        next_item.comparable(communities(n_users=40))


def test_without_a_peer_ours_is_timed_alone() -> None:
    found = next_item.measure(BenchmarkOptions(next_item_rounds=1), DATA, Console(quiet=True))
    assert list(found.training) == ["ours"] == list(found.metrics) and found.largest_difference == {}
    assert found.targets == sum(max(0, n - 1) for n in np.diff(DATA.train.indptr))
    assert found.training["ours"].seconds[0] > 0 and next_item.told(found)[0] == f"SASRec, {found.targets:,} targets"


@pytest.mark.slow
def test_recbole_gives_the_same_metrics_for_the_same_weights() -> None:
    cache = Path("~/.cache/unblur/peers").expanduser()
    if not (cache / "recbole-1.2.1" / "complete").exists():
        pytest.skip("jobs/benchmark.py --peer recbole has not made RecBole's environment yet")
    options = BenchmarkOptions(next_item_rounds=1, peer="recbole", peer_cache=cache, threads=1)
    found = next_item.measure(options, DATA, Console(quiet=True))
    assert found.largest_difference["recbole"] < 1e-6 and found.metrics["ours"]["ndcg_at_10"] > 0.1

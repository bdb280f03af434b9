"""The benchmark: what each part measures, in turn, into one result."""

import os
import shlex
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from unblur.benchmarking import chains, memory, next_item, recommending, searching, serving, speed
from unblur.benchmarking.implementations import Contestant, Ours, Products, Textbook
from unblur.benchmarking.options import BenchmarkOptions
from unblur.benchmarking.recbole import Opened, recbole, write_data
from unblur.benchmarking.result import Evaluation, Memory, Result, Training, machine, ratios
from unblur.data.dataset import Dataset
from unblur.data.prepare import prepare
from unblur.data.store import load_dataset
from unblur.errors import UserError
from unblur.files import write_output
from unblur.formatting import counted


def run(options: BenchmarkOptions, console: Console) -> None:
    """`jobs/benchmark.py`."""
    _check_output(options.output)
    torch.set_num_threads(options.threads)
    prepared = prepare(options.data, options.data_dir, options.storage)
    dataset = load_dataset(prepared.folder)
    console.print(f"{options.data.dataset}: {dataset.n_users:,} users, {dataset.n_items:,} items", markup=False)
    training, evaluation = _speed(options, dataset, console) if options.rounds else (None, [])
    used = None if options.skip_memory else _memory(options, prepared.folder)
    search = searching.measure(options, dataset, console) if options.trials else None
    sizes = (options.recommend_users, options.hidden, options.batch_size)
    recommended = recommending.measure(*sizes) if options.recommend_users else None
    mapped = chains.measure(options.chain_users) if options.chain_users else None
    sequences = next_item.measure(options, dataset, console) if options.next_item_rounds else None
    asked = serving.measure(options.serve_seconds, *sizes[1:]) if options.serve_seconds else []
    result = Result(
        command=shlex.join(["python", *sys.argv]),
        dataset=options.data.dataset,
        digest=dataset.digest,
        users=min(options.users or dataset.n_users, dataset.n_users),
        items=dataset.n_items,
        interactions=dataset.train.nnz,
        hidden=options.hidden,
        batch_size=options.batch_size,
        machine=machine(options.threads),
        ratios=ratios(training, evaluation, search, sequences),
        training=training,
        evaluation=evaluation,
        memory=used,
        search=search,
        recommending=recommended,
        chains=mapped,
        next_item=sequences,
        serving=asked,
    )
    tell(result, console)
    if options.output:
        write_output(options.output, result.model_dump_json(indent=2), "--output")
        console.print(f"written to {options.output}", markup=False)


def _speed(options: BenchmarkOptions, dataset: Dataset, console: Console) -> tuple[Training, list[Evaluation]]:
    dataset = some_users(dataset, options.users)
    with ExitStack() as stack:
        ours = Ours(dataset, options.hidden, options.batch_size)
        contestants: dict[str, Contestant] = {"ours": ours}
        if options.plain:
            contestants["textbook"] = Textbook(dataset, options.hidden, options.batch_size, options.plain)
        else:
            console.print("without the plain implementation: name its file with --textbook")
        if options.peer == "recbole":
            contestants["recbole"] = stack.enter_context(_recbole(dataset, options, console))
        products = Products(dataset.n_users, dataset.n_items, options.hidden, options.batch_size)
        training = speed.training(contestants, products, ours, options.T[0], options.rounds)
        weights = ours.weights()  # trained, so that the metrics that are compared are not those of chance
        evaluation = [speed.evaluation(contestants, weights, steps, options.rounds) for steps in options.T]
    return training, evaluation


def _recbole(dataset: Dataset, options: BenchmarkOptions, console: Console) -> Opened:
    sizes = {"model": "DiffRec", "dim": options.hidden, "batch_size": options.batch_size, "threads": options.threads}
    return recbole(lambda folder: write_data(dataset, folder), sizes, options.peer_cache, console)


def some_users(dataset: Dataset, count: int | None) -> Dataset:
    """`count` users of a split, evenly spread; all of them when there are no more, or for None."""
    if count is None or count >= dataset.n_users:
        return dataset
    rows = np.linspace(0, dataset.n_users - 1, count).astype(np.int64)
    return replace(
        dataset,
        train=dataset.train[rows],
        valid=dataset.valid[rows],
        train_rank=None,
        valid_rank=None,
        users=dataset.users[rows],
    )


def _memory(options: BenchmarkOptions, folder: Path) -> Memory | None:
    found = memory.measure(folder, options.hidden, options.batch_size, options.T[0], options.threads)
    return Memory(base=found[0], peak=found[1]) if found else None


def _check_output(output: Path | None) -> None:
    if output and (output.is_dir() or not os.access(output.absolute().parent, os.W_OK)):
        raise UserError(f"--output {output} cannot be written: name a file in a folder that you may write to")


def tell(result: Result, console: Console) -> None:
    """Ratios first, if there are any, then what they are made of."""
    if result.ratios:
        console.print(_table(result.ratios))
    if result.training:
        for name, timing in result.training.times.items():
            console.print(f"training, {name}: {timing.median:.3f} s an epoch", markup=False)
    for each in result.evaluation:
        for name, timing in each.times.items():
            console.print(f"evaluation, T = {each.steps}, {name}: {timing.median:.3f} s", markup=False)
        for name, apart in each.largest_difference.items():
            console.print(f"metrics, T = {each.steps}: {name} and ours differ by at most {apart:.1e}", markup=False)
    if result.memory:
        console.print(f"peak memory above Python with torch: {result.memory.above / 2**20:.0f} MiB", markup=False)
    if found := result.recommending:
        what = f"recommendations, {found.model}: {found.k} of {found.items:,} items for {found.users:,} users"
        console.print(f"{what} written in {found.seconds:.1f} s", markup=False)
    if result.chains:
        console.print(chains.told(result.chains), markup=False)
    for line in next_item.told(result.next_item) if result.next_item else []:
        console.print(line, markup=False)
    for asked in result.serving:
        what = f"{asked.server}, {counted(asked.workers, 'worker')}, {counted(asked.clients, 'client')}"
        told = f"{asked.per_second:.0f} requests a second, p50 {1000 * asked.p50:.0f} ms, p99 {1000 * asked.p99:.0f} ms"
        console.print(f"{what}: {told}", markup=False)
    for run in result.search.runs if result.search else []:
        what = f"search, {run.concurrency} at a time: {run.per_hour:.0f} trials an hour, start-up {run.start_up:.1f} s"
        console.print(what, markup=False)


def _table(ratios: Mapping[str, float]) -> Table:
    table = Table(title="ratios", title_justify="left")
    table.add_column("what")
    table.add_column("value", justify="right")
    for what, value in ratios.items():
        table.add_row(what, f"{value:.3f}")
    return table

"""A row of a paper's table that is made up."""

from unblur.experiments.paper_rows import Preset

PRESET = Preset(
    name="row",
    paper="A paper (arXiv 1)",
    table="Table 1",
    row="A row",
    dataset="sample",
    model="diffrec",
    parameters={},
    expected={"ndcg@10": 0.10, "recall@20": 0.2},
    parameters_millions=4,
)

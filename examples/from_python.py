"""Unblur as a library. python examples/from_python.py plays.csv, a file with the columns listener, track, played_at."""

import sys

import unblur

plays = unblur.load_data(sys.argv[1], user_column="listener", item_column="track", time_column="played_at")
models = unblur.tune(plays, model=["ease", "popularity"], trials=5, seeds=2)
print(models.frame()[["model", "seed", "ndcg@10", "recall@10"]])
print(*unblur.report(plays).verdict, sep="\n")
table = unblur.recommend(plays, model=models.best, users=["u1"], k=5)
print(table)

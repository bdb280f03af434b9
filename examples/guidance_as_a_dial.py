"""Guidance as a dial: one trained network, scored on validation at several scales. python guidance_as_a_dial.py"""

import unblur
from unblur.evaluation.ranking import validate

data = unblur.load_data("sample")
study = unblur.train(data, model="generative_cfg", params={"dims": [200]}, epochs=30, eval_every=5, seeds=1)
recommender = study.model().recommender

print("scale  ndcg@10  coverage@10  popularity@10")
for scale in (0.0, 0.5, 1.0, 2.0, 4.0):
    recommender.infer_with({"guidance_scale": scale})
    metrics = validate(recommender, data.dataset).metrics()
    shown = (metrics[f"{name}_at_10"] for name in ("ndcg", "coverage", "popularity"))
    print("{:5.1f}  {:.4f}   {:.3f}        {:.0f}".format(scale, *shown))

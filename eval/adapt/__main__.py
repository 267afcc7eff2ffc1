"""Stage `adapt`: every method on the same support draws and the whole query set of one site.

python -m eval.adapt SITE ROLE
"""

import numpy as np
import pandas as pd
import torch

from data_prep.episodes.images import as_float
from data_prep.store.records import read_studies
from eval.adapt.cohort import cohort, embeddings
from eval.adapt.methods import candidates
from eval.adapt.predictions import predictions
from eval.adapt.protocol import read_protocol, refuse_overlap
from eval.adapt.provenance import provenance
from eval.scores.performance import performance
from eval.scores.score import LABEL, scores_of
from eval.settings import load_params
from models.build import SUPERVISED
from models.checkpoint import load_card
from models.device import choose_device, repeatable
from workspace.errors import run_module
from workspace.outputs import to_json, whole_folder, write_parquet
from workspace.paths import Workspace
from workspace.progress import say
from workspace.settings import Role


def headline(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """The verdict's score by method and k, for `dvc metrics`."""
    score, *_ = scores_of(LABEL)
    found: dict[str, dict[str, float]] = {}
    for row in table[table["metric"] == score.name].to_dict("records"):
        of_method = found.setdefault(row["method"], {})
        of_method[f"{score.name}_at_{row['k']}"] = round(float(row["value"]), 4)
    return found


def main(site: str, role: Role) -> None:
    workspace = Workspace()
    params = load_params(workspace)
    device = choose_device(params.train.device)
    repeatable(params.seed, params.train.threads)
    protocol = read_protocol(workspace, site, role)
    needed = sorted(
        {
            name if name in params.train.learners else SUPERVISED
            for name in params.methods
            if name != "majority"
        }
    )
    cards = [
        load_card(workspace.run(learner, seed)) for learner in needed for seed in params.train.seeds
    ]
    refuse_overlap(protocol, cards)
    pixels = read_studies(workspace.studies(site)).pixels[protocol.records["row"].to_numpy()]
    images = as_float(torch.from_numpy(pixels).to(device))
    table, held_out = predictions(
        protocol, images, candidates(workspace, params, protocol.task, protocol.classes, device)
    )
    features = embeddings(workspace, params, images, device)
    numbers = performance(
        table, protocol.classes, params.adapt.bootstrap, params.adapt.confidence, params.seed, site
    )
    with whole_folder(workspace.results(role, site)) as folder:
        write_parquet(table, folder / "predictions.parquet")
        write_parquet(held_out, folder / "held_out.parquet")
        write_parquet(cohort(workspace, protocol, len(features)), folder / "cohort.parquet")
        np.save(folder / "embeddings.npy", features)
        numbers.to_csv(folder / "performance.csv", index=False, float_format="%.6f")
        (folder / "metrics.json").write_text(to_json(headline(numbers)))
        (folder / "provenance.json").write_text(
            to_json(provenance(workspace, protocol, cards, params))
        )
    say(
        f"adapt {site}: {len(protocol.query)} query records, {len(params.methods)} methods, k in "
        f"{protocol.shots}"
    )


if __name__ == "__main__":
    run_module("eval.adapt", main, "SITE", "ROLE")

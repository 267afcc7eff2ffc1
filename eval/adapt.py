"""Stage `adapt`: every method on the same support draws and the whole query set of one site.

python -m eval.adapt SITE ROLE
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from data_prep.duplicates import near_any
from data_prep.images import as_float
from data_prep.records import read_studies
from eval.current import tasks_digest
from eval.methods import Candidate, candidates
from eval.performance import performance
from models.build import SUPERVISED, load_learner
from models.checkpoint import ModelCard, load_card
from models.device import choose_device, repeatable
from models.features import CHUNK
from models.method import Method
from models.support import Support
from workspace.errors import Problem, refuse_if, run_module
from workspace.outputs import digest, to_json, whole_folder, write_parquet
from workspace.paths import Workspace
from workspace.progress import say, track
from workspace.settings import Params, Role, load_params

DESCRIBED = (
    "record",
    "patient",
    "label",
    "age",
    "sex",
    "study_year",
    "modality",
    "manufacturer",
    "model",
    "spacing",
    "slices",
)  # of records.parquet


@dataclass(frozen=True)
class SiteProtocol:
    """One site's fixed supports and query set. `query` and `supports` index `records`, which holds what either needs."""

    site: str
    role: Role
    task: str
    secret: str  # fingerprint of the secret under which the keys were made
    classes: list[str]
    shots: list[int]
    records: pd.DataFrame  # rows of splits.parquet
    query: np.ndarray
    draws: list[np.ndarray]  # of each draw: (class, position)

    def support(self, draw: int, k: int) -> np.ndarray:
        """Indices of k patients a class, in the order of the classes."""
        return self.draws[draw][:, :k].reshape(-1)

    def held_out(self, draw: int, k: int) -> np.ndarray:
        """Indices of the draw's other patients, (class, position from k on): labelled, and not adapted to with k."""
        return self.draws[draw][:, k:]


def read_protocol(workspace: Workspace, site: str, role: Role) -> SiteProtocol:
    """Read what the `tasks` stage fixed."""
    folder = workspace.tasks(role, site)
    summary = json.loads((folder / "task.json").read_text())
    splits, draws = (
        pd.read_parquet(folder / "splits.parquet"),
        pd.read_parquet(folder / "draws.parquet"),
    )
    records = splits[
        (splits["split"] == "query") | splits["record"].isin(draws["record"])
    ].reset_index(drop=True)
    at = pd.Series(records.index, index=records["record"])
    most = max(summary["shots"])
    chosen = draws[draws["position"] < most].sort_values(["draw", "label", "position"])
    tables = [
        np.stack(
            [
                at[of_draw.loc[of_draw["label"] == name, "record"]].to_numpy()
                for name in summary["classes"]
            ]
        )
        for _, of_draw in chosen.groupby("draw")
    ]
    return SiteProtocol(
        site,
        role,
        summary["task"],
        summary["secret"],
        summary["classes"],
        summary["shots"],
        records,
        np.flatnonzero(records["split"] == "query"),
        tables,
    )


def refuse_overlap(protocol: SiteProtocol, cards: list[ModelCard]) -> None:
    """Raise Refusal if a model was trained on a patient or picture, or nearly such a picture, that it would now be tested on.

    At a source site the supports are validation patients, so there only the query set is held to it.
    """
    tested = (
        protocol.records if protocol.role == "target" else protocol.records.iloc[protocol.query]
    )
    problems = []
    for card in cards:
        if card.secret != protocol.secret:  # no shared patient could be seen
            problems.append(
                Problem(
                    f"site {protocol.site}, runs/{card.learner}/{card.seed}",
                    "keys made under another secret",
                    "one secret for all sites",
                    "restore .fewsite/secret, delete data/ and run dvc repro --force",
                )
            )
        for source, seen in card.trained_on.items():
            patients = int(
                tested["patient"].isin(seen.patients).groupby(tested["patient"]).any().sum()
            )
            pictures = tested["pixel_hash"].isin(seen.pixel_hashes)
            alike = (
                near_any(
                    tested["perceptual_hash"], pd.Series(seen.perceptual_hashes, dtype="string")
                )
                & ~pictures
            )
            if patients or pictures.any() or alike.any():
                problems.append(
                    Problem(
                        f"site {protocol.site}, runs/{card.learner}/{card.seed}",
                        f"{patients} patients, {pictures.sum()} pictures and {alike.sum()} nearly identical ones that it was trained on at {source}",
                        "none",
                        "take the shared studies out of one site, or dvc repro to train again",
                    )
                )
    refuse_if(problems)


def embed(
    method: Method, images: Float[Tensor, "record channel *space"]
) -> Float[Tensor, "record *input"]:
    """The method's inputs of all records, in chunks and without gradients."""
    with torch.no_grad():
        return torch.cat([method.embed(part) for part in images.split(CHUNK)])


def predict(
    method: Method,
    inputs: Float[Tensor, "record *input"],
    protocol: SiteProtocol,
    draw: int,
    k: int,
    *asked: np.ndarray,
) -> list[np.ndarray]:
    """Class probabilities (record, class) of each list of records in `asked`: one task, so that nothing passes between draws."""
    way = len(protocol.classes)
    support = inputs[torch.from_numpy(protocol.support(draw, k)).to(inputs.device)]
    labels = torch.arange(way, device=inputs.device).repeat_interleave(k)
    with torch.no_grad():
        adapted = method.adapt(Support(support[None], labels[None], way))
        return [
            _probabilities(method, adapted, inputs[torch.from_numpy(rows).to(inputs.device)])
            for rows in asked
        ]


def _probabilities(
    method: Method, adapted: Any, query: Float[Tensor, "record *input"]
) -> np.ndarray:
    logits = torch.cat([method.predict(adapted, part[None])[0] for part in query.split(CHUNK)])
    return logits.double().softmax(1).float().cpu().numpy()


def plan(candidate: Candidate, protocol: SiteProtocol) -> Iterator[tuple[int, int]]:
    """The (k, draw) pairs of one method: k = 0 needs no draw, and only the source model as it stands answers there."""
    if candidate.zero_shot:
        yield 0, 0
        return
    for k in protocol.shots:
        for draw in range(len(protocol.draws) if k > 0 else 0):
            yield k, draw


def predictions(
    protocol: SiteProtocol,
    images: Float[Tensor, "record channel *space"],
    methods: Iterator[Candidate],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The answers for the query set, and those for the labelled cases that a support left over.

    One row a method, seed, k, draw and record, with a probability a class, sorted by these; the second table has the position in the draw
    instead of the patient. It holds what a hospital knows beyond k: cases to calibrate on that the model has not adapted to.
    """
    asked, held_out = [], []
    for candidate in methods:
        inputs = embed(candidate.method, images)
        pairs = [(k, draw) for k, draw in plan(candidate, protocol) if k in protocol.shots]
        for k, draw in track(pairs, f"adapt {protocol.site} {candidate.name}"):
            of_draws = (
                range(len(protocol.draws)) if candidate.zero_shot else [draw]
            )  # k = 0 needs no draw
            others = [(at, rows) for at in of_draws if (rows := protocol.held_out(at, k)).size]
            answers, *left_over = predict(
                candidate.method,
                inputs,
                protocol,
                draw,
                k,
                protocol.query,
                *(rows.reshape(-1) for _, rows in others),
            )
            key = {"method": candidate.name, "seed": candidate.seed, "k": k}
            records = protocol.records.iloc[protocol.query]
            asked.append(
                _answers(
                    {**key, "draw": draw},
                    records,
                    ["record", "patient", "label"],
                    answers,
                    protocol.classes,
                )
            )
            for (at, rows), probabilities in zip(others, left_over, strict=True):
                records = protocol.records.iloc[rows.reshape(-1)].assign(
                    position=np.tile(np.arange(k, k + rows.shape[1]), len(rows))
                )
                held_out.append(
                    _answers(
                        {**key, "draw": at},
                        records,
                        ["position", "record", "label"],
                        probabilities,
                        protocol.classes,
                    )
                )
    refuse_if(
        []
        if asked
        else [
            Problem(
                f"site {protocol.site}",
                "no method that can answer here",
                "one at least",
                "name more in adapt.methods",
            )
        ]
    )
    if not held_out:  # one k alone: no case is left over
        held_out.append(
            _answers(
                {"method": "", "seed": 0, "k": 0, "draw": 0},
                protocol.records.head(0).assign(position=0),
                ["position", "record", "label"],
                np.empty((0, len(protocol.classes)), np.float32),
                protocol.classes,
            )
        )
    tables = [
        pd.concat(tables, ignore_index=True).astype(
            {"seed": "int64", "k": "int16", "draw": "int16"}
        )
        for tables in (asked, held_out)
    ]
    return (
        tables[0].sort_values(["method", "seed", "k", "draw", "record"], ignore_index=True),
        tables[1]
        .astype({"position": "int16"})
        .sort_values(["method", "seed", "k", "draw", "position", "record"], ignore_index=True),
    )


def _answers(
    key: dict[str, Any],
    records: pd.DataFrame,
    columns: list[str],
    probabilities: np.ndarray,
    classes: list[str],
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            **key,
            **{name: records[name].to_numpy() for name in columns},
            **{f"p_{name}": probabilities[:, at] for at, name in enumerate(classes)},
        }
    )


def embeddings(
    workspace: Workspace,
    params: Params,
    images: Float[Tensor, "record channel *space"],
    device: torch.device,
) -> np.ndarray:
    """The source model's features of all records, (record, feature) float16, of the first training seed; empty where there is no such model."""
    if SUPERVISED not in params.train.learners:
        return np.empty((0, 0), np.float16)
    source = load_learner(workspace.run(SUPERVISED, params.train.seeds[0]), device).eval()
    with torch.no_grad():
        return (
            torch.cat([source.encoder(part) for part in images.split(CHUNK)]).half().cpu().numpy()
        )


def cohort(workspace: Workspace, protocol: SiteProtocol, embedded: int) -> pd.DataFrame:
    """All records of the site with their split and what is known of them; `embedding` is the row in embeddings.npy, missing where none."""
    splits = pd.read_parquet(
        workspace.tasks(protocol.role, protocol.site) / "splits.parquet",
        columns=["record", "split"],
    )
    rows = pd.Series(range(embedded), index=protocol.records["record"].head(embedded))
    table = read_studies(workspace.studies(protocol.site)).records.merge(
        splits, on="record", validate="one_to_one"
    )
    return table[list(DESCRIBED)].assign(
        split=table["split"], embedding=table["record"].map(rows).astype("Int32")
    )


def provenance(
    workspace: Workspace, protocol: SiteProtocol, cards: list[ModelCard], params: Params
) -> dict[str, Any]:
    """What the numbers of this site rest on: versions, hashes, and what each model was trained on."""
    learners: dict[str, Any] = {}
    for card in cards:
        entry = learners.setdefault(
            card.learner,
            {
                "encoder": card.settings["encoder"],
                "settings": card.settings["learner"],
                "parameters": card.parameters,
                "runs": {},
                "trained_on": {
                    site: {"patients": len(seen.patients), "records": seen.records}
                    for site, seen in card.trained_on.items()
                },
            },
        )
        entry["runs"][str(card.seed)] = {
            "best_step": card.best_step,
            "validation_accuracy": card.best_validation,
        }
    return {
        "role": protocol.role,
        "task": protocol.task,
        "classes": protocol.classes,
        "fewsite": version("fewsite"),
        "versions": {name: version(name) for name in ("torch", "monai", "pydicom", "scikit-learn")},
        "params_sha256": digest(
            to_json(params.model_dump(mode="json", include={"adapt", "seed"})).encode()
        ),
        "code_sha256": code_digest(),
        "data_sha256": digest(
            (workspace.studies(protocol.site) / "records.parquet").read_bytes()
        ),  # holds each record's pixel hash
        "tasks_sha256": tasks_digest(workspace, protocol.site, protocol.role),
        "learners": learners,
    }


def code_digest() -> str:
    """A hash of all code that reads, trains, adapts and measures."""
    root = Path(__file__).parents[1]
    files = sorted(
        path
        for package in ("workspace", "data_prep", "models", "eval")
        for path in (root / package).rglob("*.py")
    )
    return digest(
        b"".join(
            f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes() for path in files
        )
    )


def headline(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """AUROC by method and k, for `dvc metrics`."""
    auroc = table[table["metric"] == "auroc"]
    return {
        method: {
            f"auroc_at_{k}": round(float(value), 4)
            for k, value in zip(rows["k"], rows["value"], strict=True)
        }
        for method, rows in auroc.groupby("method")
    }


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
        f"adapt {site}: {len(protocol.query)} query records, {len(params.methods)} methods, k in {protocol.shots}"
    )


if __name__ == "__main__":
    run_module("eval.adapt", main, "SITE", "ROLE")

"""What every method answers after each draw: for the query set, and for labelled cases beyond k."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from eval.adapt.methods import Candidate
from eval.adapt.protocol import SiteProtocol
from models.encoders.features import CHUNK
from models.method import Method
from models.support import Support
from workspace.errors import Problem, Refusal
from workspace.progress import track

QUERY, CASE = ("record", "patient", "label"), ("position", "record", "label")


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
    """Class probabilities (record, class) of each list of records in `asked`: one task, so that
    nothing passes between draws.
    """
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
    return method.head.probabilities(logits).cpu().numpy()


def plan(candidate: Candidate, protocol: SiteProtocol) -> Iterator[tuple[int, int]]:
    """The (k, draw) pairs of one method: k = 0 needs no draw, and only the source model as it
    stands answers there.
    """
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

    One row a method, seed, k, draw and record, with a probability a class, sorted by these; the
    second table has the position in the draw instead of the patient. It holds what a hospital knows
    beyond k: cases to calibrate on that the model has not adapted to.
    """
    asked, held_out = [], []
    for candidate in methods:
        inputs = embed(candidate.method, images)
        pairs = [(k, draw) for k, draw in plan(candidate, protocol) if k in protocol.shots]
        for k, draw in track(pairs, f"adapt {protocol.site} {candidate.name}"):
            of_query, of_cases = _draw(candidate, inputs, protocol, draw, k)
            asked.append(of_query)
            held_out += of_cases
    if not asked:
        need, do = "one at least", "name more in adapt.methods"
        where = f"site {protocol.site}"
        raise Refusal(Problem(where, "no method that can answer here", need, do))
    if not held_out:  # one k alone: no case is left over
        nothing = np.empty((0, len(protocol.classes)), np.float32)
        records = protocol.records.head(0).assign(position=0)
        key = {"method": "", "seed": 0, "k": 0, "draw": 0}
        held_out.append(_answers(key, records, CASE, nothing, protocol.classes))
    return _sorted(asked, "record"), _sorted(held_out, "position", "record")


def _draw(
    candidate: Candidate,
    inputs: Float[Tensor, "record *input"],
    protocol: SiteProtocol,
    draw: int,
    k: int,
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """One method's answers after one draw: for the query set, and for the cases left over."""
    # k = 0 needs no draw, and answers for the cases of each
    of_draws = range(len(protocol.draws)) if candidate.zero_shot else [draw]
    others = [(at, rows) for at in of_draws if (rows := protocol.held_out(at, k)).size]
    cases = [rows.reshape(-1) for _, rows in others]
    answers, *left_over = predict(
        candidate.method, inputs, protocol, draw, k, protocol.query, *cases
    )
    key, classes = {"method": candidate.name, "seed": candidate.seed, "k": k}, protocol.classes
    records = protocol.records.iloc[protocol.query]
    of_query = _answers({**key, "draw": draw}, records, QUERY, answers, classes)
    of_cases = []
    for (at, rows), probabilities in zip(others, left_over, strict=True):
        position = np.tile(np.arange(k, k + rows.shape[1]), len(rows))
        records = protocol.records.iloc[rows.reshape(-1)].assign(position=position)
        of_cases.append(_answers({**key, "draw": at}, records, CASE, probabilities, classes))
    return of_query, of_cases


def _answers(
    key: dict[str, Any],
    records: pd.DataFrame,
    columns: Sequence[str],
    probabilities: np.ndarray,
    classes: list[str],
) -> pd.DataFrame:
    known = {name: records[name].to_numpy() for name in columns}
    by_class = {f"p_{name}": probabilities[:, at] for at, name in enumerate(classes)}
    return pd.DataFrame({**key, **known, **by_class})


def _sorted(tables: list[pd.DataFrame], *last: str) -> pd.DataFrame:
    table = pd.concat(tables, ignore_index=True)
    small = {name: "int16" for name in ("k", "draw", "position") if name in table}
    order = ["method", "seed", "k", "draw", *last]
    return table.astype({"seed": "int64", **small}).sort_values(order, ignore_index=True)

"""Stage `adapt`: every method on the same support draws and the whole query set of one site.

python -m eval.adapt SITE ROLE
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from eval.adapt.methods import Candidate
from eval.adapt.protocol import SiteProtocol
from models.features import CHUNK
from models.method import Method
from models.support import Support
from workspace.errors import Problem, refuse_if
from workspace.progress import track


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

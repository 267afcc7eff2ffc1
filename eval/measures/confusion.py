"""What the verdict's method takes for what: mean counts, and each class's recall."""

from typing import Any

import pandas as pd

from eval.intervals.estimate import share
from eval.results import Results
from eval.scores.decisions import confusion


def confusion_matrix(results: Results) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """What confusion.html.j2 shows, and its tables.

    Rows are the truth; percentages are of a row, so the diagonal holds each class's recall.
    """
    answers, query, classes = results.verdict_answers, results.query, results.classes
    counts = confusion(answers.probabilities, query.labels)
    shares = counts / counts.sum(axis=1, keepdims=True)
    correct = answers.probabilities.argmax(axis=-1) == query.labels  # (seed, draw, record)
    rows, cells, recalls = [], [], []
    for label, true in enumerate(classes):
        own, of_row = query.labels == label, []
        for other, predicted in enumerate(classes):
            count, part = counts[label, other], shares[label, other]
            of_row.append({"count": count, "share": part, "right": label == other})
            cell = {"true": true, "predicted": predicted, "mean_count": count, "row_share": part}
            cells.append(cell)
        recall = share(correct & own, own[None, None], results.bootstrap)
        of_class = {"patients": query.patients_of(label), "records": int(own.sum())}
        rows.append({"class": true, **of_class, "recall": recall, "cells": of_row})
        recalls.append({"class": true, **vars(recall), **of_class})
    seeds, draws = answers.probabilities.shape[:2]
    shown = {"rows": rows, "classes": classes, "draws": draws, "seeds": seeds}
    return shown, {
        "confusion.csv": pd.DataFrame(cells),
        "recall.csv": pd.DataFrame(recalls).rename(columns={"value": "recall"}),
    }

"""What the verdict's method takes for what: mean counts over draws and seeds, and each class's recall."""

from typing import Any

import pandas as pd

from eval.intervals.estimate import share
from eval.results import Results
from eval.scores.decisions import confusion


def confusion_matrix(results: Results) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """What confusion.html.j2 shows, and its tables. Rows are the truth; percentages are of a row, so the diagonal holds each class's recall."""
    answers, query, classes = results.verdict_answers, results.query, results.classes
    counts = confusion(answers.probabilities, query.labels)
    shares = counts / counts.sum(axis=1, keepdims=True)
    correct = answers.probabilities.argmax(axis=-1) == query.labels  # (seed, draw, record)
    recalls = [
        share(correct & own, own[None, None], results.bootstrap)
        for own in (query.labels == label for label in range(len(classes)))
    ]
    rows = [
        {
            "class": true,
            "patients": query.patients_of(label),
            "records": int((query.labels == label).sum()),
            "recall": recalls[label],
            "cells": [
                {
                    "count": counts[label, other],
                    "share": shares[label, other],
                    "right": label == other,
                }
                for other in range(len(classes))
            ],
        }
        for label, true in enumerate(classes)
    ]
    table = pd.DataFrame(
        [
            {
                "true": true,
                "predicted": predicted,
                "mean_count": counts[label, other],
                "row_share": shares[label, other],
            }
            for label, true in enumerate(classes)
            for other, predicted in enumerate(classes)
        ]
    )
    recall = pd.DataFrame(
        [
            {
                "class": row["class"],
                **vars(row["recall"]),
                "patients": row["patients"],
                "records": row["records"],
            }
            for row in rows
        ]
    ).rename(columns={"value": "recall"})
    seeds, draws = answers.probabilities.shape[:2]
    return {"rows": rows, "classes": classes, "draws": draws, "seeds": seeds}, {
        "confusion.csv": table,
        "recall.csv": recall,
    }

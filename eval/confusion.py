"""What the verdict's method takes for what: mean counts over draws and seeds, and each class's recall."""

import numpy as np
import pandas as pd

from eval.evidence import Evidence
from eval.metrics import balanced_accuracy, confusion
from eval.page import Section
from eval.uncertainty import percentile_interval


def confusion_section(evidence: Evidence) -> Section:
    """Rows are the truth; percentages are of a row, so the diagonal holds each class's recall."""
    answers, query, classes = evidence.verdict_answers, evidence.query, evidence.classes
    counts = confusion(answers.probabilities, query.labels)
    shares = counts / counts.sum(axis=1, keepdims=True)
    recalls = recall_intervals(evidence)
    rows = [{"class": true, "patients": query.patients_of(label), "records": int((query.labels == label).sum()), **recalls[label],
             "cells": [{"count": counts[label, other], "share": shares[label, other], "right": label == other}
                       for other in range(len(classes))]}
            for label, true in enumerate(classes)]
    table = pd.DataFrame([
        {"true": true, "predicted": predicted, "mean_count": counts[label, other], "row_share": shares[label, other]}
        for label, true in enumerate(classes) for other, predicted in enumerate(classes)])
    recall = pd.DataFrame([{"class": row["class"], "recall": shares[label, label], **recalls[label], "patients": row["patients"],
                            "records": row["records"]} for label, row in enumerate(rows)])
    seeds, draws = answers.probabilities.shape[:2]
    shown = {"rows": rows, "classes": classes, "method": evidence.method, "k": evidence.shots, "draws": draws, "seeds": seeds,
             "confidence": evidence.params.adapt.confidence}
    return Section("confusion.html.j2", "What is taken for what", shown, {"confusion.csv": table, "recall.csv": recall})


def recall_intervals(evidence: Evidence) -> list[dict[str, float]]:
    """Each class's interval over patients and spread over draws (mean over seeds in each; missing where there is one draw)."""
    query, confidence = evidence.query, evidence.params.adapt.confidence
    correct = evidence.verdict_answers.probabilities.argmax(axis=-1) == query.labels  # (seed, draw, record)
    found = []
    for label in range(len(evidence.classes)):
        own = query.labels == label
        resampled = balanced_accuracy(correct[..., own].mean(axis=(0, 1)), query.labels[own], evidence.bootstrap.weights[:, own])
        by_draw = correct[..., own].mean(axis=(0, 2))
        patients = evidence.bootstrap.interval(float(by_draw.mean()), resampled, of=own)
        draws = percentile_interval(by_draw, confidence) if len(by_draw) > 1 else (np.nan, np.nan)
        found.append({"patient_low": patients[0], "patient_high": patients[1], "draws_low": draws[0], "draws_high": draws[1]})
    return found

"""Pictures: what the method was shown, what it got right, and where it was sure and wrong."""

import base64
import io
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.metrics.pairwise import cosine_similarity

from eval.evidence import Evidence
from eval.page.section import Section

PLACE = 110

ALL = "all classes"
SIDES = (96, 72, 48)  # pixels of a picture's longer side: the first with which all pictures fit
BUDGET = 1_200_000  # bytes of all pictures, so that the page stays well under 3 MB
SUPPORT = 40  # pictures of the support, at most
RIGHT = 16  # right answers, at most, and RIGHT_OF_CLASS of each class
RIGHT_OF_CLASS = 3
ERRORS = 12  # at most, one a patient
NEAREST = 2  # of the support, beside each error
COLUMNS = ["shown_as", "record", "true", "predicted", "probability", "beside", "similarity"]


def section(evidence: Evidence) -> Section:
    """Draw 0 of the first seed throughout: the answers are those after the support shown."""
    answers, support = first_answers(evidence), shown_support(evidence)
    right, errors = right_answers(answers, evidence.classes), confident_errors(answers)
    nearest = nearest_support(evidence, errors["record"].tolist())
    parts = {"support": support, "right": right, "error": errors, "nearest support": nearest}
    table = pd.concat([part.assign(shown_as=name) for name, part in parts.items()])
    pictures, counts = (
        encoded(evidence, table["record"].tolist()),
        _counts(answers, evidence.classes),
    )

    def with_picture(part: pd.DataFrame) -> list[dict[str, Any]]:
        return [{**item, "picture": pictures[item["record"]]} for item in part.to_dict("records")]

    def by_class(part: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
        return {name: with_picture(part[part["true"] == name]) for name in evidence.classes}

    shown = {
        "support": by_class(support),
        "right": by_class(right),
        "errors": [
            {**item, "nearest": with_picture(nearest[nearest["beside"] == item["record"]])}
            for item in with_picture(errors)
        ],
        "counts": counts.set_index("true").to_dict("index"),
        "all": ALL,
        "k": evidence.shots,
        "first_of": first_of(len(support) // len(evidence.classes), evidence.shots),
        "method": evidence.method,
        "features": bool(len(evidence.embeddings)),
        "volumes": evidence.studies.pixels.ndim == 5,
    }
    of_classes = [int((errors["true"] == name).sum()) for name in evidence.classes]
    tables = {
        "gallery.csv": table.reindex(columns=COLUMNS),
        "gallery_counts.csv": counts.assign(errors_shown=[*of_classes, len(errors)]),
    }
    return Section("gallery.html.j2", "Pictures", shown, tables)


def _counts(answers: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """Of each class and in all: true, images, right ones, wrong ones and the patients of these."""
    parts = [*((name, answers[answers["true"] == name]) for name in classes), (ALL, answers)]
    return pd.DataFrame(
        [
            {
                "true": name,
                "images": len(part),
                "right": int(part["right"].sum()),
                "wrong": int((~part["right"]).sum()),
                "patients_wrong": part.loc[~part["right"], "patient"].nunique(),
            }
            for name, part in parts
        ]
    )


def first_of(shown: int, k: int) -> str:
    """How many of each class's k labelled cases are shown; nothing where all are."""
    return f"The first {shown} of {k} of each class." if shown < k else ""


def shown_support(evidence: Evidence) -> pd.DataFrame:
    """The support of draw 0 at the verdict's k, in the order of the classes: record, true."""
    most = max(1, SUPPORT // len(evidence.classes))
    return first_support(evidence, min(evidence.shots, most))


def first_support(evidence: Evidence, k: int) -> pd.DataFrame:
    """The first k cases of each class in draw 0, in the order of the classes: record, true."""
    draw = evidence.draws[(evidence.draws["draw"] == 0) & (evidence.draws["position"] < k)]
    ordered = draw.assign(order=draw["label"].map(evidence.classes.index)).sort_values(
        ["order", "position"]
    )
    return ordered.rename(columns={"label": "true"})[["record", "true"]]


def first_answers(evidence: Evidence) -> pd.DataFrame:
    """The answers of draw 0, sorted by record: record, patient, true, predicted, probability,
    right.
    """
    query, probabilities = evidence.query, evidence.verdict_answers.probabilities[0, 0]
    names = np.asarray(evidence.classes, dtype=object)
    predicted = probabilities.argmax(axis=1)
    return pd.DataFrame(
        {
            "record": query.records,
            "patient": query.patients,
            "true": names[query.labels],
            "predicted": names[predicted],
            "probability": probabilities.max(axis=1),
            "right": predicted == query.labels,
        }
    )


def right_answers(answers: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """The first right answers of each class, each of another patient.

    Records are keyed hashes, so nobody has picked them.
    """
    most = max(1, min(RIGHT_OF_CLASS, RIGHT // len(classes)))
    first = answers[answers["right"]].drop_duplicates("patient")
    return first.groupby("true").head(most)[["record", "true", "predicted", "probability"]]


def confident_errors(answers: pd.DataFrame) -> pd.DataFrame:
    """Wrong answers by falling probability, the worst of each patient: record, true, predicted,
    probability.
    """
    wrong = answers[~answers["right"]].sort_values(
        ["probability", "record"], ascending=[False, True]
    )
    return wrong.drop_duplicates("patient").head(ERRORS)[
        ["record", "true", "predicted", "probability"]
    ]


def nearest_support(evidence: Evidence, records: list[str]) -> pd.DataFrame:
    """The images of draw 0's whole support most like each of `records`, by cosine similarity of the
    source model's features, the nearest first.

    Columns: record, true, beside (whose neighbour it is), similarity. None at k = 0, and none
    without features.
    """
    support = first_support(evidence, evidence.shots)
    if not records or support.empty or not len(evidence.embeddings):
        return pd.DataFrame(columns=["record", "true", "beside", "similarity"])
    rows = evidence.cohort.set_index("record")["embedding"]
    asked, known = (
        evidence.embeddings[rows[part].to_numpy(int)].astype(np.float32)
        for part in (records, support["record"])
    )
    alike = cosine_similarity(asked, known).round(4)  # digits beyond depend on the machine
    first = np.argsort(-alike, axis=1, kind="stable")[:, :NEAREST]
    return pd.concat(
        [
            support.iloc[at].assign(beside=record, similarity=alike[row, at])
            for row, (record, at) in enumerate(zip(records, first, strict=True))
        ]
    )


def encoded(evidence: Evidence, records: list[str]) -> dict[str, str]:
    """Each record's picture, as large as the budget allows for all of `records`, where one may
    stand several times.
    """
    rows = dict(
        zip(evidence.studies.records["record"], range(len(evidence.studies.records)), strict=True)
    )
    for side in SIDES:
        pictures = {
            record: data_uri(evidence.studies.pixels[rows[record]], side) for record in set(records)
        }
        if sum(len(pictures[record]) for record in records) <= BUDGET:
            break
    return pictures


def data_uri(pixels: np.ndarray, side: int) -> str:
    """One record, (channel, *space) of 8 bit, as a PNG of `side` pixels at most: of a volume the
    middle slice.
    """
    plane = pixels[:, pixels.shape[1] // 2] if pixels.ndim == 4 else pixels
    image = Image.fromarray(np.moveaxis(plane, 0, -1) if len(plane) == 3 else plane[0])
    image.thumbnail((side, side))
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()

"""Pictures: what the verdict's method was shown in the first support draw, and where it was most sure and wrong."""

import base64
import io
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from eval.evidence import Evidence
from eval.page import Section

SIDE = 96  # pixels of a picture's longer side; keeps the page well under 3 MB
PICTURES = 40  # of the support, at most
ERRORS = 12  # at most, one a patient


def gallery_section(evidence: Evidence) -> Section:
    """Draw 0 of the first seed, so that the errors are those of the support shown."""
    errors = confident_errors(evidence)
    support = shown_support(evidence)
    rows = dict(zip(evidence.studies.records["record"], range(len(evidence.studies.records)), strict=True))

    def with_picture(table: pd.DataFrame) -> list[dict[str, Any]]:
        return [{**item, "picture": data_uri(evidence.studies.pixels[rows[item["record"]]])} for item in table.to_dict("records")]

    table = pd.concat([support.assign(shown_as="support"), errors.assign(shown_as="error")])
    shown = {"support": {name: with_picture(support[support["true"] == name]) for name in evidence.classes},
             "errors": with_picture(errors), "k": evidence.shots, "method": evidence.method,
             "volumes": evidence.studies.pixels.ndim == 5}
    columns = ["shown_as", "record", "true", "predicted", "probability"]
    return Section("gallery.html.j2", "Pictures", shown, {"gallery.csv": table.reindex(columns=columns)})


def shown_support(evidence: Evidence) -> pd.DataFrame:
    """The support of draw 0 at the verdict's k, in the order of the classes: record, true."""
    most = max(1, PICTURES // len(evidence.classes))
    draw = evidence.draws[(evidence.draws["draw"] == 0) & (evidence.draws["position"] < min(evidence.shots, most))]
    ordered = draw.assign(order=draw["label"].map(evidence.classes.index)).sort_values(["order", "position"])
    return ordered.rename(columns={"label": "true"})[["record", "true"]]


def confident_errors(evidence: Evidence) -> pd.DataFrame:
    """Wrong answers of draw 0 by falling probability, the worst of each patient: record, true, predicted, probability."""
    query, probabilities = evidence.query, evidence.verdict_answers.probabilities[0, 0]
    names = np.asarray(evidence.classes, dtype=object)
    predicted = probabilities.argmax(axis=1)
    table = pd.DataFrame({"record": query.records, "patient": query.patients, "true": names[query.labels],
                          "predicted": names[predicted], "probability": probabilities.max(axis=1)})
    wrong = table[predicted != query.labels].sort_values(["probability", "record"], ascending=[False, True])
    return wrong.drop_duplicates("patient").head(ERRORS).drop(columns="patient")


def data_uri(pixels: np.ndarray) -> str:
    """One record, (channel, *space) of 8 bit, as a small PNG: of a volume the middle slice."""
    plane = pixels[:, pixels.shape[1] // 2] if pixels.ndim == 4 else pixels
    image = Image.fromarray(np.moveaxis(plane, 0, -1) if len(plane) == 3 else plane[0])
    image.thumbnail((SIDE, SIDE))
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()

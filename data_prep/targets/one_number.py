"""Patient numbers that tell nobody apart: de-identifiers that give all patients one number, or a
few (such as ANON).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

FEWEST_STUDIES = 5  # of one patient before the number is doubted: a course of treatment has as many
# of a site's studies; a hospital's one patient has that many only where the number says nothing
SHARE = 0.5
CURE = (
    "if they are of several patients, name the column or DICOM element that tells them apart "
    "as labels.patient (such as "
    "StudyInstanceUID where each patient has one study)"
)


def most_studies(rows: Iterable[Mapping[str, object]]) -> dict[str, int]:
    """How many studies the patient with most of them has, and how many there are in all.

    `rows`: with patient and study keys.
    """
    studies: dict[object, set[object]] = defaultdict(set)
    for row in rows:
        studies[row["patient"]].add(row["study"])
    return {
        "of_one_patient": max(map(len, studies.values()), default=0),
        "of_all": len(set().union(*studies.values())),
    }


def is_doubtful(most: Mapping[str, int]) -> bool:
    """Whether one number holds so many of the studies that it is likely no patient's."""
    return most["of_one_patient"] >= max(FEWEST_STUDIES, SHARE * most["of_all"])


def one_number_warnings(told: Mapping[str, Any]) -> list[str]:
    """Of a conversion's summary: a line where one patient number holds most studies."""
    most = told["most_studies"]
    if not is_doubtful(most):
        return []
    return [
        f"{told['site']}: {most['of_one_patient']} of {most['of_all']} studies have one "
        "patient number, and so stay together in every "
        f"split; {CURE} in sites/{told['site']}.yaml"
    ]

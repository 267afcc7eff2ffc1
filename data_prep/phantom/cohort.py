"""Who comes to a synthetic hospital: patients with one finding each, an age, a sex and one to four
images.
"""

from dataclasses import dataclass

import numpy as np

# of the patients is spread evenly over the classes; the rest unevenly, as each hospital has it
LEAST_SHARE = 0.85
IMAGES = (1, 2, 3, 4)
IMAGES_SHARE_2D = (0.35, 0.35, 0.2, 0.1)
IMAGES_SHARE_3D = (0.9, 0.1, 0.0, 0.0)
MEN = 0.54
AGE_MEAN, AGE_SD, AGE_LEAST, AGE_MOST = 61.0, 15.0, 19, 96  # years

SURNAMES = (
    "ALDER",
    "BRANDT",
    "CASTELL",
    "DAHLGREN",
    "EVERS",
    "FONTAINE",
    "GRECO",
    "HOLM",
    "IVERSEN",
    "JANSEN",
    "KOVAC",
    "LINDEN",
    "MORITZ",
    "NAVARRO",
    "OKAFOR",
    "PETROV",
    "QUINN",
    "ROSSI",
    "SATO",
    "TANAKA",
    "URBAN",
    "VARGA",
    "WEISS",
    "ZELLER",
)
GIVEN = {
    "F": ("ANNA", "CLARA", "ELENA", "GRETA", "INES", "KARIN", "MARIE", "OLGA", "RITA", "VERA"),
    "M": ("ADAM", "BRUNO", "DAVID", "ERIK", "GUSTAV", "HUGO", "JONAS", "LUIS", "OTTO", "PETER"),
}


@dataclass(frozen=True)
class Patient:
    """A made-up person.

    `number`, from 1, seeds the anatomy; `identifier` and `name` look real and carry the token
    ZZPHI.
    """

    number: int
    identifier: str
    name: str  # DICOM PN: family^given
    finding: str
    age: int  # years
    sex: str  # F or M
    year: int  # of the study
    images: int


def draw_cohort(
    seed: int, count: int, findings: tuple[str, ...], images_share: tuple[float, ...]
) -> list[Patient]:
    """The patients of a hospital, in an order that says nothing of their findings."""
    rng = np.random.default_rng(
        [seed, 0]
    )  # patients draw from [seed, number], numbers from 1: no stream is used twice
    shares = LEAST_SHARE / len(findings) + (1 - LEAST_SHARE) * rng.dirichlet(np.ones(len(findings)))
    edges = np.round(np.cumsum(shares) * count).astype(int)
    classes = rng.permutation(np.searchsorted(edges, np.arange(count), side="right"))
    identifiers = rng.choice(9_000_000, size=count, replace=False) + 1_000_000
    patients = []
    for number, (finding, identifier) in enumerate(zip(classes, identifiers, strict=True), start=1):
        sex = "M" if rng.random() < MEN else "F"
        patients.append(
            Patient(
                number=number,
                identifier=f"ZZPHI{identifier}",
                name=f"{rng.choice(SURNAMES)}-ZZPHI^{rng.choice(GIVEN[sex])}",
                finding=findings[finding],
                age=int(np.clip(np.round(rng.normal(AGE_MEAN, AGE_SD)), AGE_LEAST, AGE_MOST)),
                sex=sex,
                year=int(rng.integers(2015, 2024)),
                images=int(rng.choice(IMAGES, p=images_share)),
            )
        )
    return patients

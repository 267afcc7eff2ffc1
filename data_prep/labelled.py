"""Records of an export with a labels table: each has its files' label and patient."""

from collections.abc import Iterable
from dataclasses import dataclass

from data_prep.decode import Planned
from data_prep.plan import describe
from data_prep.privacy.deidentify import Keys
from data_prep.readers.image_file import Facts, ImageFile
from data_prep.rejects import Rejected
from data_prep.site_file import Site
from data_prep.targets.label import LABEL
from data_prep.targets.labels import LabelTable, Row
from data_prep.targets.matching import patient_of
from data_prep.targets.target import Target
from data_prep.volumes.series import Volume
from data_prep.volumes.tilt import STRAIGHT


@dataclass(frozen=True)
class Labelled:
    """Makes a record's row, where every identifier is a keyed hash."""

    name: str
    site: Site
    keys: Keys
    table: LabelTable
    target: Target = LABEL

    def __call__(
        self,
        files: tuple[ImageFile, ...],
        rows: dict[str, Row],
        facts: Facts,
        volume: Volume | None = None,
    ) -> Planned:
        """Raises Rejected where the label or the patient cannot be told."""
        row = self.label(files, rows)
        told = describe(self.keys, files, facts, volume)
        return Planned(
            told["record"],
            files,
            told
            | {
                "site": self.name,
                "task": self.site.task,
                **self.target.read(row.label),
                "patient": self.keys.patient(self._patient(files[0], row)),
                "age": facts.age if row.age is None else row.age,
                "sex": facts.sex if row.sex is None else row.sex,
            },
            volume.affine if volume else None,
            facts.spacing,
            volume.lean if volume else STRAIGHT,
        )

    def label(self, files: Iterable[ImageFile], rows: dict[str, Row]) -> Row:
        """The one row of a record's files. Raises Rejected."""
        found = [
            rows[image.identity.found.name] for image in files if image.identity.found.name in rows
        ]
        if not found:
            raise Rejected("no_label")
        if len({(row.label, row.patient) for row in found}) > 1:
            raise Rejected("conflicting_labels")
        if found[0].label is None:
            raise Rejected("label_ignored")
        return found[0]

    def patient(self, image: ImageFile, rows: dict[str, Row]) -> str | None:
        """The patient's key, of an image that may have no row; None where it cannot be told."""
        row = rows.get(image.identity.found.name)
        try:
            return (
                None
                if row is None and self.table.patient_column
                else self.keys.patient(self._patient(image, row))
            )
        except Rejected:
            return None

    def _patient(self, image: ImageFile, row: Row | None) -> str:
        """Raises Rejected where nothing tells whose it is."""
        value = patient_of(image, row, self.table, self.site.labels)
        if not value:
            raise Rejected("no_patient")
        return value

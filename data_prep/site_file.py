"""sites/NAME.yaml: all that a user writes to add a hospital."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from workspace.errors import Problem, Refusal, refuse_if
from workspace.paths import Workspace
from workspace.settings import SITE_NAME, Count, SiteName, Strict, Text, load_yaml


def _rectangle(value: Any) -> Any:
    whole = (
        isinstance(value, list) and len(value) == 4 and all(type(number) is int for number in value)
    )
    if value != "regions" and not (whole and min(value[:2]) >= 0 and min(value[2:]) >= 1):
        raise ValueError("[top, left, rows, columns] in pixels, or regions")
    return value


Keep = Annotated[tuple[int, int, int, int] | Literal["regions"], BeforeValidator(_rectangle)]


class Labels(Strict):
    """How a row of the labels table finds its image, and which columns to read."""

    file: Text | None = None
    """CSV, relative to the site's root; needed unless match is npz"""
    match: Text
    """"file" or "folder" (name or path under root), a DICOM keyword or tag (PatientID,
    "(0008,0050)"), or "npz": labels of its own
    """
    column: Text | None = None
    """the column that holds the match value; by default the one named like `match`"""
    class_column: Text | None = Field(None, alias="class")
    """the column that holds the class; needed unless match is npz"""
    patient: Text | None = None
    """a column, or a DICOM keyword or tag; by default PatientID for DICOM, else every image is its
    own patient
    """
    one_class_a: Literal["image", "study", "patient"] = "image"
    """study, patient: a table that gives one of them two classes is refused"""
    age: Text | None = None
    """a column, years"""
    sex: Text | None = None
    """a column"""

    @model_validator(mode="after")
    def _are_in_a_table_or_beside_the_images(self) -> "Labels":
        columns = (self.column, self.patient, self.age, self.sex)
        if self.match == "npz" and (
            any((self.file, self.class_column, *columns)) or self.one_class_a != "image"
        ):
            raise ValueError("match alone, since an npz holds its own labels")
        if self.match != "npz" and not (self.file and self.class_column):
            raise ValueError("file and class, unless match is npz")
        return self


class Crop(Strict):
    """What is kept of a device's images: a list of rules.

    A rule applies to images of which every value that it sets is true; of several the first does.
    See *Text in the pixels* in [Add a hospital](add-a-hospital.md).
    """

    modality: str | None = None
    """as the header says, such as US; of files that do not say, the site's"""
    manufacturer: str | None = None
    """as the header says, letter for letter"""
    model: str | None = None
    """as the header says, letter for letter"""
    rows: Count | None = None
    """of the whole image"""
    columns: Count | None = None
    """of the whole image"""
    keep: Keep
    """[top, left, rows, columns] in pixels, from 0; or regions: what the ultrasound regions of the
    header span
    """

    @model_validator(mode="after")
    def _keeps_what_is_there(self) -> "Crop":
        if self.keep != "regions":
            top, left, rows, columns = self.keep
            if (self.rows and top + rows > self.rows) or (
                self.columns and left + columns > self.columns
            ):
                raise ValueError("keep within rows and columns")
        return self


class Site(Strict):
    """One hospital's export."""

    root: str
    """folder, archive, DICOMDIR or list of paths; may hold environment variables, such as
    ${FEWSITE_DATA}/chest/nih
    """
    task: SiteName
    """sites with the same task share a label space"""
    labels: Labels
    """see below"""
    classes: dict[Text, list[Text]]
    """canonical class -> the values that mean it in this site's table"""
    ignore: list[Text] = []
    """values left out on purpose; a value under neither is refused"""
    max_rejected: Annotated[float, Field(ge=0, le=1)] = 0.05
    """share of image files that may be lost"""
    patient_namespace: Text | None = None
    """sites of one group that share patient numbers; by default the site's name"""
    modality: str | None = None
    """of files that do not say, such as CT for NIfTI in HU; it chooses the intensity"""
    crop: list[Crop] = []
    """what is kept of images with text at their edges; the first rule that applies (see below)"""
    at_risk: Literal["warn", "refuse"] = "warn"
    """images of modalities that often show a patient's data, if no crop applies and the header does
    not say they are clean
    """

    @model_validator(mode="after")
    def _classes_are_apart(self) -> "Site":
        values = [value for names in self.classes.values() for value in names] + self.ignore
        twice = sorted({value for value in values if values.count(value) > 1})
        if len(self.classes) < 2 or twice:
            raise ValueError(
                "two classes at least, and each value in one place (twice: "
                f"{', '.join(twice) or 'none'})"
            )
        return self

    def class_of(self, value: str) -> str | None:
        return next((name for name, values in self.classes.items() if value in values), None)


def load_site(workspace: Workspace, site: str) -> Site:
    """Read sites/SITE.yaml. Raises Refusal with every problem in it."""
    return load_site_file(workspace.site_file(site))


def load_site_file(path: Path) -> Site:
    """Read a site's YAML from wherever it lies. Raises Refusal with every problem in it."""
    refuse_if(
        [
            Problem(
                str(path),
                "a name that is no site name",
                f"NAME.yaml with NAME like {SITE_NAME}",
                "rename the file",
            )
        ]
        if not re.match(SITE_NAME, path.stem)
        else []
    )
    return load_yaml(path, Site)


def resolve_root(site_file: str, site: Site) -> Path:
    """Where the site's root really lies, past all links.

    Raises Refusal if a variable is unset or nothing is there.
    """
    return locate_root(site_file, site).resolve()


def locate_root(site_file: str, site: Site) -> Path:
    """The site's root with ~ and environment variables filled in, absolute.

    Raises Refusal if one is unset or nothing is there.
    """
    text = os.path.expandvars(os.path.expanduser(site.root))
    unset = re.findall(r"\$\{?(\w+)\}?", text)
    if unset:
        raise Refusal(
            Problem(
                f"{site_file} root",
                f"${unset[0]}, which is not set",
                "an environment variable that holds a folder",
                f"export {unset[0]}=/path/to/the/data",
            )
        )
    path = Path(text)
    if not path.exists():
        raise Refusal(
            Problem(
                f"{site_file} root",
                f"nothing at {site.root}",
                "a folder, a zip, a tar, a DICOMDIR or a list of paths",
                "mount the export or correct root",
            )
        )
    # What a DICOMDIR stands for is the folder that it lies in (PS3.10 8.6, which also fixes its
    # name), and all of it is to be watched.
    return (path.parent if path.is_file() and path.name.upper() == "DICOMDIR" else path).absolute()

"""report.json: what a page says, for a machine to read.

Its JSON schema is published as docs/report.schema.json.
"""

import json
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from eval.evidence import Evidence
from eval.measures.needed import needed_of
from eval.page.render import table_bytes
from eval.page.section import Section
from eval.verdict.criteria import Word
from eval.verdict.judge import Verdict
from workspace.outputs import digest, to_json
from workspace.settings import Role

REPORT = "report.json"


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


AnyPart = TypeVar("AnyPart", bound=Part)


class CriterionPart(Part):
    """One acceptance criterion, see Criterion."""

    name: str
    asks: str
    bound: float
    value: float | None = Field(description="missing where it was not measured")
    low: float | None = Field(description="of the interval over patients")
    high: float | None
    patients: int = Field(description="query patients that it is measured on")
    word: Word
    reason: str
    further: int | None = Field(
        description="query patients beyond today's that would settle it, "
        "if the value stays as it is"
    )


class Performance(Part):
    """One method's metric at one k."""

    method: str
    k: int = Field(description="labelled patients a class")
    metric: str
    value: float = Field(description="mean over draws and training seeds")
    patient_low: float = Field(description="of the interval over patients")
    patient_high: float
    draws_low: float | None = Field(
        description="of the spread over support draws; missing where there is one draw"
    )
    draws_high: float | None
    draws: int
    patients: int
    records: int


class Needed(Part):
    """Labelled cases that one method needs for the score that is asked for."""

    method: str
    reached: bool
    k: int | None
    cases: int | None = Field(description="k times the classes")
    up_to: int = Field(description="cases at the largest k that was tried")


class Report(Part):
    """One hospital's report."""

    schema_version: Literal[1] = 1
    site: str
    role: Role
    task: str
    classes: list[str]
    method: str = Field(description="of the verdict, named before the run")
    k: int = Field(description="labelled patients a class, of the verdict")
    confidence: float = Field(description="of all intervals")
    word: Word = Field(description="what the criteria say together")
    criteria: list[CriterionPart]
    cautions: list[str]
    performance: list[Performance]
    needed: list[Needed]
    tables: dict[str, str] = Field(
        description="file name of each table beside the page, and its SHA-256"
    )
    provenance: dict[str, Any] = Field(
        description="versions, hashes, and what each learner was trained on"
    )


def report_of(
    evidence: Evidence, verdict: Verdict, cautions: Sequence[str], sections: Sequence[Section]
) -> Report:
    """The report as data."""
    needed = needed_of(evidence)[list(Needed.model_fields)]
    tables = [table for section in sections for table in section.tables.items()]
    return Report(
        site=evidence.site,
        role=evidence.role,
        task=evidence.task["task"],
        classes=evidence.classes,
        method=verdict.method,
        k=verdict.k,
        confidence=evidence.params.adapt.confidence,
        word=verdict.word,
        criteria=[CriterionPart(**vars(found)) for found in verdict.criteria],
        cautions=list(cautions),
        performance=_rows(evidence.performance, Performance),
        needed=_rows(needed, Needed),
        tables={name: digest(table_bytes(table)) for name, table in tables},
        provenance=evidence.provenance,
    )


def report_text(report: Report) -> str:
    """The same bytes for the same report."""
    return to_json(report.model_dump(mode="json"))


def schema_text() -> str:
    """The JSON schema of report.json."""
    return (
        json.dumps(
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                **Report.model_json_schema(),
            },
            indent=1,
        )
        + "\n"
    )


def _rows(table: pd.DataFrame, part: type[AnyPart]) -> list[AnyPart]:
    rows = []
    for row in table.to_dict("records"):
        known = {name: None if pd.isna(value) else value for name, value in row.items()}
        rows.append(part(**known))
    return rows

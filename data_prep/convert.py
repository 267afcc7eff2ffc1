"""The convert stage: one hospital's export -> data/studies/SITE, whole or not at all.

Run as `python -m data_prep.convert SITE` in a workspace. Writes pixels.npy, records.parquet,
index.parquet, rejects.csv, unmatched.csv and summary.json.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from data_prep.decode import Decoded, Planned, decoder
from data_prep.exports.incoming import unwatched
from data_prep.index import write_index
from data_prep.privacy import burned_in
from data_prep.readers.nifti import DOUBTS
from data_prep.rejects import Reject, count_reasons, left_out, one_a_file, write_rejects
from data_prep.running.finished import Finished, finished_records
from data_prep.running.parallel import CHUNK, in_order
from data_prep.scan import ScanResult, count, count_classes, scan
from data_prep.settings import load_params
from data_prep.site_file import load_site
from data_prep.store.duplicates import count_duplicates
from data_prep.store.records import COLUMNS, write_records
from data_prep.targets.labels import shown_lines
from data_prep.targets.matching import write_unmatched
from data_prep.targets.one_number import most_studies, one_number_warnings
from workspace.errors import Problem, Refusal, refuse_if, run_module, together
from workspace.outputs import to_json, whole_folder, write_whole
from workspace.paths import Workspace
from workspace.progress import say, track

Row = dict[str, object]
AS_WRITTEN = {
    "age": "years, or numbers with units such as 45Y or 6 months",
    "sex": "F, M or O (or 1 and 2 by ISO 5218)",
}


def convert(workspace: Workspace, name: str) -> None:
    """Convert one site. Raises Refusal, with nothing written, if too much of it cannot be used."""
    params, site = together(lambda: load_params(workspace), lambda: load_site(workspace, name))
    refuse_if(
        unwatched(workspace, name, site) if workspace.dvc_file.exists() else []
    )  # without DVC nothing has to be watched
    found = scan(workspace, name, site, params)
    refuse_too_many(found, found.rejects)
    with (
        whole_folder(workspace.studies(name)) as folder,
        finished_records(workspace, name, params.convert, found.keys) as finished,
    ):
        rows, new, used = write_pixels(found, finished, folder / "pixels.npy")
        rejects = one_a_file([*found.rejects, *new], used)
        refuse_too_many(found, rejects)
        refuse_none(found, rows, rejects)
        write_records(pd.DataFrame(rows, columns=list(COLUMNS)), folder / "records.parquet")
        write_index(
            found.seen, kept(found.plans, rows), rejects, found.keys, folder / "index.parquet"
        )
        write_rejects(rejects, found.keys, folder / "rejects.csv")
        write_unmatched(found.matched.unmatched, folder / "unmatched.csv")
        told = summary(found, rows, rejects, left_out([*found.left_out, *new], used))
        write_whole(folder / "summary.json", to_json(told))
    images = [reject for reject in rejects if reject.image]
    say(
        f"{name}: {len(rows)} records of {len({row['patient'] for row in rows})} patients; "
        f"{len(images)} files rejected"
        f"{f' ({_reasons(images)})' if images else ''}, {len(rejects) - len(images)} are no images"
    )
    for warning in warnings(told):
        say(warning)


def write_pixels(
    found: ScanResult, finished: Finished, path: Path
) -> tuple[list[Row], list[Reject], set[str]]:
    """Append all records to pixels.npy in their order, as they come.

    Gives the rows, new rejects and the files used.
    """
    rows: list[Row] = []
    used: set[str] = set()
    rejects: list[Reject] = []
    with growing_array(path, (found.convert.channels, *found.convert.size)) as file:
        for plan, outcome in finished.resume(found.plans, partial(read_pixels, found)):
            if isinstance(outcome, Decoded):
                file.write(outcome.array.tobytes())
                rows.append(plan.row | outcome.told)
                used |= {image.identity.found.name for image in plan.files}
            else:
                rejects += outcome
    return rows, rejects, used


def read_pixels(
    found: ScanResult, plans: Sequence[Planned]
) -> Iterator[tuple[Planned, Decoded | list[Reject]]]:
    """Decode `plans` in their order. Yields each with its pixels or its rejects."""
    chunk = CHUNK if len(found.convert.size) == 2 else 1  # a volume is work enough for one task
    outcomes = in_order(
        decoder(found.convert), plans, found.convert.workers, chunk, found.convert.scheduler
    )
    return zip(
        plans, track(outcomes, f"{found.name}: reading pixels", total=len(plans)), strict=True
    )


def kept(plans: Iterable[Planned], rows: list[Row]) -> list[Planned]:
    """The plans that became records."""
    records = {row["record"] for row in rows}
    return [plan for plan in plans if plan.key in records]


@contextmanager
def growing_array(path: Path, item: tuple[int, ...]) -> Iterator[BinaryIO]:
    """A .npy file of uint8 to which items are appended; its header is filled in at the end, when
    their number is known.
    """
    with path.open("wb") as file:
        start = _write_header(file, (0, *item))
        yield file
        written = file.tell() - start
        file.seek(0)
        # NumPy leaves room in the header for the first axis to grow.
        if _write_header(file, (written // int(np.prod(item)), *item)) != start:
            raise AssertionError("the header of a .npy file grew over its data")


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> int:
    np.lib.format.write_array_header_1_0(
        file, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    return file.tell()


def _doubts(plan: Planned) -> set[str]:
    return {doubt for file in plan.files for doubt in file.header.doubts}


def summary(
    found: ScanResult, rows: list[Row], rejects: list[Reject], frames: list[Reject]
) -> dict[str, Any]:
    """What became of every file. files = used + rejected + not_images.

    `frames`: those left out of files that are used in part.
    """
    lost = [reject for reject in rejects if reject.image]
    labels, photometric = found.matched, count(row["photometric"] for row in rows)
    doubtful = [row["record"] for row in rows if row.get("doubtful")]
    patients = {row["patient"] for row in rows}
    used = kept(found.plans, rows)
    units = [row["units"] or "not stated" for row in rows]
    totals = {"files": found.files, "rejected": len(lost), "not_images": len(rejects) - len(lost)}
    return {
        "site": found.name,
        "task": found.site.task,
        **totals,
        "used": totals["files"] - totals["rejected"] - totals["not_images"],
        "records": len(rows),
        "patients": len(patients),
        "classes": count_classes(found.site, rows),
        "duplicates": count_duplicates(pd.DataFrame(rows, columns=list(COLUMNS))),
        "rejects": count_reasons(rejects),
        "left_out_frames": count_reasons(frames),
        "labels": {
            "rows": labels.lines,
            "matched": labels.lines - len(labels.unmatched),
            "unmatched_rows": len(labels.unmatched),
            "unlabelled_images": found.unlabelled_images,
        },
        "photometric": photometric,
        "inverted": photometric.get("MONOCHROME1", 0),
        "doubtful": doubtful,
        "header_doubts": count(chain.from_iterable(map(_doubts, used))),
        "modalities": count(map(itemgetter("modality"), rows)),
        "units": count(units),
        "transfer_syntaxes": count(map(itemgetter("transfer_syntax"), rows)),
        "burned_in": {**burned_in.count(used), "idle_rules": found.idle_rules},
        "not_understood": {
            name: {"lines": found.unread.get(name, []), "headers": _unread(found, rows, name)}
            for name in AS_WRITTEN
        },
        "most_studies": most_studies(rows),
        "secret": found.keys.fingerprint,
    }


def warnings(told: dict[str, Any]) -> list[str]:
    """What a person should look at, of a summary, a line each."""
    doubtful = [
        f"{told['site']}: {len(told['doubtful'])} records have values outside the range that "
        "their files state, which damage may have "
        "changed, or rows that a sequence of GE (epi_pepolar) may have reversed; "
        "summary.json lists them as doubtful"
    ]
    lines = burned_in.warnings(told) + (doubtful if told["doubtful"] else [])
    lines += [
        f"{told['site']}: {number} records, {doubt.replace('_', ' ')}: {DOUBTS[doubt]}"
        for doubt, number in told["header_doubts"].items()
    ]
    for name, at in told["not_understood"].items():
        if at["lines"]:
            lines.append(
                f"{told['site']}: {len(at['lines'])} cells of the column labels.{name} are "
                "not understood and count as missing "
                f"({shown_lines(at['lines'])}); write {AS_WRITTEN[name]}, or leave the cell empty"
            )
        if at["headers"]:
            lines.append(
                f"{told['site']}: the {name} in the headers of {at['headers']} records is not "
                "understood and counts as missing; name a "
                f"column of the table as labels.{name}"
            )
    failed = told["rejects"].get("reader_fault", 0)
    lines += (
        [
            f"{told['site']}: fewsite itself failed on {failed} files: "
            "rejects.csv says where; report it"
        ]
        if failed
        else []
    )
    return lines + one_number_warnings(told)


def _unread(found: ScanResult, rows: list[Row], name: str) -> int:
    """How many records lack their age or sex since their headers write it in a way that is not
    understood.
    """
    lacking = {row["record"] for row in rows if row[name] is None}
    return sum(
        plan.key in lacking and name in plan.files[0].header.facts.unread for plan in found.plans
    )


def refuse_too_many(found: ScanResult, rejects: list[Reject] | tuple[Reject, ...]) -> None:
    """Raise Refusal if more than the site's share of image files was rejected, not counting those
    left out by choice.
    """
    images = found.files - sum(not reject.image for reject in rejects)
    counted = [reject for reject in rejects if reject.counts]
    if len(counted) > found.site.max_rejected * images:
        raise Refusal(
            Problem(
                f"incoming/{found.name}",
                f"{len(counted)} of {images} image files rejected ({_reasons(counted)})",
                f"at most {found.site.max_rejected:.1%}",
                f"mend the export, or raise max_rejected in sites/{found.name}.yaml",
            )
        )


def refuse_none(found: ScanResult, rows: list[Row], rejects: list[Reject]) -> None:
    """Raise Refusal if no record is left."""
    if not rows:
        raise Refusal(
            Problem(
                f"incoming/{found.name}",
                f"no usable record ({_reasons(rejects)})",
                "at least one",
                "mend the export",
            )
        )


def _reasons(rejects: list[Reject]) -> str:
    return ", ".join(f"{reason} {number}" for reason, number in count_reasons(rejects).items())


def main(site: str) -> None:
    convert(Workspace(), site)


if __name__ == "__main__":
    run_module("data_prep.convert", main, "SITE")

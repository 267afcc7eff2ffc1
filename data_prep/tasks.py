"""Stage `tasks`: split a site's patients once and fix the support draws that every method will see.

python -m data_prep.tasks SITE ROLE
"""

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd

from data_prep.settings import Tasks, load_params
from data_prep.site_file import load_site
from data_prep.store.groups import group_of, place
from data_prep.store.records import read_studies
from data_prep.targets.label import LABEL
from data_prep.targets.one_number import CURE, is_doubtful, most_studies
from data_prep.targets.target import Target
from workspace.errors import Problem, refuse_if, run_module, together
from workspace.outputs import to_json, whole_folder, write_parquet
from workspace.paths import Workspace
from workspace.progress import say
from workspace.settings import Role

SUPPORT_SPLIT = {
    "source": "validation",
    "target": "pool",
}  # a source's supports come from patients that trained nothing


@dataclass(frozen=True)
class SiteTasks:
    """What the stage writes: `splits` has a row a record, `draws` a row a support record, `summary`
    the counts.
    """

    splits: pd.DataFrame
    draws: pd.DataFrame
    summary: dict[str, Any]


def split_records(
    records: pd.DataFrame, role: Role, settings: Tasks, target: Target = LABEL
) -> pd.DataFrame:
    """Place each record's group on one side by keyed hash.

    Target: pool (supports are drawn from it) and query. Source: train, validation (also its
    supports) and query. Returns columns record, row (in pixels.npy), patient, study, series, group,
    the target's, split, pixel_hash, perceptual_hash; sorted by record.
    """
    group = group_of(records)
    at = group.map(lambda key: place(key, f"split-{settings.salt}"))
    if role == "target":
        split = at.map(lambda x: "pool" if x < settings.pool else "query")
    else:
        validation_ends = settings.source_query + settings.source_validation
        split = at.map(
            lambda x: (
                "query"
                if x < settings.source_query
                else "validation"
                if x < validation_ends
                else "train"
            )
        )
    return pd.DataFrame(
        {
            "record": records["record"],
            "row": range(len(records)),
            "patient": records["patient"],
            "study": records["study"],
            "series": records["series"],
            "group": group,
            target.column: target.strata(records),
            "split": split,
            "pixel_hash": records["pixel_hash"],
            "perceptual_hash": records["perceptual_hash"],
        }
    )


def support_draws(
    candidates: pd.DataFrame, settings: Tasks, seed: int, target: Target = LABEL
) -> pd.DataFrame:
    """Order each stratum's patients anew in every draw; the support of draw d at k is its rows with
    position < k.

    The supports of one draw are nested in k, so a curve over k adds patients and exchanges none.
    One image a patient. Returns columns draw, the target's, position, record; the largest k bounds
    position.
    """
    rows, column = [], target.column
    for draw in range(settings.draws):
        key = f"draw-{seed}-{draw}"
        order = candidates.assign(
            patient_at=[
                place(f"{stratum}:{group}", key)
                for stratum, group in zip(candidates[column], candidates["group"], strict=True)
            ],
            image_at=[place(record, key) for record in candidates["record"]],
        )
        one_image = order.sort_values([column, "patient_at", "image_at"]).drop_duplicates(
            [column, "group"]
        )
        position = one_image.groupby(column).cumcount()
        chosen = one_image.assign(draw=draw, position=position)[position < max(settings.shots)]
        rows.append(chosen[["draw", column, "position", "record"]])
    return pd.concat(rows, ignore_index=True)


def make_tasks(
    site: str,
    role: Role,
    task: str,
    classes: list[str],
    records: pd.DataFrame,
    settings: Tasks,
    seed: int,
    target: Target = LABEL,
) -> SiteTasks:
    """Split patients and draw supports.

    Raises Refusal naming class and site where patients are too few.
    """
    splits = split_records(records, role, settings, target)
    patients = _per_stratum(splits, role, classes, "patients", target.column)
    smallest = min(k for k in settings.shots if k > 0)
    most = most_studies(records[["patient", "study"]].to_dict("records"))
    refuse_if(_too_few(site, role, patients, smallest, settings.min_query, most))
    support = patients[SUPPORT_SPLIT[role]]
    infeasible = [
        {"k": k, "class": name, "patients": support[name]}
        for k in sorted(settings.shots)
        for name in classes
        if support[name] < k
    ]
    draws = support_draws(splits[splits["split"] == SUPPORT_SPLIT[role]], settings, seed, target)
    summary = {
        "site": site,
        "role": role,
        "task": task,
        "classes": classes,
        "shots": sorted(set(settings.shots) - {gap["k"] for gap in infeasible}),
        "infeasible": infeasible,
        "draws": settings.draws,
        "support_split": SUPPORT_SPLIT[role],
        "splits": _counted(patients, _per_stratum(splits, role, classes, "records", target.column)),
    }
    return SiteTasks(splits, draws, summary)


def _per_stratum(
    splits: pd.DataFrame, role: Role, strata: list[str], what: str, column: str
) -> dict[str, dict[str, int]]:
    """Split -> stratum -> how many "patients" or "records" it has."""
    groups = splits.groupby(["split", column])
    counts = groups["group"].nunique() if what == "patients" else groups.size()
    always = {"query", SUPPORT_SPLIT[role]} | ({"train"} if role == "source" else set())
    return {
        split: {name: int(counts.get((split, name), 0)) for name in strata}
        for split in sorted({*splits["split"], *always})
    }


def _counted(
    patients: dict[str, dict[str, int]], records: dict[str, dict[str, int]]
) -> dict[str, dict[str, dict[str, int]]]:
    """Split -> class -> both counts."""
    return {
        split: {
            name: {"patients": count, "records": records[split][name]}
            for name, count in by_class.items()
        }
        for split, by_class in patients.items()
    }


def _too_few(
    site: str,
    role: Role,
    patients: dict[str, dict[str, int]],
    smallest: int,
    min_query: int,
    most: dict[str, int],
) -> list[Problem]:
    """`most`: as of most_studies.

    More studies under a number that is no patient's would be no cure.
    """
    needed = {
        SUPPORT_SPLIT[role]: smallest,
        "query": min_query,
        **({"train": 2} if role == "source" else {}),
    }
    found = (
        f" ({most['of_one_patient']} of {most['of_all']} studies have one patient number)"
        if is_doubtful(most)
        else ""
    )
    first = f"{CURE} in sites/{site}.yaml; else " if is_doubtful(most) else ""
    return [
        Problem(
            f"site {site}, class {name}",
            f"{have} patients for {split}{found}",
            f"{needed[split]} at least",
            f"{first}add studies of {name} or put it under ignore in sites/{site}.yaml; where "
            "the class has patients enough in all, "
            "try another tasks.salt before any result is seen",
        )
        for split in needed
        for name, have in patients[split].items()
        if have < needed[split]
    ]


def main(site: str, role: Role) -> None:
    workspace = Workspace()
    params, settings = together(lambda: load_params(workspace), lambda: load_site(workspace, site))
    studies = workspace.studies(site)
    records = read_studies(studies).records
    secret = json.loads((studies / "summary.json").read_text())["secret"]
    tasks = make_tasks(
        site, role, settings.task, list(settings.classes), records, params.tasks, params.seed
    )
    with whole_folder(workspace.tasks(role, site)) as folder:
        write_parquet(tasks.splits, folder / "splits.parquet")
        write_parquet(tasks.draws, folder / "draws.parquet")
        (folder / "task.json").write_text(to_json({**tasks.summary, "secret": secret}))
    for gap in tasks.summary["infeasible"]:
        say(
            f"tasks {site}: k={gap['k']} is left out, class {gap['class']} has "
            f"{gap['patients']} patients to draw from"
        )
    say(f"tasks {site}: k in {tasks.summary['shots']}, {params.tasks.draws} draws")


if __name__ == "__main__":
    run_module("data_prep.tasks", main, "SITE", "ROLE")

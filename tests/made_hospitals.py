"""A small workspace with realistic results: methods that learn with k, patients with several images."""

import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from data_prep.episodes.meta_split import SITES
from data_prep.store.records import COLUMNS, write_records
from eval.adapt.cohort import DESCRIBED
from eval.current import tasks_digest
from eval.scores.performance import performance
from workspace.outputs import to_json, write_parquet
from workspace.paths import Workspace

SHARPNESS = {
    "majority": 0.0,
    "source_only": 1.0,
    "nearest_centroid": 0.9,
    "linear_probe": 1.2,
    "fine_tuning": 1.1,
    "maml": 1.3,
    "prototypical": 1.8,
}  # distance of the classes in standard deviations, with very many labelled patients
CONFIDENCE = 0.95
BOOTSTRAP = 100


@dataclass(frozen=True)
class Hospital:
    """A synthetic site's results. `patients`: of each class, half for the pool and half for the query set."""

    role: str = "target"
    classes: tuple[str, ...] = ("AP", "PA")
    patients: tuple[int, ...] = (130, 90)
    shift: float = 0.0  # added to every method's sharpness
    shots: tuple[int, ...] = (1, 2, 5, 10)
    asked: tuple[int, ...] = (0, 1, 2, 5, 10)
    draws: int = 4
    seeds: tuple[int, ...] = (0,)
    methods: tuple[str, ...] = tuple(sorted(SHARPNESS))
    manufacturer: str = "Vendor A"
    unknown: tuple[str, ...] = ()  # what the files do not say, such as age
    moved: float = 0.0  # the source model's features, in standard deviations
    features: int = 8  # 0: no source model
    space: tuple[int, ...] = (48, 48)
    channels: int = 1
    rejects: dict[str, tuple[int, str]] = field(
        default_factory=lambda: {
            "truncated": (3, "export the file again"),
            "burned_in_annotation": (2, "ask for the study without overlays"),
            "no_label": (7, "add a row for it to labels.csv"),
        }
    )
    seed: int = 1


def params_text(
    sites: dict[str, str], method: str = "prototypical", shots: int = 5, target: float = 0.85
) -> str:
    """params.yaml with `sites`. JSON is YAML."""
    return json.dumps(
        {
            "sites": sites,
            "convert": {"size": [48, 48]},
            "train": {"learners": ["maml", "prototypical", "supervised"]},
            "adapt": {
                "methods": [
                    "prototypical",
                    "maml",
                    "majority",
                    "nearest_centroid",
                    "linear_probe",
                    "fine_tuning",
                    "source_only",
                ],
                "bootstrap": BOOTSTRAP,
                "confidence": CONFIDENCE,
            },
            "tasks": {"draws": 4},
            "report": {"method": method, "shots": shots, "accept": {"auroc": target}},
        }
    )


def records_of(site: str, hospital: Hospital) -> pd.DataFrame:
    """Records with one to three images a patient, and the split each patient is in."""
    generator = np.random.default_rng(hospital.seed)
    rows = []
    for label, patients in zip(hospital.classes, hospital.patients, strict=True):
        for number in range(patients):
            patient = (
                f"{zlib.crc32(site.encode()):08x}{hospital.classes.index(label):02x}{number:06x}"
            )
            for _ in range(int(generator.integers(1, 4))):
                rows.append(
                    {
                        "record": generator.bytes(8).hex(),
                        "patient": patient,
                        "label": label,
                        "split": ("pool" if hospital.role == "target" else "validation")
                        if number % 2
                        else "query",
                        "age": float(generator.integers(20, 91)),
                        "sex": "FM"[int(generator.integers(2))],
                    }
                )
    table = pd.DataFrame(rows)
    table[["age", "sex"]] = table.groupby("patient")[["age", "sex"]].transform("first")
    for column, value in {
        "site": site,
        "task": "chest_view",
        "modality": "DX",
        "manufacturer": hospital.manufacturer,
        "model": "M1",
        "spacing": "0.2x0.2",
        "transfer_syntax": "1.2.840.10008.1.2.1",
        "photometric": "MONOCHROME2",
        "units": "unspecified",
    }.items():
        table[column] = value
    return (
        table.assign(
            study=table["record"],
            series=table["record"],
            study_year=2020,
            slices=1,
            tilt=None,
            pixel_hash=table["record"],
            perceptual_hash="",
            **dict.fromkeys(hospital.unknown, pd.NA),
        )
        .sort_values("record")
        .reset_index(drop=True)
    )


def predictions_of(records: pd.DataFrame, hospital: Hospital, asked: pd.Series) -> pd.DataFrame:
    """Softmax answers of every method for the records in `asked`; sharper with k, and a little different in each draw."""
    query = records[asked]
    classes = len(hospital.classes)
    truth = query["label"].map(hospital.classes.index).to_numpy()
    generator = np.random.default_rng(hospital.seed + 1)
    ease = generator.normal(size=(len(query), classes))  # what all methods find hard alike
    tables = []
    for method in hospital.methods:
        cells = (
            [(0, 1)]
            if method == "source_only"
            else [(k, hospital.draws) for k in hospital.shots if k]
        )
        for seed in hospital.seeds if method in ("prototypical", "maml", "source_only") else (0,):
            for k, draws in cells:
                for draw in range(draws):
                    sharp = (
                        (SHARPNESS[method] + hospital.shift)
                        * (k / (k + 1) if k else 1)
                        * generator.normal(1, 0.1)
                    )
                    logits = np.full((len(query), classes), 0.1 * np.arange(classes))
                    if method != "majority":
                        logits = (
                            ease
                            + 0.5 * generator.normal(size=ease.shape)
                            + sharp * np.eye(classes)[truth]
                        )
                    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
                    table = pd.DataFrame(
                        {
                            "method": method,
                            "seed": seed,
                            "k": k,
                            "draw": draw,
                            "record": query["record"],
                            "patient": query["patient"],
                            "label": query["label"],
                        }
                    )
                    for label, name in enumerate(hospital.classes):
                        table[f"p_{name}"] = p[:, label].astype(np.float32)
                    tables.append(table)
    return (
        pd.concat(tables)
        .sort_values(["method", "seed", "k", "draw", "record"])
        .reset_index(drop=True)
    )


def held_out_of(records: pd.DataFrame, hospital: Hospital, draws: pd.DataFrame) -> pd.DataFrame:
    """The same methods' answers for each draw's cases at positions from k on."""
    answers = predictions_of(records, hospital, records["record"].isin(draws["record"])).drop(
        columns="patient"
    )
    without_draw = (
        answers[answers["k"] == 0]
        .drop(columns="draw")
        .merge(draws[["draw", "record", "position"]], on="record")
    )
    table = pd.concat(
        [
            answers[answers["k"] > 0].merge(
                draws[["draw", "record", "position"]], on=["draw", "record"]
            ),
            without_draw,
        ]
    )
    table = table[(table["position"] >= table["k"]) & (table["position"] < max(hospital.shots))]
    return table.sort_values(["method", "seed", "k", "draw", "position", "record"])[
        [
            "method",
            "seed",
            "k",
            "draw",
            "position",
            "record",
            "label",
            *(f"p_{name}" for name in hospital.classes),
        ]
    ]


def embeddings_of(table: pd.DataFrame, hospital: Hospital) -> np.ndarray:
    """Features whose mean depends on the class, moved as a whole by `hospital.moved`."""
    generator = np.random.default_rng(hospital.seed + 4)
    noise = generator.normal(size=(len(table), hospital.features)) + hospital.moved
    return (noise + table["label"].map(hospital.classes.index).to_numpy()[:, None]).astype(
        np.float16
    )


def draws_of(records: pd.DataFrame, hospital: Hospital) -> pd.DataFrame:
    """Support draws: the largest feasible k patients of each class, one image each."""
    generator = np.random.default_rng(hospital.seed + 2)
    pool = records[records["split"] != "query"]
    rows = []
    for draw in range(hospital.draws):
        for label in hospital.classes:
            one_each = pool[pool["label"] == label].groupby("patient")["record"].first()
            chosen = generator.permutation(len(one_each))[: max(hospital.shots)]
            rows += [
                {"draw": draw, "label": label, "position": position, "record": one_each.iloc[index]}
                for position, index in enumerate(chosen)
            ]
    return pd.DataFrame(rows)


def pixels_of(records: pd.DataFrame, hospital: Hospital) -> np.ndarray:
    """A bright blob whose place depends on the class, on noise."""
    generator = np.random.default_rng(hospital.seed + 3)
    axes = np.meshgrid(*[np.linspace(-1, 1, length) for length in hospital.space], indexing="ij")
    images = []
    for label in records["label"]:
        at = 0.6 * (hospital.classes.index(label) / (len(hospital.classes) - 1) - 0.5) * 2
        blob = 160 * np.exp(
            -8 * sum((axis - at * (number == 0)) ** 2 for number, axis in enumerate(axes))
        )
        image = blob + generator.normal(40, 15, size=(hospital.channels, *hospital.space))
        images.append(image.clip(0, 255).astype(np.uint8))
    return np.stack(images)


def counts_of(records: pd.DataFrame) -> dict[str, dict[str, int]]:
    return {
        str(label): {"patients": int(rows["patient"].nunique()), "records": len(rows)}
        for label, rows in records.groupby("label")
    }


def write_hospital(workspace: Workspace, site: str, hospital: Hospital) -> None:
    """Write all that the report reads of one site."""
    records = records_of(site, hospital)
    studies, tasks, results = (
        workspace.studies(site),
        workspace.tasks(hospital.role, site),
        workspace.results(hospital.role, site),
    )
    for folder in (studies, tasks, results):
        folder.mkdir(parents=True)

    np.save(studies / "pixels.npy", pixels_of(records, hospital))
    write_records(records, studies / "records.parquet")
    rejected = [
        {"file": f"f{reason}{number}", "kind": "file", "reason": reason, "found": "", "do": do}
        for reason, (count, do) in sorted(hospital.rejects.items())
        for number in range(count)
    ]
    pd.DataFrame(rejected, columns=["file", "kind", "reason", "found", "do"]).to_csv(
        studies / "rejects.csv", index=False
    )
    (studies / "summary.json").write_text(
        to_json(
            {
                "site": site,
                "task": "chest_view",
                "files": len(records) + len(rejected) + 4,
                "used": len(records),
                "rejected": len(rejected),
                "not_images": 4,
                "records": len(records),
                "patients": int(records["patient"].nunique()),
                "classes": counts_of(records),
                "duplicates": {"identical_pairs": 1, "near_pairs": 2, "patients": 5},
                "rejects": {
                    "no_pixels": 4,
                    **{reason: count for reason, (count, _) in hospital.rejects.items()},
                },
                "inverted": 0,
                "labels": {
                    "rows": len(records) + 2,
                    "matched": len(records),
                    "unmatched_rows": 2,
                    "unlabelled_images": 7,
                },
            }
        )
    )

    splits = {str(split): counts_of(rows) for split, rows in records.groupby("split")}
    pool = next(counts for split, counts in splits.items() if split != "query")
    (tasks / "task.json").write_text(
        to_json(
            {
                "site": site,
                "role": hospital.role,
                "task": "chest_view",
                "classes": list(hospital.classes),
                "shots": list(hospital.shots),
                "draws": hospital.draws,
                "splits": splits,
                "infeasible": [
                    {"k": k, "class": name, "patients": pool[name]["patients"]}
                    for k in hospital.asked
                    if k not in (0, *hospital.shots)
                    for name in hospital.classes
                    if pool[name]["patients"] < k
                ],
            }
        )
    )
    write_parquet(records[["record", "patient", "split"]], tasks / "splits.parquet")
    write_parquet(draws_of(records, hospital), tasks / "draws.parquet")

    predictions = predictions_of(records, hospital, records["split"] == "query")
    write_parquet(predictions, results / "predictions.parquet")
    draws = pd.read_parquet(tasks / "draws.parquet")
    write_parquet(held_out_of(records, hospital, draws), results / "held_out.parquet")
    embedded = (
        records[(records["split"] == "query") | records["record"].isin(draws["record"])]
        if hospital.features
        else records.head(0)
    )
    rows = pd.Series(range(len(embedded)), index=embedded["record"])
    described = records.assign(embedding=records["record"].map(rows).astype("Int32"))
    write_parquet(
        described[[*DESCRIBED, "split", "embedding"]].astype(
            {name: COLUMNS[name] for name in DESCRIBED}
        ),
        results / "cohort.parquet",
    )
    np.save(results / "embeddings.npy", embeddings_of(embedded, hospital))
    table = performance(
        predictions, list(hospital.classes), BOOTSTRAP, CONFIDENCE, seed=0, site=site
    )
    table.to_csv(results / "performance.csv", index=False, lineterminator="\n")
    trained_on = {
        "northgate": {"patients": 412, "records": 601},
        "southgate": {"patients": 233, "records": 240},
    }
    (results / "provenance.json").write_text(
        to_json(
            {
                "fewsite": "0.1.0",
                "versions": {"python": "3.11.4", "torch": "2.13.0", "monai": "1.6.1"},
                "params_sha256": "5b" * 32,
                "code_sha256": "6c" * 32,
                "data_sha256": "7d" * 32,
                "role": hospital.role,
                "tasks_sha256": tasks_digest(workspace, site, hospital.role),
                "task": "chest_view",
                "classes": list(hospital.classes),
                "learners": {
                    name: {
                        "encoder": {"name": "conv4", "width": 64, "norm": "group"},
                        "settings": {"steps": 1000},
                        "parameters": 113088,
                        "trained_on": trained_on,
                        "runs": {
                            str(seed): {"best_step": 600, "validation_accuracy": 0.81}
                            for seed in hospital.seeds
                        },
                    }
                    for name in ("maml", "prototypical")
                },
            }
        )
    )


def build(root: Path, hospitals: dict[str, Hospital], **report: object) -> Workspace:
    workspace = Workspace(root)
    workspace.params_file.write_text(
        params_text({site: hospital.role for site, hospital in hospitals.items()}, **report)
    )
    for site, hospital in hospitals.items():
        write_hospital(workspace, site, hospital)
    workspace.meta_split.mkdir(parents=True)
    (workspace.meta_split / SITES).write_text(
        to_json(
            {
                "secret": "one",
                "sites": {
                    site: {
                        "task": "chest_view",
                        "classes": list(hospital.classes),
                        "records": 0,
                        "left_out": {},
                    }
                    for site, hospital in hospitals.items()
                    if hospital.role == "source"
                },
            }
        )
    )
    return workspace

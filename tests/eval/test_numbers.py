"""Every number of a page stands in its section's tables, and the tables are found again from
predictions.parquet by other means.
"""

import contextlib
import math
import re
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, roc_auc_score

from eval import report
from eval.evidence import Evidence, read_evidence
from workspace.paths import Workspace

NUMBER = re.compile(r"(?<![\w.])([+\N{MINUS SIGN}-]?\d(?:[\d,]*\d)?(?:\.\d+)?)(\s?%| points| ±)?")
CONSTANTS = {
    0,
    0.5,
    1,
    90,
    0.95,
    10,
    50,
    100,
    # chance, bounds, the age cap, the confidence, the patients and positives under which a page
    # warns
}
WHOLE = "verdict.csv"  # holds the sizes of the study, which every section repeats
UNCOUNTED = ("provenance", "checklist", "review")  # settings, hashes and items of guidelines


def sections(page: str) -> dict[str, str]:
    """Each section's text: no figure, no code, no table name."""
    found = {}
    for anchor, inner in re.findall(r'<section id="(\w+)">(.*?)</section>', page, re.S):
        inner = re.sub(r"<(svg|code|a|h2)\b.*?</\1>", " ", inner, flags=re.S)
        found[anchor] = unescape(re.sub(r"<[^>]+>", " ", inner)).replace("\N{NO-BREAK SPACE}", " ")
    return found


def linked(page: str, anchor: str) -> list[str]:
    inner = re.search(rf'<section id="{anchor}">(.*?)</section>', page, re.S)[1]
    return re.findall(r'href="([\w.]+\.csv)"', inner)


def numbers_in(text: str) -> list[tuple[str, float, int]]:
    """Each number as written, its value and its decimals; a percentage as a share."""
    found = []
    for written, unit in NUMBER.findall(text):
        digits = written.replace(",", "").replace("\N{MINUS SIGN}", "-")
        places = len(digits.partition(".")[2])
        found.append(
            (written + unit, float(digits) / 100, places + 2)
            if unit
            else (written, float(digits), places)
        )
    return found


def values_in(tables: list[pd.DataFrame]) -> np.ndarray:
    found = []
    for table in tables:
        for name in table:
            column = table[name]
            found += (
                column.dropna().astype(float).tolist()
                if pd.api.types.is_numeric_dtype(column)
                else [
                    value
                    for text in column.dropna().astype(str)
                    for _, value, _ in numbers_in(text)
                ]
            )
    return np.array([*found, *CONSTANTS])


def missing(page: str, folder: Path) -> list[tuple[str, str]]:
    """Numbers of the page that none of their section's tables holds."""
    lost = []
    for anchor, text in sections(page).items():
        if anchor not in UNCOUNTED:
            values = values_in(
                [pd.read_csv(folder / name) for name in {*linked(page, anchor), WHOLE}]
            )
            lost += [
                (anchor, written)
                for written, value, places in numbers_in(text)
                if not (np.abs(values - value) <= 0.5 * 10.0**-places + 1e-9).any()
            ]
    return lost


def write(workspace: Workspace, site: str = "westside", role: str = "target") -> tuple[str, Path]:
    with contextlib.chdir(workspace.root):
        report.main(site, role)
    return (workspace.report(site) / "index.html").read_text(), workspace.report(site)


@pytest.fixture(scope="module")
def workspace(make_workspace, hospital) -> Workspace:
    few = {
        "draws": 3,
        "seeds": (0, 1),
        "methods": ("majority", "maml", "prototypical", "source_only"),
    }
    return make_workspace(
        {
            "westside": hospital(patients=(90, 60), moved=0.5, **few),
            "northgate": hospital(role="source", seed=2, manufacturer="Vendor B", **few),
            "eastgate": hospital(role="source", seed=3, **few),
        }
    )


def test_every_number_of_a_page_stands_in_a_table_of_its_section(workspace):
    page, folder = write(workspace)
    assert missing(page, folder) == []
    assert sum(len(numbers_in(text)) for text in sections(page).values()) > 500


def test_a_number_that_no_table_holds_is_found(workspace):
    page, folder = write(workspace)
    assert ("curves", "0.123") in missing(
        page.replace("<figcaption>AUROC.", "<figcaption>AUROC of 0.123.", 1), folder
    )


@pytest.mark.parametrize(
    "site",
    [
        {
            "classes": ("a", "b", "c"),
            "patients": (50, 40, 30),
            "shots": (1, 5),
            "draws": 2,
            "methods": ("majority", "prototypical", "source_only"),
        },
        {
            "patients": (24, 14),
            "shots": (1, 2),
            "draws": 1,
            "methods": ("prototypical", "linear_probe"),
            "features": 0,
        },
    ],
    ids=["three classes", "few patients, one draw"],
)
def test_the_same_holds_of_other_studies(make_workspace, hospital, site):
    page, folder = write(
        make_workspace(
            {"westside": hospital(**site), "northgate": hospital(role="source", seed=2, **site)}
        )
    )
    assert missing(page, folder) == []


# --- the tables once more, from predictions.parquet and by other means ---


@dataclass(frozen=True)
class Page:
    """A page's tables, and what the verdict's method answered: one array (seed, draw, image,
    class), sorted by image.
    """

    folder: Path
    answers: pd.DataFrame
    probabilities: np.ndarray
    query: pd.DataFrame
    evidence: Evidence

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.folder / name)


@pytest.fixture(scope="module")
def westside(workspace) -> Page:
    _, folder = write(workspace)
    answers = pd.read_parquet(workspace.results("target", "westside") / "predictions.parquet")
    chosen = answers.query("method == 'prototypical' and k == 5").sort_values(
        ["seed", "draw", "record"]
    )
    images = chosen["record"].nunique()
    return Page(
        folder,
        answers,
        chosen[["p_AP", "p_PA"]].to_numpy(float).reshape(2, 3, images, 2),
        chosen.head(images),
        read_evidence(workspace, "westside", "target"),
    )


def runs(page: Page) -> list[np.ndarray]:
    """The positive class's probability of each seed and draw."""
    return [page.probabilities[seed, draw, :, 1] for seed in range(2) for draw in range(3)]


def wilson(value: float, variance: float, patients: list[int]) -> tuple[float, float]:
    """The interval of docs/statistics.md, written out once more."""
    added = sum(1 / n**2 for n in patients) / len(patients) ** 2 / 8
    equal = len(patients) ** 2 / sum(1 / n for n in patients)
    n, z = (value * (1 - value) + added * equal) / (variance + added), 1.959963984540054
    centre, half = (
        (value + z**2 / (2 * n)) / (1 + z**2 / n),
        z * math.sqrt(value * (1 - value) / n + z**2 / (4 * n**2)) / (1 + z**2 / n),
    )
    return centre - half, centre + half


def test_performance_is_scikit_learns_mean_over_draws_and_seeds(westside):
    table = westside.table("performance.csv").set_index(["method", "k", "metric"])
    for (method, k), rows in westside.answers.groupby(["method", "k"]):
        by_draw = rows.groupby("draw").apply(
            lambda of_draw: (
                of_draw.groupby("seed")
                .apply(
                    lambda run: pd.Series(
                        {
                            "auroc": roc_auc_score(run["label"] == "PA", run["p_PA"]),
                            "balanced_accuracy": balanced_accuracy_score(
                                run["label"], np.where(run["p_PA"] > run["p_AP"], "PA", "AP")
                            ),
                        }
                    )
                )
                .mean()
            )
        )
        for metric in ("auroc", "balanced_accuracy"):
            found = table.loc[(method, k, metric)]
            assert found["value"] == pytest.approx(by_draw[metric].mean(), abs=1e-5), (
                method,
                k,
                metric,
            )
            assert found["draws"] == len(by_draw)
            if len(by_draw) > 1:
                assert (found["draws_low"], found["draws_high"]) == pytest.approx(
                    tuple(np.quantile(by_draw[metric], [0.025, 0.975])), abs=1e-5
                )


def test_the_verdicts_interval_is_that_of_resamples_counted_one_by_one(westside):
    truth = (westside.query["label"] == "PA").to_numpy()
    resampled = [
        np.mean([roc_auc_score(truth, run, sample_weight=weights) for run in runs(westside)])
        for weights in westside.evidence.bootstrap.weights
    ]
    found = (
        westside.table("performance.csv")
        .query("method == 'prototypical' and k == 5 and metric == 'auroc'")
        .iloc[0]
    )
    patients = westside.query.groupby("label")["patient"].nunique().tolist()
    assert (found["patient_low"], found["patient_high"]) == pytest.approx(
        wilson(found["value"], np.var(resampled, ddof=1), patients), abs=1e-4
    )
    criterion = westside.table("criteria.csv").iloc[0]
    assert (criterion["value"], criterion["low"], criterion["high"]) == (
        found["value"],
        found["patient_low"],
        found["patient_high"],
    )


def test_the_operating_point_is_found_again_by_trying_every_score_of_the_sources(
    westside, workspace
):
    sources = {
        name: pd.read_parquet(workspace.results("source", name) / "predictions.parquet").query(
            "method == 'prototypical' and k == 5"
        )
        for name in ("northgate", "eastgate")
    }

    def share(label: str, score: float) -> float:
        return np.mean(
            [
                (rows.loc[rows["label"] == label, "p_PA"] >= score).mean()
                for rows in sources.values()
            ]
        )

    scores = [
        score
        for score in sorted(set(np.concatenate([rows["p_PA"] for rows in sources.values()])))
        if share("PA", score) >= 0.9 - 1e-9
    ]
    least = max(scores, key=lambda score: round(share("PA", score) - share("AP", score), 9))
    truth = (westside.query["label"] == "PA").to_numpy()
    counts = westside.table("operating_counts.csv").iloc[0]
    assert counts["threshold"] == pytest.approx(least, abs=1e-6)
    called = [run >= least for run in runs(westside)]
    expected = {
        "sensitivity": [(of & truth).sum() / truth.sum() for of in called],
        "specificity": [(~of & ~truth).sum() / (~truth).sum() for of in called],
        "ppv": [(of & truth).sum() / of.sum() for of in called],
        "npv": [(~of & ~truth).sum() / (~of).sum() for of in called],
    }
    table = westside.table("operating_point.csv").set_index("measure")["value"]
    assert table.to_dict() == pytest.approx(
        {name: np.mean(values) for name, values in expected.items()}, abs=1e-6
    )
    assert counts["true_positives"] == pytest.approx(np.mean([(of & truth).sum() for of in called]))


def test_confusion_recall_and_abstaining_are_counted_again(westside):
    answered, truth = (
        westside.probabilities.argmax(axis=-1),
        (westside.query["label"] == "PA").to_numpy(int),
    )
    table = westside.table("confusion.csv").set_index(["true", "predicted"])["mean_count"]
    for true, predicted in table.index:
        assert table[true, predicted] == pytest.approx(
            np.mean(
                [
                    (
                        (run == ("AP", "PA").index(predicted)) & (truth == ("AP", "PA").index(true))
                    ).sum()
                    for run in answered.reshape(-1, len(truth))
                ]
            )
        )
    wrong = np.mean(answered != truth)
    assert westside.table("selective.csv").query("answered == 1")["value"].item() == pytest.approx(
        wrong
    )
    half = math.ceil(len(truth) / 2)
    risks = [
        np.mean(
            (run >= 0.5)[np.argsort(-np.maximum(run, 1 - run), kind="stable")[:half]]
            != truth[np.argsort(-np.maximum(run, 1 - run), kind="stable")[:half]]
        )
        for run in runs(westside)
    ]
    assert westside.table("selective.csv").query("answered == 0.5")[
        "value"
    ].item() == pytest.approx(np.mean(risks), abs=1e-6)


def test_calibration_is_scikit_learns(westside):
    truth = (westside.query["label"] == "PA").to_numpy(int)
    table = westside.table("calibration.csv")
    before = table[table["state"] == table["state"].iloc[0]].set_index("measure")["value"]
    assert before["brier"] == pytest.approx(
        np.mean([brier_score_loss(truth, run) for run in runs(westside)]), abs=1e-6
    )
    odds = [np.log(run / (1 - run)) for run in runs(westside)]
    slopes = [
        LogisticRegression(C=np.inf, tol=1e-8).fit(of[:, None], truth).coef_.item() for of in odds
    ]
    assert before["slope"] == pytest.approx(np.mean(slopes), abs=2e-3)


def test_a_subgroup_is_measured_on_its_own_images(westside):
    described = westside.query.merge(westside.evidence.cohort[["record", "sex"]], on="record")
    for group in ("F", "M"):
        own = (described["sex"] == group).to_numpy()
        found = westside.table("subgroups.csv").query("kind == 'sex' and group == @group").iloc[0]
        assert found["auroc"] == pytest.approx(
            np.mean(
                [roc_auc_score(described["label"][own] == "PA", run[own]) for run in runs(westside)]
            ),
            abs=1e-6,
        )
        assert (
            found["records"] == own.sum()
            and found["patients"] == described["patient"][own].nunique()
        )


def test_who_the_patients_are_is_counted_again(westside):
    cohort = westside.evidence.cohort
    table = westside.table("patients.csv").set_index(["group", "field", "value"])
    for split in ("pool", "query"):
        of_split = cohort[cohort["split"] == split]
        group = f"westside: {split}"
        assert (
            table.loc[(group, "sex", "F"), "patients"]
            == of_split.loc[of_split["sex"] == "F", "patient"].nunique()
        )
        assert table.loc[(group, "manufacturer", "Vendor A"), "images"] == len(of_split)
    ages = cohort.groupby("patient")["age"].first()
    measured = (
        westside.table("patients_measured.csv")
        .set_index(["group", "field"])
        .loc[("westside", "age")]
    )
    assert measured["median"] == np.median(ages) and measured["known"] == len(ages)

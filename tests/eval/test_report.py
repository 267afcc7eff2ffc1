"""A hospital's page: what it says, that it stands alone, and that nothing in it can run."""

import base64
import contextlib
import hashlib
import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from eval import report
from eval.evidence import read_evidence
from eval.page.render import render
from eval.page.section import all_sections
from eval.sections.verdict import section as verdict_section
from eval.settings import Accept
from workspace.errors import Refusal
from workspace.paths import Workspace

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>')


def write_page(workspace: Workspace, site: str = "westside", role: str = "target") -> str:
    with contextlib.chdir(workspace.root):
        report.main(site, role)
    return (workspace.report(site) / "index.html").read_text(encoding="utf-8")


def words(page: str) -> str:
    """The page's text with single spaces, style, script and figures left out."""
    page = re.sub(r"<(style|script|svg).*?</\1>", " ", page, flags=re.S)
    return re.sub(
        r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)).replace("\N{NO-BREAK SPACE}", " ")
    )


class Tags(HTMLParser):
    """Every start tag of a page with its attributes."""

    def __init__(self, page: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def assert_one_script_is_allowed(page: str) -> None:
    """The page has one script, and its policy allows that one by its hash and nothing else but
    inline style and pictures.
    """
    [script] = re.findall(r"<script>(.*?)</script>", page, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    [policy] = [
        given["content"]
        for tag, given in Tags(page).found
        if given.get("http-equiv") == "Content-Security-Policy"
    ]
    assert dict(rule.split(" ", 1) for rule in policy.split("; ")) == {
        "default-src": "'none'",
        "script-src": f"'sha256-{digest}'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert [tag for tag, _ in Tags(page).found].count("script") == 1


@pytest.fixture(scope="module")
def westside(make_workspace, hospital) -> Workspace:
    return make_workspace(
        {
            "westside": hospital(),
            "northgate": hospital(role="source", seed=5, methods=("prototypical",)),
        }
    )


@pytest.fixture(scope="module")
def page(westside: Workspace) -> str:
    return write_page(westside)


def verdict_words(workspace: Workspace, **values: float) -> str:
    """The verdict's text, had its row in performance.csv held other values."""
    evidence = read_evidence(workspace, "westside", "target")
    table = evidence.performance.copy()
    at = (table["method"] == "prototypical") & (table["k"] == 5) & (table["metric"] == "auroc")
    table.loc[at, list(values)] = list(values.values())
    return words(
        render("verdict.html.j2", shown=verdict_section(replace(evidence, performance=table)).shown)
    )


def test_a_page_stands_alone_and_runs_the_one_script_that_its_policy_allows(page):
    tags = Tags(page).found
    assert not [tag for tag, _ in tags if tag in ("link", "iframe", "object", "embed", "base")]
    assert all(
        value.startswith("data:image/png;base64,")
        for _, given in tags
        for key, value in given.items()
        if key == "src"
    )
    assert not [key for _, given in tags for key in given if key.startswith("on")]
    assert (
        "http://" not in page
        and "https://" not in page
        and "@import" not in page
        and "url(http" not in page
    )
    assert len(page.encode()) < 3_000_000
    assert_one_script_is_allowed(page)


def test_every_figure_and_picture_says_what_it_shows(page):
    tags = Tags(page).found
    assert all(given.get("aria-label") for tag, given in tags if tag == "svg")
    assert all(given.get("alt") for tag, given in tags if tag == "img")
    assert page.count("<svg") >= 2
    assert [tag for tag, _ in tags if tag == "h1"] == ["h1"]


def test_every_section_is_there_in_order_and_every_table_behind_one_is_linked(page, westside):
    anchors = list(all_sections())
    assert re.findall(r'<section id="(\w+)">', page) == [anchors[0], "review", *anchors[1:]]
    assert page.count("<h2>") == len(anchors) + 1
    written = {path.name for path in westside.report("westside").iterdir()}
    assert written == {"index.html", *re.findall(r'href="([\w.]+\.(?:csv|json))"', page)} and len(
        written
    ) > len(all_sections())


def test_no_number_is_missing_without_a_word(page):
    assert not re.search(r"\b(nan|None|inf|undefined)\b|<NA>", words(page))
    bodies = re.findall(r"<tbody>.*?</tbody>", page, re.S)
    assert bodies and not [
        cell
        for body in bodies
        for cell in re.findall(r"<td[^>]*>(.*?)</td>", body, re.S)
        if not cell.strip()
    ]


def test_the_same_inputs_give_the_same_bytes(westside, page):
    first = {path.name: path.read_bytes() for path in westside.report("westside").iterdir()}
    write_page(westside)
    assert {path.name: path.read_bytes() for path in westside.report("westside").iterdir()} == first


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (0.85, 0.93, "Yes: the target is met"),
        (0.70, 0.849, "No: the target is not met"),
        (0.80, 0.90, "Cannot tell yet"),
    ],
)
def test_the_verdict_compares_the_whole_patient_interval_with_the_target(westside, low, high, says):
    text = verdict_words(
        westside, value=0.84, patient_low=low, patient_high=high, draws_low=0.5, draws_high=1.0
    )
    assert says in text
    assert (
        f"has an AUROC of 0.840 at westside (95 % interval over patients {low:.3f} to {high:.3f};"
        in text
    )
    assert re.search(
        r"spread over which cases were labelled 0.500 to 1.000\), measured on 110 "
        r"patients \(\d+ images\)",
        text,
    )


def test_the_verdict_names_the_criteria_that_decide_it(westside):
    evidence = read_evidence(westside, "westside", "target")
    accept = Accept(auroc=0.5, shots=10, subgroup_gap=0.001)
    asked = replace(
        evidence,
        params=evidence.params.model_copy(
            update={"report": evidence.params.report.model_copy(update={"accept": accept})}
        ),
    )
    text = words(render("verdict.html.j2", shown=verdict_section(asked).shown))
    assert (
        "AUROC of subgroups at most 0.001 apart. Met : AUROC of at least 0.5; at most 10 labelled "
        "patients a class for it." in text
    )
    assert "Met :" not in words(render("verdict.html.j2", shown=verdict_section(evidence).shown))


def test_a_better_baseline_is_named(westside):
    text = verdict_words(westside, value=0.60, patient_low=0.55, patient_high=0.65)
    assert "Prototypical is not the best here: maml has" in text


def test_the_cohort_flow_gives_every_loss_with_its_reason_and_cure(page, westside):
    text, files = (
        words(page),
        json.loads((westside.studies("westside") / "summary.json").read_text())["files"],
    )
    assert (
        f"{files} files found" in text
        and "4 files left out: not images" in text
        and "12 files not used" in text
    )
    assert "4: a DICOM object without an image" in text
    assert "3: a file that ends early. To do: export the file again" in text
    assert (
        "Pictures of two patients: 1 pair of identical and 2 pairs of nearly identical ones. Their "
        "5 patients may be fewer people" in text
    )
    flow = pd.read_csv(westside.report("westside") / "cohort_flow.csv", keep_default_na=False)
    assert flow.loc[flow["step"] == "rejected", ["reason", "count"]].values.tolist() == [
        ["no_label", 7],
        ["truncated", 3],
        ["burned_in_annotation", 2],
    ]


def test_the_confusion_matrix_holds_every_query_image_once(westside, page):
    table = pd.read_csv(westside.report("westside") / "confusion.csv")
    truth = (
        read_evidence(westside, "westside", "target")
        .predictions.drop_duplicates("record")["label"]
        .value_counts()
    )
    assert table.groupby("true")["mean_count"].sum().to_dict() == pytest.approx(truth.to_dict())
    assert table.groupby("true")["row_share"].sum().tolist() == pytest.approx([1, 1])
    recall = pd.read_csv(westside.report("westside") / "recall.csv")
    performance = pd.read_csv(westside.report("westside") / "performance.csv").set_index(
        ["method", "k", "metric"]
    )
    assert recall["recall"].mean() == pytest.approx(
        performance.loc[("prototypical", 5, "balanced_accuracy"), "value"]
    )
    assert (recall["patient_low"] < recall["recall"]).all() and (
        recall["recall"] < recall["patient_high"]
    ).all()


def test_few_patients_one_draw_and_a_k_that_is_too_large_are_all_said(make_workspace, hospital):
    small = hospital(patients=(24, 7), shots=(1, 2), draws=1, methods=("majority", "prototypical"))
    text = words(write_page(make_workspace({"westside": small})))
    assert ", on only 16 patients" in text and "Only 16 query patients (fewer than 50)" in text
    assert "Class PA has 4 query patients (fewer than 10)" in text
    assert "One support draw only" in text and "95 % spread over draws not known" in text
    assert (
        "k = 5 was asked for, k = 2 is reported. Class PA has only 3 patients to draw from." in text
    )
    assert "k = 5 is not possible at this hospital: class PA has 3 patients to draw from." in text
    assert "There is no source model at k = 0: no source hospital has this task" in text
    assert not re.search(r"\bnan\b", text)


def test_three_classes_in_three_dimensions_at_a_source_site(make_workspace, hospital):
    site = hospital(
        role="source",
        classes=("a", "b", "c"),
        patients=(40, 40, 40),
        space=(6, 24, 24),
        draws=2,
        seeds=(0, 1),
        shots=(1, 5),
        methods=("maml", "prototypical", "source_only"),
    )
    text = words(write_page(make_workspace({"northgate": site}), "northgate", "source"))
    assert "AUROC of each class against the rest" in text and "Middle slices of volumes." in text
    assert "an internal reference, no evidence for a new hospital" in text
    assert "mean image counts over 2 draws and 2 training seeds" in text


def test_hostile_class_names_and_header_fields_stay_text(make_workspace, hospital):
    site = hospital(
        classes=(*HOSTILE, r"$\frac{1$"),
        patients=(40, 40, 40),
        manufacturer="<svg onload=alert(1)>",
        draws=2,
        shots=(1, 5),
        methods=("majority", "prototypical"),
        rejects={"<b>odd</b>": (1, "<a href=javascript:alert(1)>mend</a>")},
    )
    page = write_page(make_workspace({"westside": site}))
    tags = Tags(page).found
    assert not [given for _, given in tags if "onerror" in given or "onload" in given]
    assert_one_script_is_allowed(page)
    assert not [
        given
        for tag, given in tags
        if tag == "a" and (given.get("href") or "").startswith("javascript")
    ]
    text = words(page)
    assert all(
        name in text for name in (*HOSTILE, "<svg onload=alert(1)>", "<b>odd</b>", r"$\frac{1$")
    )


def test_missing_inputs_are_refused_all_at_once(make_workspace, hospital):
    workspace = make_workspace(
        {"westside": hospital(patients=(20, 20), draws=2, methods=("prototypical",))}
    )
    (workspace.results("target", "westside") / "performance.csv").unlink()
    (workspace.studies("westside") / "summary.json").unlink()
    with pytest.raises(
        Refusal, match="need what stage convert@westside writes; do dvc repro convert@westside"
    ) as refusal:
        write_page(workspace)
    assert "results/target/westside/performance.csv" in str(
        refusal.value
    ) and "dvc repro adapt@westside" in str(refusal.value)
    assert not workspace.report("westside").exists()


@pytest.mark.parametrize(
    "where",
    [
        "results/target/westside/provenance.json",
        "results/target/westside/held_out.parquet",
        "results/target/westside/embeddings.npy",
        "data/tasks/target/westside/task.json",
        "data/studies/westside/rejects.csv",
    ],
)
def test_a_file_that_is_cut_short_is_refused_by_name(make_workspace, hospital, where):
    workspace = make_workspace(
        {"westside": hospital(patients=(20, 20), draws=2, methods=("prototypical",))}
    )
    file = workspace.root / where
    file.write_bytes(b"" if file.suffix == ".csv" else file.read_bytes()[:-9])
    with pytest.raises(
        Refusal,
        match=f"{where}: found a file that is cut short or broken; need what stage "
        f".*@westside writes; do dvc repro -f",
    ):
        write_page(workspace)
    assert not workspace.report("westside").exists()


def test_features_that_are_no_numbers_are_refused(make_workspace, hospital):
    workspace = make_workspace(
        {"westside": hospital(patients=(20, 20), draws=2, methods=("prototypical",))}
    )
    file = workspace.results("target", "westside") / "embeddings.npy"
    np.save(file, np.full_like(np.load(file), np.inf))
    with pytest.raises(
        Refusal, match="embeddings.npy: found a feature that is no number; need finite features"
    ):
        write_page(workspace)


def test_a_method_that_is_as_good_as_the_next_is_not_called_worse(westside):
    evidence = read_evidence(westside, "westside", "target")
    table = evidence.performance.copy()
    at = (table["k"] == 5) & (table["metric"] == "auroc")
    table.loc[at, "value"] = 0.9
    assert "No other method does better at the same k" in words(
        render("verdict.html.j2", shown=verdict_section(replace(evidence, performance=table)).shown)
    )


def test_a_verdict_method_without_results_is_refused(westside, make_workspace, hospital):
    workspace = make_workspace(
        {"westside": hospital(patients=(20, 20), draws=2, methods=("majority",))}
    )
    with pytest.raises(
        Refusal,
        match="results of westside: found no answers of prototypical, which "
        "params.yaml report.method names; need its answers; there are those of majority; "
        "do dvc repro adapt@westside",
    ):
        write_page(workspace)


def test_no_patient_hash_is_printed(page, westside):
    patients = set(pd.read_parquet(westside.studies("westside") / "records.parquet")["patient"])
    texts = [page, *(path.read_text() for path in westside.report("westside").glob("*.csv"))]
    assert not [patient for patient in patients for text in texts if patient in text]


def test_provenance_names_the_training_hospitals_and_hashes(page):
    assert "northgate: 412 patients, 601 images; southgate: 233 patients, 240 images" in words(page)
    assert "5b" * 32 in page and "seed 0: step 600" in words(page)


def test_a_verdict_on_the_source_model_speaks_of_no_labelled_case(make_workspace, hospital):
    few = hospital(patients=(60, 60), draws=2, methods=("prototypical", "source_only"))
    workspace = make_workspace({"westside": few}, method="source_only")
    text = words(write_page(workspace))
    assert (
        "Given no labelled case, source only has an AUROC of" in text
        and "no labelled cases, so no spread over them" in text
    )
    assert (
        "One support draw only" not in text
        and "None: at k = 0 the model is used without labelled cases." in text
    )

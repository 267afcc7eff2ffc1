import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.episodes.draw import draw_episodes, drop_small_classes, site_pools
from data_prep.episodes.images import Images
from data_prep.episodes.meta_split import (
    COLUMNS,
    MetaSplit,
    SourceSite,
    read_meta_split,
    write_meta_split,
)
from data_prep.settings import Tasks
from data_prep.split import gather
from data_prep.store.groups import group_of
from data_prep.tasks import make_tasks, split_records
from models.settings import Episodic
from workspace.errors import Refusal
from workspace.paths import Workspace

CHOSEN = Tasks(shots=[0, 1, 2], draws=4, min_query=1)


def table(
    patients: list[int], studies: list[int], pixels: list[int], labels: list[int], prefix: str = ""
) -> pd.DataFrame:
    rows = range(len(patients))
    return pd.DataFrame(
        {
            "record": [f"{prefix}r{i:04}" for i in rows],
            "patient": [f"{prefix}p{x}" for x in patients],
            "study": [f"{prefix}s{x}" for x in studies],
            "series": [f"{prefix}e{i}" for i in rows],
            "pixel_hash": [f"h{x}" for x in pixels],
            "perceptual_hash": "",
            "label": ["ab"[x] for x in labels],
        }
    )


def cohort(count: int = 40, prefix: str = "") -> pd.DataFrame:
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(count), 2)
    return table(
        list(patients),
        list(patients),
        list(range(2 * count)),
        list(rng.permutation(patients % 2 == 0) * 1),
        prefix,
    )


RECORDS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 30), st.integers(0, 40), st.integers(0, 1)),
    min_size=1,
    max_size=40,
)


@given(rows=RECORDS, role=st.sampled_from(["source", "target"]))
@settings(max_examples=200, deadline=None)
def test_no_patient_study_or_picture_stands_on_two_sides_whatever_the_cohort(rows, role):
    split = split_records(table(*map(list, zip(*rows, strict=True))), role, CHOSEN)
    records = table(*map(list, zip(*rows, strict=True)))
    for tie in ("patient", "study", "pixel_hash"):
        assert split["split"].groupby(records[tie]).nunique().max() == 1


@given(rows=RECORDS, seed=st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_supports_and_query_share_nothing_and_no_draw_counts_a_patient_twice(rows, seed):
    records = table(*map(list, zip(*rows, strict=True)))
    try:
        made = make_tasks("s", "target", "t", ["a", "b"], records, CHOSEN, seed)
    except Refusal:
        return
    known = records.set_index("record")
    query = made.splits.loc[made.splits["split"] == "query", "record"]
    for tie in ("patient", "study", "pixel_hash"):
        assert not set(known.loc[made.draws["record"], tie]) & set(known.loc[query, tie])
    drawn = made.draws.assign(patient=known.loc[made.draws["record"], "patient"].to_numpy())
    assert not drawn.duplicated(["draw", "label", "patient"]).any()


@given(rows=RECORDS, extra=RECORDS)
@settings(max_examples=100, deadline=None)
def test_adding_patients_moves_nobody(rows, extra):
    before = table(*map(list, zip(*rows, strict=True)))
    after = pd.concat(
        [
            before,
            table(*map(list, zip(*extra, strict=True)), prefix="new").assign(
                pixel_hash=[f"new{i}" for i in range(len(extra))]
            ),
        ],
        ignore_index=True,
    )
    sides = split_records(after, "target", CHOSEN).set_index("record")["split"]
    assert (
        sides[before["record"]].to_numpy()
        == split_records(before, "target", CHOSEN)["split"].to_numpy()
    ).all()


def test_a_group_joins_patients_that_share_pixels_and_leaves_the_others_apart():
    records = table([1, 2, 2, 3], [1, 2, 3, 4], [7, 7, 8, 9], [0, 0, 0, 1])
    assert group_of(records).tolist() == ["p1", "p1", "p1", "p3"]


def test_missing_study_numbers_tie_nobody():
    records = table([1, 2], [1, 2], [1, 2], [0, 1]).assign(study=pd.NA, series=pd.NA)
    assert group_of(records).tolist() == ["p1", "p2"]


def test_the_shares_are_near_those_asked_for():
    split = split_records(cohort(2000), "source", CHOSEN)
    share = split.groupby("split")["group"].nunique() / 2000
    assert share["query"] == pytest.approx(0.25, abs=0.03)
    assert share["validation"] == pytest.approx(0.25, abs=0.03)


def test_the_supports_of_a_draw_are_nested_in_k_and_draws_differ():
    made = make_tasks("s", "target", "t", ["a", "b"], cohort(), CHOSEN, 0)
    draws = made.draws.set_index(["draw", "label", "position"])["record"]
    assert draws.index.is_unique
    assert sorted(made.draws["position"].unique()) == [0, 1]
    assert made.draws.groupby("draw")["record"].agg(tuple).nunique() == CHOSEN.draws


def test_another_seed_draws_other_supports_from_the_same_split():
    first, second = (
        make_tasks("s", "target", "t", ["a", "b"], cohort(), CHOSEN, seed) for seed in (0, 1)
    )
    pd.testing.assert_frame_equal(first.splits, second.splits)
    assert not first.draws.equals(second.draws)


def test_too_few_patients_are_refused_with_class_and_site_all_at_once():
    records = table([1, 2, 3], [1, 2, 3], [1, 2, 3], [0, 0, 0])
    with pytest.raises(Refusal) as refused:
        make_tasks("westside", "target", "t", ["a", "b"], records, CHOSEN, 0)
    lines = str(refused.value).splitlines()
    assert any(
        line.startswith(
            "site westside, class b: found 0 patients for pool; need 1 at least; do add studies of b"
        )
        for line in lines
    )
    assert any("class b: found 0 patients for query" in line for line in lines)


def test_a_k_beyond_the_pool_is_left_out_and_named():
    made = make_tasks(
        "s",
        "target",
        "t",
        ["a", "b"],
        cohort(20),
        Tasks(shots=[0, 1, 500], draws=2, min_query=1),
        0,
    )
    assert made.summary["shots"] == [0, 1]
    assert {(gap["k"], gap["class"]) for gap in made.summary["infeasible"]} == {
        (500, "a"),
        (500, "b"),
    }


def test_what_trains_is_tied_to_no_source_query_set():
    north = split_records(cohort(prefix="n"), "source", CHOSEN)
    east = split_records(cohort(prefix="e"), "source", CHOSEN)
    shared = north.loc[north["split"] == "query", "pixel_hash"].iloc[0]
    at = east.index[east["split"] == "train"][0]
    east.loc[at, "pixel_hash"] = shared
    about = {"task": "t", "classes": ["a", "b"], "secret": "s"}
    meta = gather({"north": north, "east": east}, {"north": about, "east": about})
    query = pd.concat([north, east]).query("split == 'query'")
    for site in meta.sites.values():
        assert not set(site.records["pixel_hash"]) & set(query["pixel_hash"])
        assert not set(site.records["patient"]) & set(query["patient"])
    assert east.loc[at, "record"] not in set(meta.sites["east"].records["record"])
    assert meta.tasks == {"t": ["a", "b"]}


def test_what_trains_is_tied_to_no_validation_set_of_another_source():
    north = split_records(cohort(prefix="n"), "source", CHOSEN)
    east = split_records(cohort(prefix="e"), "source", CHOSEN)
    about = {"task": "t", "classes": ["a", "b"], "secret": "s"}
    gathered = gather({"north": north, "east": east}, {"north": about, "east": about}).sites
    held = gathered["north"].records.query("split == 'validation'").iloc[0]
    at = gathered["east"].records.query("split == 'train'").index[0]
    east.loc[at, "pixel_hash"] = held["pixel_hash"]
    meta = gather({"north": north, "east": east}, {"north": about, "east": about})
    assert east.loc[at, "record"] not in set(meta.sites["east"].records["record"])
    assert held["record"] in set(meta.sites["north"].records["record"])


def test_who_is_tied_to_a_patient_asked_at_another_site_does_not_train_there():
    north = split_records(cohort(prefix="n"), "source", CHOSEN)
    records = cohort(prefix="e")
    records["pixel_hash"] = "e" + records["pixel_hash"]
    asked = north.loc[north["split"] == "query", "patient"].iloc[0]
    alone = split_records(records, "source", CHOSEN)
    first, second = alone.loc[alone["split"] == "train", "patient"].unique()[:2]
    records.loc[records["patient"] == first, "patient"] = (
        asked  # the namespace of both sites is one
    )
    at = [records.index[records["patient"] == patient][0] for patient in (asked, second)]
    records.loc[at, "pixel_hash"] = "same"  # one of his pictures is also under another number
    east = split_records(records, "source", CHOSEN).assign(split="train")
    about = {"task": "t", "classes": ["a", "b"], "secret": "s"}
    kept = (
        gather({"north": north, "east": east}, {"north": about, "east": about})
        .sites["east"]
        .records
    )
    assert not {asked, second} & set(kept["patient"]) and len(kept) == len(east) - 4


@pytest.mark.parametrize("tie", ["study", "series"])
def test_a_person_with_two_keys_who_is_asked_at_one_site_does_not_train_at_another_with_the_same_study_or_series(
    tie,
):
    north, east = (split_records(cohort(prefix=prefix), "source", CHOSEN) for prefix in "ne")
    east["pixel_hash"] = "e" + east["pixel_hash"]
    at = east.index[east["split"] == "train"][0]
    east.loc[at, tie] = north.loc[north["split"] == "query", tie].iloc[0]
    about = {"task": "t", "classes": ["a", "b"], "secret": "s"}
    site = gather({"north": north, "east": east}, {"north": about, "east": about}).sites["east"]
    assert (
        east.loc[at, "patient"] not in set(site.records["patient"])
        and tuple(site.records) == COLUMNS
    )


def test_sources_under_two_secrets_are_refused():
    sites = {name: split_records(cohort(prefix=name), "source", CHOSEN) for name in ("n", "e")}
    about = {"task": "t", "classes": ["a", "b"]}
    with pytest.raises(Refusal, match="found keys made under 2 secrets; need one secret"):
        gather(sites, {"n": {**about, "secret": "1"}, "e": {**about, "secret": "2"}})


@given(rows=RECORDS, seed=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_no_episode_has_a_patient_on_both_sides_whatever_classes_and_sites_he_has(rows, seed):
    half = len(rows) // 2
    tables = {}
    for site, part in (("n", rows[:half]), ("e", rows[half:])):
        if part:  # the same patient numbers at both sites
            records = table(*map(list, zip(*part, strict=True))).assign(
                row=range(len(part)), split="train"
            )
            tables[site] = SourceSite("t", ("a", "b"), records.assign(group=group_of(records)))
    meta = MetaSplit(tables, "s")
    sizes = [len(site.records) for site in tables.values()]
    starts = dict(zip(tables, np.cumsum([0, *sizes]).tolist(), strict=False))
    groups = pd.concat([site.records["group"] for site in tables.values()], ignore_index=True)
    pools, _ = drop_small_classes(
        site_pools(
            meta, Images(torch.zeros(len(groups), 1, 1, 1, dtype=torch.uint8), starts), "train"
        ),
        1,
    )
    if not pools:
        return
    for index in range(5):
        drawn = draw_episodes(
            pools, (seed, 0), index, Episodic(way=2, shot=1, query=3), tasks=2, cross_site=0.5
        )
        for support, query in zip(drawn.support, drawn.query, strict=True):
            assert not set(groups[support.ravel()]) & set(groups[query.ravel()])


def test_a_split_comes_back_as_it_was_written_whatever_the_order_of_its_sites(tmp_path):
    def records(site: str, number: int) -> pd.DataFrame:
        table = pd.DataFrame(
            {name: [f"{site}{name}{at}" for at in range(number)] for name in COLUMNS}
        )
        return table.assign(row=range(number))

    sites = {
        "west": SourceSite("chest", ("a", "b"), records("west", 3), {"tied_to_query": 1}),
        "east": SourceSite("cells", ("p",), records("east", 2)),
    }
    write_meta_split(MetaSplit(sites, "mark"), Workspace(tmp_path))
    again = read_meta_split(Workspace(tmp_path))
    assert again.secret == "mark"
    for name, site in sites.items():
        assert (again.sites[name].task, again.sites[name].classes, again.sites[name].left_out) == (
            site.task,
            site.classes,
            site.left_out,
        )
        pd.testing.assert_frame_equal(again.sites[name].records, site.records, check_dtype=False)

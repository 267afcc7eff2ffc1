import pytest

from data_prep.site_file import load_site, load_site_file, resolve_root
from eval.all_settings import check_settings
from models.build import learner_settings
from workspace.errors import Refusal
from workspace.paths import Workspace

GOOD = """
sites: {north: source}
convert: {size: [64, 64]}
train: {learners: [supervised, maml]}
adapt: {methods: [majority, maml, fine_tuning]}
report: {method: maml}
"""
SITE = """
root: $FEWSITE_TEST_ROOT
task: view
labels: {file: labels.csv, match: file, class: view}
classes: {AP: [AP, ap supine], PA: [PA]}
"""


def refusal_of(tmp_path, text: str) -> list[str]:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(Refusal) as refused:
        check_settings(Workspace(tmp_path))
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in refused.value.problems]


def test_what_is_not_written_has_its_default(tmp_path):
    (tmp_path / "params.yaml").write_text(GOOD)
    params = check_settings(Workspace(tmp_path))
    assert params.tasks.shots == [0, 1, 2, 5, 10]
    assert learner_settings(Workspace(tmp_path), params, "maml").inner_steps > 0


def test_an_unknown_setting_is_refused_with_the_nearest_known_one(tmp_path):
    assert refusal_of(tmp_path, GOOD + "tasks: {drawz: 3}\n") == [
        "params.yaml tasks.drawz: found an unknown setting; need one of shots, draws, pool, source_validation, source_query, salt, min_query; "
        "do write draws"
    ]


def test_all_problems_come_at_once(tmp_path):
    lines = refusal_of(
        tmp_path, GOOD.replace("[64, 64]", "[4, 4]") + "sead: 1\ntasks: {draws: 0}\n"
    )
    assert {line.split(":")[0] for line in lines} == {
        "params.yaml convert.size.0",
        "params.yaml convert.size.1",
        "params.yaml tasks.draws",
        "params.yaml sead",
    }


@pytest.mark.parametrize(
    ("change", "stated"),
    [
        (
            ("[supervised, maml]", "[maml]"),
            "train.learners: found baselines in adapt.methods without their source model; need supervised",
        ),
        (
            ("[majority, maml, fine_tuning]", "[majority]"),
            "report.method: found 'maml'; need one of adapt.methods: majority",
        ),
        (
            ("[supervised, maml]", "[supervised, maml, mamle]"),
            "train.learners: found 'mamle'; need one of key_value, maml, mann",
        ),
        (("sites:", "tasks: {shots: [0]}\nsites:"), "tasks.shots: found no k above 0"),
        (
            ("sites:", "tasks: {shots: [0, 1]}\nsites:"),
            "report.shots: found 5; need one of tasks.shots: 0, 1",
        ),
        (("sites:", "encoder: {norm: batch}\nsites:"), "learners.maml.encoder.norm: found 'batch'"),
        (
            ("north: source", "north: sauce"),
            "sites.north: found 'sauce'; need 'source' or 'target'",
        ),
        (("north: source", "007: source"), "sites.7"),
        (
            ("[64, 64]", "[64, 64], intensity: {CT: {percentiles: [99, 1]}}"),
            "convert.intensity.CT.percentiles: found [99, 1]; need the lower value first",
        ),
        (
            ("[64, 64]", "[64, 64], intensity: {MR: {}}"),
            "convert.intensity.MR: found {}; need one of window, percentiles and zscore",
        ),
        (
            ("[64, 64]", "[64, 64], intensity: {MR: {zscore: 3, window: [0, 9]}}"),
            "need one of window, percentiles and zscore",
        ),
        (
            ("[64, 64]", "[64, 64], intensity: {MR: {window: [0, 9], n4: true}}"),
            "need n4 with percentiles or zscore, since it changes",
        ),
        (
            ("sites:", "augment: {stain: 0.2}\nsites:"),
            "augment.stain: found 0.2 with convert.channels 1; need 3 channels",
        ),
        (
            ("[64, 64]", "[64, 64], intensity: {default: {zscore: 3, n4: true}}"),
            "convert.intensity: found n4 for default; need n4 for MR alone",
        ),
        (
            ("[64, 64]", "[64, 64], window: {CT: [0, 9]}"),
            "convert.window: found an unknown setting; need one of size, spacing",
        ),
        (
            ("[64, 64]", "[64, 64], spacing: [1, 1, 1]"),
            "convert.spacing: found a spacing of volumes beside the size of images",
        ),
        (("[64, 64]", "[64, 64, 64], spacing: [1, 1]"), "convert.spacing: found [1, 1]"),
        (("[64, 64]", "[64, 64, 64], spacing: [1, 1, 0]"), "convert.spacing.2: found 0"),
        (
            ("[supervised, maml]", "[supervised, maml, maml]"),
            "train.learners: found ['supervised', 'maml', 'maml']; need each value once",
        ),
        (("sites:", "seed: -1\nsites:"), "seed: found -1"),
        (("sites:", "encoder: {width: 20}\nsites:"), "encoder.width: found 20; need"),
        (
            ("sites:", "encoder: {weights: imagnet}\nsites:"),
            "encoder.weights: found 'imagnet'; need imagenet, pretrained, or a file that ends in",
        ),
        (
            ("sites:", "encoder: {weights: imagenet}\nsites:"),
            "need name efficientnet-lite0 for weights imagenet",
        ),
        (
            ("sites:", "encoder: {weights: w.pt}\nsites:"),
            "need sha256 (printed by sha256sum) where weights names a file, and nowhere else",
        ),
        (
            ("sites:", "encoder: {frozen: 2}\nsites:"),
            "need weights, before anything is frozen or partial",
        ),
        (
            ("sites:", "encoder: {weights: pretrained, frozen: 2}\nsites:"),
            "learners.maml.encoder.frozen: found 2; need 0",
        ),
        (
            ("sites:", "encoder: {weights: pretrained}\nsites:"),
            "encoder.weights: found pretrained, and pretrain.method none; need supervised or simsiam",
        ),
        (
            ("sites:", "pretrain: {method: simsiam, encoder: {weights: pretrained}}\nsites:"),
            "pretrain.encoder: found weights pretrained or frozen all",
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(tmp_path, change, stated):
    assert any(stated in line for line in refusal_of(tmp_path, GOOD.replace(*change)))


def test_a_modality_that_is_not_written_keeps_its_usual_intensity(tmp_path):
    (tmp_path / "params.yaml").write_text(
        GOOD.replace("[64, 64]", "[64, 64], intensity: {MR: {zscore: 3}}")
    )
    convert = check_settings(Workspace(tmp_path)).convert
    assert convert.intensity_of("MR").zscore == 3 and convert.intensity_of("CT").window == (
        -1000,
        400,
    )
    assert convert.intensity_of("US").percentiles == (0.5, 99.5)


def test_text_that_is_not_yaml_is_refused_by_line(tmp_path):
    assert (
        "line 2: found text that is not YAML"
        in refusal_of(tmp_path, "sites: {a: source}\n  convert: [")[0]
    )


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(Refusal, match="params.yaml: found no such file; need a YAML file"):
        check_settings(Workspace(tmp_path))


def test_a_site_maps_its_values_to_canonical_classes(tmp_path):
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "west.yaml").write_text(SITE)
    site = load_site(Workspace(tmp_path), "west")
    assert [site.class_of(value) for value in ("ap supine", "PA", "lateral")] == ["AP", "PA", None]


@pytest.mark.parametrize(
    "classes", ["{AP: [AP]}", "{AP: [AP], PA: [AP]}", "{AP: [AP], PA: [PA]}\nignore: [PA]"]
)
def test_a_value_with_two_meanings_or_a_single_class_is_refused(tmp_path, classes):
    (tmp_path / "west.yaml").write_text(SITE.replace("{AP: [AP, ap supine], PA: [PA]}", classes))
    with pytest.raises(Refusal, match="need two classes at least, and each value in one place"):
        load_site_file(tmp_path / "west.yaml")


@pytest.mark.parametrize(
    ("rule", "stated"),
    [
        (
            "keep: [0, 0, 0, 5]",
            r"crop.0.keep: found \[0, 0, 0, 5\]; need \[top, left, rows, columns\] in pixels, or regions",
        ),
        ("keep: [-1, 0, 5, 5]", r"need \[top, left, rows, columns\]"),
        ("keep: [0, 0, 5]", r"need \[top, left, rows, columns\]"),
        ("keep: region", r"crop.0.keep: found 'region'; need \[top, left, rows, columns\]"),
        ("modality: US", r"crop.0.keep: found nothing"),
        ("rows: 480, keep: [40, 0, 441, 640]", "need keep within rows and columns"),
        ("columns: 640, keep: [0, 1, 9, 640]", "within rows and"),
        (
            "keeps: regions, keep: regions",
            "crop.0.keeps: found an unknown setting; need one of .*; do write keep",
        ),
    ],
)
def test_a_crop_rule_that_cannot_be_right_is_refused(tmp_path, rule, stated):
    (tmp_path / "west.yaml").write_text(f"{SITE}crop: [{{{rule}}}]\n")
    with pytest.raises(Refusal, match=stated):
        load_site_file(tmp_path / "west.yaml")


def test_a_site_file_with_a_name_that_dvc_would_change_is_refused(tmp_path):
    (tmp_path / "007.yaml").write_text(SITE)
    with pytest.raises(Refusal, match="found a name that is no site name"):
        load_site_file(tmp_path / "007.yaml")


def test_a_root_fills_in_the_environment_and_names_what_is_unset(tmp_path, monkeypatch):
    (tmp_path / "west.yaml").write_text(SITE)
    site = load_site_file(tmp_path / "west.yaml")
    monkeypatch.delenv("FEWSITE_TEST_ROOT", raising=False)
    with pytest.raises(Refusal, match=r"root: found \$FEWSITE_TEST_ROOT, which is not set"):
        resolve_root("west.yaml", site)
    monkeypatch.setenv("FEWSITE_TEST_ROOT", str(tmp_path / "nowhere"))
    with pytest.raises(Refusal, match="found nothing at"):
        resolve_root("west.yaml", site)
    monkeypatch.setenv("FEWSITE_TEST_ROOT", str(tmp_path))
    assert resolve_root("west.yaml", site) == tmp_path.resolve()


@pytest.mark.parametrize("name", ["DICOMDIR", "dicomdir"])
def test_a_dicomdir_stands_for_its_folder_so_that_dvc_watches_the_images_too(
    tmp_path, monkeypatch, name
):
    (tmp_path / "west.yaml").write_text(SITE)
    (tmp_path / "disc").mkdir()
    (tmp_path / "disc" / name).touch()
    monkeypatch.setenv("FEWSITE_TEST_ROOT", str(tmp_path / "disc" / name))
    assert (
        resolve_root("west.yaml", load_site_file(tmp_path / "west.yaml"))
        == (tmp_path / "disc").resolve()
    )

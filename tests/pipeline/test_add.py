"""Adding, linking, removing and locating, on a folder of small pictures."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.convert import convert
from eval.settings import load_params
from pipeline.check import check_site
from pipeline.init import init_workspace
from pipeline.locate import show_file
from pipeline.sites.add import add_site
from pipeline.sites.link import link_sites
from pipeline.sites.remove import remove_site
from workspace.errors import Refusal
from workspace.paths import Workspace

SITE = """root: {root}
task: cells
labels: {{file: labels.csv, match: file, class: kind, patient: who}}
classes: {{round: [r], long: [l]}}
"""


@pytest.fixture
def export(tmp_path) -> Path:
    folder = tmp_path / "ZZPHI export"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = ["file,kind,who"]
    for at in range(80):
        Image.fromarray(rng.integers(0, 255, (24, 24), np.uint8)).save(folder / f"ZZPHI_{at}.png")
        rows.append(f"ZZPHI_{at}.png,{'rl'[at % 2]},ZZPHI{at}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("init") / "study"
    init_workspace(Workspace(folder))
    return folder


@pytest.fixture
def workspace(fresh, tmp_path, monkeypatch, export) -> Workspace:
    folder = fresh.parent / tmp_path.name  # beside it, so that the relative link to dvc.yaml holds
    shutil.copytree(fresh, folder, symlinks=True)
    monkeypatch.chdir(folder)
    here = Workspace()
    here.site_file("west").write_text(SITE.format(root=export))
    return here


def files_of(workspace: Workspace) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in sorted(workspace.root.rglob("*"))
        if path.is_file() and ".dvc" not in path.parts
    }


def add(workspace: Workspace, role: str = "target", check: bool = False) -> None:
    add_site(workspace, workspace.site_file("west"), role, check)


def test_a_new_workspace_links_the_one_dvc_yaml_and_has_no_sites(workspace):
    assert workspace.dvc_file.resolve() == Path(__file__).parents[2] / "dvc.yaml"
    params = load_params(workspace)
    assert params.sites == {} and params.phantom.hospitals == {}


def test_a_new_workspace_has_a_private_folder_and_sends_no_statistics(tmp_path, monkeypatch):
    environments = []
    run = subprocess.run
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda command, **options: (
            environments.append(options.get("env")) or run(command, **options)
        ),
    )
    init_workspace(Workspace(tmp_path / "study"))
    assert (tmp_path / "study" / ".fewsite").stat().st_mode & 0o777 == 0o700
    assert (
        environments[-1]["DVC_NO_ANALYTICS"] == "1"
    )  # DVC's config is not written yet when it starts


def test_a_folder_with_anything_in_it_is_no_new_workspace(workspace):
    with pytest.raises(
        Refusal, match="found a place that is not empty; need a new or empty folder"
    ):
        init_workspace(Workspace(Path.cwd()))


def test_a_check_prints_counts_and_the_largest_k_and_writes_nothing(workspace, capsys):
    before = files_of(workspace)
    add(workspace, check=True)
    printed = capsys.readouterr().out
    assert "80 records of 80 patients" in printed and "40 records,    40 patients: round" in printed
    assert (
        "k can be up to" in printed
        and "fewsite add sites/west.yaml" in printed
        and "ZZPHI" not in printed
    )
    assert files_of(workspace) == before


def test_adding_registers_and_links_and_adding_twice_changes_nothing(workspace, export, capsys):
    add(workspace)
    assert load_params(workspace).sites == {"west": "target"}
    assert workspace.incoming("west").resolve() == export
    assert "# every setting" in workspace.params_file.read_text().lower(), "comments are kept"
    after = files_of(workspace)
    add(workspace)
    assert files_of(workspace) == after
    assert "registered as target already" in capsys.readouterr().out


def test_another_role_is_refused_until_the_site_was_removed(workspace):
    add(workspace)
    with pytest.raises(
        Refusal,
        match="params.yaml sites.west: found 'target'; need no such site, or 'source'; do fewsite remove west",
    ):
        add(workspace, role="source")
    remove_site(workspace, "west")
    assert load_params(workspace).sites == {} and not workspace.incoming("west").exists()
    add(workspace, role="source")
    assert load_params(workspace).sites == {"west": "source"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("root: /", "root: /nowhere/"),
            r"root: found nothing at /nowhere/.*; need a folder, a zip",
        ),
        (
            ("round: [r]", "round: [q]"),
            r"found 40 values of kind under neither classes nor ignore \(lines 2, 4",
        ),
        (
            ("class: kind", "class: kin"),
            r"labels.csv header: found 3 columns, among them file, who; need a column kin",
        ),
        (
            ("match: file", "mach: file"),
            r"sites/west.yaml labels.mach: found an unknown setting; need one of .*; do write match",
        ),
        (("labels.csv", "label.csv"), r"found nothing|found no"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line_and_nothing_is_written(
    workspace, export, change, message
):
    file = workspace.site_file("west")
    file.write_text(file.read_text().replace(*change))
    before = files_of(workspace)
    with pytest.raises(Refusal, match=message) as refused:
        add(workspace, check=True)
    assert "ZZPHI" not in str(refused.value).replace(export.name, "")
    assert files_of(workspace) == before


def test_a_check_accounts_for_every_file_and_shows_hashes_that_locate_resolves(
    workspace, export, capsys
):
    (export / "ZZPHI_0.png").write_bytes(b"")
    (export / "ZZPHI_1.png").write_bytes(
        (export / "ZZPHI_1.png").read_bytes()[:-40]
    )  # only decoding tells
    (export / "labels.csv").write_text(
        (export / "labels.csv").read_text() + "\nZZPHI_99.png,r,ZZPHI99"
    )
    check_site(workspace, "west")
    printed = capsys.readouterr().out
    assert (
        "west: 81 files = 78 used + 2 rejected + 1 no images" in printed
        and "78 were decoded" in printed
        and "ZZPHI" not in printed
    )
    assert "labels: 81 rows, 79 matched an image and 2 none; 0 images have no row" in printed
    assert "     1 no_image (line 82): no image that could be used; do send the image" in printed
    assert (
        "     1 file_rejected (line 2): no image but a file that is not used; do look for its reason in rejects.csv"
        in printed
    )
    assert (
        "39 records,    39 patients: long" in printed and "as a target, k can be up to" in printed
    )
    assert re.search(
        r" 1 empty_file: an empty file or archive; do send the file again\n +such as [0-9a-f]{20}\n",
        printed,
    )
    file_hash = re.search(r"truncated: .*\n +such as ([0-9a-f]{20})", printed)[1]
    show_file(workspace, "west", file_hash)  # though the site was not added
    assert capsys.readouterr().out.strip() == "ZZPHI_1.png"


def test_a_check_counts_the_pictures_that_two_patients_share(workspace, export, capsys):
    with Image.open(export / "ZZPHI_2.png") as picture:
        picture.save(export / "ZZPHI_4.png")
        picture.point(lambda value: value * 0.9).save(export / "ZZPHI_6.png")
    check_site(workspace, "west")
    assert (
        "pictures of two patients: 1 pairs of identical and 2 of nearly identical ones, tying 3 patients"
        in capsys.readouterr().out
    )


def test_a_check_writes_nothing_but_the_secret_that_its_hashes_are_made_with(workspace):
    before = files_of(workspace)
    check_site(workspace, "west")
    assert files_of(workspace).keys() - before.keys() == {".fewsite/secret"}
    assert not workspace.studies("west").exists() and load_params(workspace).sites == {}


def test_a_check_and_a_conversion_count_the_same(workspace, export, capsys):
    (export / "ZZPHI_7.png").write_bytes((export / "ZZPHI_7.png").read_bytes()[:-40])
    add(workspace)
    convert(workspace, "west")
    capsys.readouterr()
    check_site(workspace, "west")
    summary = json.loads((workspace.studies("west") / "summary.json").read_text())
    assert (
        f"{summary['files']} files = {summary['used']} used + {summary['rejected']} rejected + "
        f"{summary['not_images']} no images"
    ) in capsys.readouterr().out


@pytest.mark.parametrize("check", [True, False])
def test_a_lost_secret_is_refused_before_anything_is_written(workspace, check):
    add(workspace)
    convert(workspace, "west")
    workspace.secret_file.unlink()
    before = files_of(workspace)
    for again in (
        lambda: add(workspace, check=check),
        lambda: convert(workspace, "west"),
        lambda: check_site(workspace, "west"),
    ):
        with pytest.raises(
            Refusal, match="fewsite/secret: found none, though data/ holds keys made under one"
        ):
            again()
    assert files_of(workspace) == before


def test_a_check_prints_its_table_before_it_refuses_what_convert_would_refuse(
    workspace, export, capsys
):
    for at in range(20):
        (export / f"ZZPHI_{at}.png").write_bytes(b"")
    with pytest.raises(
        Refusal,
        match=r"incoming/west: found 20 of 80 image files rejected \(empty_file 20\); need at most 5.0%",
    ):
        check_site(workspace, "west")
    assert "20 empty_file" in capsys.readouterr().out


def test_a_check_of_a_site_without_a_file_is_refused(workspace):
    with pytest.raises(Refusal, match="sites/east.yaml: found no such file"):
        check_site(workspace, "east")


@pytest.mark.parametrize("look", [add, lambda workspace: check_site(workspace, "west")])
def test_what_dvc_cannot_hash_is_refused_before_it_is_added_with_hashes_that_locate_resolves(
    workspace, export, capsys, look
):
    (export / "ZZPHI_gone.png").symlink_to("nowhere")
    (export / ".dvcignore").touch()
    with pytest.raises(Refusal) as refused:
        look(workspace)
    printed = str(refused.value)
    assert (
        "incoming/west: found 1 links that lead nowhere" in printed
        and "found 1 files .dvcignore" in printed
        and "ZZPHI" not in printed
    )
    assert load_params(workspace).sites == {}
    capsys.readouterr()
    for file_hash in re.findall(r"such as ([0-9a-f]{20})", printed):
        show_file(workspace, "west", file_hash)
    assert sorted(capsys.readouterr().out.split()) == [".dvcignore", "ZZPHI_gone.png"]


def test_a_rehearsal_sends_to_check_for_hashes_that_no_secret_would_resolve(workspace, export):
    (export / "gone.png").symlink_to("nowhere")
    with pytest.raises(
        Refusal, match=r"1 links that lead nowhere \(fewsite check west names them\)"
    ):
        add(workspace, check=True)


def test_a_class_with_too_few_patients_is_refused_by_class_and_site(workspace, export):
    rows = (export / "labels.csv").read_text().splitlines()
    (export / "labels.csv").write_text(
        "\n".join([rows[0], *(row for at, row in enumerate(rows[1:]) if at % 2 == 0 or at == 1)])
    )
    with pytest.raises(
        Refusal,
        match=r"site west, class long: found [01] patients for (pool|query); need [12] at least",
    ):
        add(workspace)
    assert load_params(workspace).sites == {}


def test_a_file_outside_the_workspace_is_refused(workspace, tmp_path):
    elsewhere = tmp_path / "west.yaml"
    elsewhere.write_text(workspace.site_file("west").read_text())
    with pytest.raises(Refusal, match="outside this workspace's sites/; need sites/west.yaml"):
        add_site(workspace, elsewhere, "target", check=True)


def test_links_are_renewed_for_all_sites(workspace, export):
    add(workspace)
    workspace.incoming("west").unlink()
    link_sites(workspace)
    assert workspace.incoming("west").resolve() == export


def test_a_real_folder_in_the_place_of_a_link_is_left_alone(workspace):
    add(workspace)
    workspace.incoming("west").unlink()
    workspace.incoming("west").mkdir()
    with pytest.raises(Refusal, match="found a folder that is no link"):
        link_sites(workspace)


def test_a_hash_of_the_rejects_is_shown_as_its_path_on_the_screen(workspace, export, capsys):
    (export / "ZZPHI_0.png").write_bytes(b"")
    add(workspace)
    convert(workspace, "west")
    rejects = (workspace.studies("west") / "rejects.csv").read_text().splitlines()
    row = next(line for line in rejects if "empty_file" in line)
    capsys.readouterr()
    show_file(workspace, "west", row.split(",")[0])
    assert capsys.readouterr().out.strip().endswith("ZZPHI_0.png")
    with pytest.raises(Refusal, match="found no file with this hash"):
        show_file(workspace, "west", "00")


def test_help_answers_without_the_heavy_imports():
    code = "import pipeline.cli, sys; sys.exit(bool({'torch', 'pandas', 'pydicom', 'monai', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

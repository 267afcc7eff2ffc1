"""Under incoming/ lies one link where DVC sees all through it, else a link for each place that it would not enter."""

import os
import zipfile
from pathlib import Path

import pytest

from data_prep.exports.incoming import links_there, unwatched, wanted_links
from data_prep.site_file import Labels, Site, locate_root
from workspace.paths import Workspace


@pytest.fixture
def export(tmp_path: Path) -> Path:
    for name in ("export/a/1", "export/DICOMDIR", "elsewhere/2", "elsewhere/below/3", "third/4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path / "export"


def site(root: object) -> Site:
    labels = Labels(**{"file": "labels.csv", "match": "file", "class": "c"})
    return Site(root=str(root), task="t", labels=labels, classes={"a": ["a"], "b": ["b"]})


def test_one_link_will_do_for_a_folder_an_archive_and_links_to_files_or_to_what_is_there_already(
    export: Path,
):
    os.symlink("../third/4", export / "file")
    os.symlink("a", export / "again")
    os.symlink(".", export / "round")
    assert wanted_links(export) == {"": export}
    with zipfile.ZipFile(export / "a.zip", "w") as archive:
        archive.writestr("x", "y")
    assert wanted_links(export / "a.zip") == {"": export / "a.zip"}


def test_each_linked_folder_has_a_link_however_deep_and_each_once(export: Path):
    os.symlink("../../elsewhere", export / "a" / "far")
    os.symlink("../../third", export.parent / "elsewhere" / "below" / "third")
    os.symlink("../third", export / "z")
    assert wanted_links(export) == {
        "root": export,
        "folders/000000": export / "z",
        "folders/000001": export / "a/far",
    }


def test_a_list_has_links_to_what_it_names_and_to_folders_behind_links_in_there(export: Path):
    os.symlink("../third", export.parent / "elsewhere" / "third")
    names = export.parent / "names.txt"
    names.write_text("export/a/1\nelsewhere\n")
    beside = {
        "folders/000000": export.parent / "elsewhere",
        "folders/000001": export.parent / "elsewhere" / "third",
        "files/000000": export / "a" / "1",
    }
    assert wanted_links(names) == {"root": names} | beside
    os.symlink(
        "../../names.txt", export / "a" / "list"
    )  # its lines are read from where the list really lies
    assert wanted_links(export / "a" / "list") == {"root": export / "a" / "list"} | beside


def test_a_dicomdir_stands_for_its_folder_with_what_is_linked_there(export: Path):
    os.symlink("../elsewhere", export / "disc2")
    root = locate_root("sites/west.yaml", site(export / "DICOMDIR"))
    assert wanted_links(root) == {"root": export, "folders/000000": export / "disc2"}


def test_a_root_that_is_a_link_is_followed_by_dvc_so_that_another_delivery_is_seen(export: Path):
    os.symlink("export", export.parent / "current")
    assert wanted_links(locate_root("sites/west.yaml", site(export.parent / "current"))) == {
        "": export.parent / "current"
    }


def test_what_no_link_leads_to_is_refused_and_a_phantom_needs_none(export: Path, tmp_path: Path):
    workspace = Workspace(tmp_path / "study")
    workspace.incoming("west").parent.mkdir(parents=True)
    os.symlink(export, workspace.incoming("west"))
    assert (
        links_there(workspace, "west") == {"": export}
        and unwatched(workspace, "west", site(export)) == []
    )
    os.symlink("../third", export / "far")
    (problem,) = unwatched(workspace, "west", site(export))
    assert str(problem).startswith("incoming/west: found other folders behind links") and str(
        tmp_path
    ) not in str(problem)
    phantom = workspace.incoming("phantom")
    phantom.mkdir()
    assert (
        links_there(workspace, "phantom") == {}
        and unwatched(workspace, "phantom", site(phantom)) == []
    )

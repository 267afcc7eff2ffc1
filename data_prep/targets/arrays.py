"""A site whose root is one .npz: its images and their labels, both arrays of it.

Yang et al. 2023, "MedMNIST v2". The file's own parts are read alike: fewsite splits by itself.
"""

import math
from pathlib import Path

import numpy as np

from data_prep.exports.archives import MAX_FILES
from data_prep.exports.sources import Found, open_file
from data_prep.exports.walk import walk
from data_prep.readers.dicom.checks import MAX_PIXELS
from data_prep.readers.image_file import Identity, ImageFile
from data_prep.readers.npz import DAMAGE, KIND, Array, opened_archive, read_array
from data_prep.rejects import Reject
from data_prep.site_file import Site
from data_prep.targets.labels import BY_ARRAY, LabelTable, Row
from workspace.errors import Problem, Refusal, refuse_if

PARTS = ("train", "val", "test")
IMAGES, LABELS = "_images.npy", "_labels.npy"
SMALLEST_SIDE = 2  # pixels; with one, the axes are not what they are taken for
# 32 GiB; the largest of MedMNIST+ has 13.5. It is unpacked to disk, never into memory.
MAX_ARRAY_BYTES = 2**35
Examined = list[ImageFile | Reject]


def read_arrays(root: Path, name: str, site: Site) -> tuple[list[Found], Examined, LabelTable]:
    """Every image and then the members that are none, what each is, and the images' labels.

    No pixels are read. Raises Refusal with every problem of the file.
    """
    where = f"{name} {KIND}"
    members = {found.name: found for found in _members(root, where)}
    arrays = _read_headers(members, where)
    used = [part for part in PARTS if part + IMAGES in arrays]
    files, rows = _labelled(members, arrays, used, site, where)
    examined: Examined = []
    for part in used:
        header = arrays[part + IMAGES].header  # the same of all images of a part
        examined += [ImageFile(Identity(found), header) for found in files[part]]
    pictures = {part + IMAGES for part in PARTS}
    others = [found for member, found in members.items() if member not in pictures]
    examined += [Reject(found.name, KIND, "not_an_image") for found in others]
    found_files = [found for part in used for found in files[part]]
    return found_files + others, examined, LabelTable(BY_ARRAY, rows, dict(enumerate(rows)), False)


def _read_headers(members: dict[str, Found], where: str) -> dict[str, Array]:
    """The arrays of images and labels, by member. Raises Refusal."""
    arrays, problems = {}, []
    wanted = [part + kind for part in PARTS for kind in (IMAGES, LABELS)]
    for member in (member for member in wanted if member in members):
        try:
            arrays[member] = _read_header(members[member])
        except (ValueError, *DAMAGE):
            problems.append(
                Problem(
                    f"{where} {member}",
                    "an array of objects, or damage",
                    "an array of numbers, as np.savez writes it",
                    "write the file again",
                )
            )
    refuse_if(problems)
    refuse_if([problem for part in PARTS for problem in _part_problems(part, arrays, where)])
    if not arrays:
        need = "train_images and train_labels, val_ or test_"
        raise Refusal(Problem(where, "no array of images", need, "correct root"))
    return arrays


def _labelled(
    members: dict[str, Found], arrays: dict[str, Array], parts: list[str], site: Site, where: str
) -> tuple[dict[str, list[Found]], dict[str, Row]]:
    """Each part's images, and the row of each. Raises Refusal where labels are not the site's."""
    files: dict[str, list[Found]] = {}
    rows: dict[str, Row] = {}
    unknown: list[str] = []
    for part in parts:
        array, member, files[part] = arrays[part + IMAGES], members[part + IMAGES], []
        size = math.prod(array.shape[1:]) * array.dtype.itemsize
        for index, value in enumerate(_labels(members[part + LABELS], where)):
            name = f"{part}_images/{index}"
            files[part].append(Found(name, member.path, size, part + IMAGES, item=index))
            label = site.class_of(str(value))
            if label is None and str(value) not in site.ignore:
                unknown.append(name)
            rows[name] = Row(index, label)
    if unknown:
        raise Refusal(
            Problem(
                where,
                f"{len(unknown)} labels under neither classes nor ignore "
                f"(the first is {unknown[0]}'s)",
                "every label's number under one of them, as text",
                "add them to the site's file",
            )
        )
    return files, rows


def _members(root: Path, where: str) -> list[Found]:
    """The members of the one file. Raises Refusal."""
    if root.is_dir():
        raise Refusal(Problem(where, "a folder", "one .npz file", "make root the file itself"))
    members = walk(root)
    if any(found.problem for found in members):
        found, need = (
            "an archive that is damaged, encrypted or forged",
            "an .npz file as np.savez writes it",
        )
        raise Refusal(Problem(where, found, need, "send it again"))
    return members


def _read_header(found: Found) -> Array:
    """Raises ValueError where it promises objects, or other than the member's size."""
    with opened_archive(found.path) as archive, archive.open(str(found.member)) as stream:
        array = read_array(stream)
        if stream.tell() + array.bytes != found.size:
            raise ValueError
        return array


def _part_problems(part: str, arrays: dict[str, Array], where: str) -> list[Problem]:
    """What is wrong with the shapes of a part's two arrays."""
    images, labels = arrays.get(part + IMAGES), arrays.get(part + LABELS)
    if images is None or labels is None:
        if images is labels:
            return []
        missing = part + (IMAGES if images is None else LABELS)
        need = "images and labels of each part"
        return [Problem(where, f"no {missing}", need, "write the file again")]
    problems = _images_problems(f"{where} {part}{IMAGES}", images)
    count = images.shape[0]
    if labels.dtype.kind not in "iu" or labels.shape not in ((count,), (count, 1)):
        problems.append(
            Problem(
                f"{where} {part}{LABELS}",
                _described(labels),
                f"one whole number for each of {count} images",
                "give each image one class",
            )
        )
    return problems


def _images_problems(where: str, images: Array) -> list[Problem]:
    wrong_colour = images.colour and images.dtype != np.uint8
    if (
        len(images.shape) not in (3, 4)
        or min(images.space, default=0) < SMALLEST_SIDE
        or wrong_colour
    ):
        return [
            Problem(
                where,
                _described(images),
                "(n, h, w), uint8 (n, h, w, 3) or (n, d, h, w)",
                "write the images in one of these shapes",
            )
        ]
    if (
        math.prod(images.space) > MAX_PIXELS
        or images.shape[0] > MAX_FILES
        or images.bytes > MAX_ARRAY_BYTES
    ):
        need = f"at most {MAX_FILES} images of {MAX_PIXELS} pixels and {MAX_ARRAY_BYTES} bytes"
        return [Problem(where, _described(images), need, "split it into several sites")]
    return []


def _described(array: Array) -> str:
    return f"{array.dtype} of shape {'x'.join(map(str, array.shape))}"


def _labels(found: Found, where: str) -> list[int]:
    """Raises Refusal where the array's checksum is wrong."""
    try:
        with open_file(found.path) as file, np.load(file, allow_pickle=False) as arrays:
            return arrays[str(found.member).removesuffix(".npy")].ravel().tolist()
    except (ValueError, *DAMAGE):
        raise Refusal(
            Problem(
                f"{where} {found.member}",
                "damage",
                "an array as np.savez writes it",
                "send the file again",
            )
        ) from None

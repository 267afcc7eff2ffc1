"""A MedMNIST-style .npz: arrays of images with their labels in one file. Each image counts as a file of its own, ARRAY/INDEX.

Yang et al. 2023, "MedMNIST v2". The file's own parts are read alike: fewsite splits by itself. Nothing is ever unpickled.
"""

import math
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np

from data_prep.exports.archives import MAX_FILES
from data_prep.exports.sources import Found, open_file
from data_prep.exports.walk import walk
from data_prep.readers.dicom.checks import MAX_PIXELS
from data_prep.readers.image_file import Facts, Header, Identity, ImageFile, Pixels
from data_prep.readers.quiet import quiet
from data_prep.rejects import Reject, Rejected
from data_prep.site_file import Site
from data_prep.targets.labels import BY_ARRAY, LabelTable, Row
from workspace.errors import Problem, Refusal, refuse_if

KIND = "npz"
PARTS = ("train", "val", "test")
IMAGES, LABELS = "_images.npy", "_labels.npy"
COLOURS = 3
SMALLEST_SIDE = 2  # pixels; with one, the axes are not what they are taken for
DAMAGE = (
    EOFError,
    OSError,
    RuntimeError,
    zlib.error,
    zipfile.BadZipFile,
)  # what zipfile raises on a damaged member
MAX_ARRAY_BYTES = (
    2**35
)  # 32 GiB; the largest of MedMNIST+ has 13.5. It is unpacked to disk, never into memory


@dataclass(frozen=True)
class _Array:
    """What a .npy header promises. `order`: C or F, as NumPy writes it."""

    shape: tuple[int, ...]
    dtype: np.dtype
    order: str

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def colour(self) -> bool:
        return len(self.shape) == 4 and self.shape[-1] == COLOURS

    @property
    def space(self) -> tuple[int, ...]:
        """(rows, columns) or (slices, rows, columns) of one image."""
        return self.shape[1:-1] if self.colour else self.shape[1:]


def read_headers(
    root: Path, name: str, site: Site
) -> tuple[list[Found], list[ImageFile | Reject], LabelTable]:
    """Every image and then the members that are none, what each is, and the images' labels. No pixels are read.

    Raises Refusal with every problem of the file.
    """
    where = f"{name} {KIND}"
    members = {found.name: found for found in _members(root, where)}
    arrays, problems = {}, []
    for member in (
        part + kind for part in PARTS for kind in (IMAGES, LABELS) if part + kind in members
    ):
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
        raise Refusal(
            Problem(
                where,
                "no array of images",
                "train_images and train_labels, val_ or test_",
                "correct root",
            )
        )
    files, images, rows, unknown = [], [], {}, []
    for part in (part for part in PARTS if part + IMAGES in arrays):
        array = arrays[part + IMAGES]
        facts = Facts(KIND.upper(), "RGB" if array.colour else "MONOCHROME2")
        for index, value in enumerate(_labels(members[part + LABELS], where)):
            found = Found(
                f"{part}_images/{index}",
                members[part + IMAGES].path,
                math.prod(array.shape[1:]) * array.dtype.itemsize,
                part + IMAGES,
                item=index,
            )
            label = site.class_of(str(value))
            if label is None and str(value) not in site.ignore:
                unknown.append(found.name)
            files.append(found)
            images.append(ImageFile(Identity(found), Header(KIND, array.space, facts)))
            rows[found.name] = Row(index, label)
    refuse_if(
        [
            Problem(
                where,
                f"{len(unknown)} labels under neither classes nor ignore (the first is {unknown[0]}'s)",
                "every label's number under one of them, as text",
                "add them to the site's file",
            )
        ]
        if unknown
        else []
    )
    others = [
        found
        for member, found in members.items()
        if member not in {part + IMAGES for part in PARTS}
    ]
    examined = [*images, *(Reject(found.name, KIND, "not_an_image") for found in others)]
    return files + others, examined, LabelTable(BY_ARRAY, rows, dict(enumerate(rows)), False)


def read_pixels(image: ImageFile) -> Pixels:
    """One image's values as stored: grey, 8-bit RGB or a volume (slices, rows, columns). Raises Rejected."""
    path, index = image.identity.found.path, image.identity.found.item
    array = _mapped(path, image.identity.found.member, os.stat(path).st_mtime_ns)
    if array is None:
        raise Rejected("damaged_member")
    if index >= len(array) or array.shape[1 : 1 + len(image.header.shape)] != image.header.shape:
        raise Rejected("file_changed")
    values = np.array(array[index])
    if image.header.facts.photometric == "RGB":
        return Pixels(np.ascontiguousarray(values))
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise Rejected("not_finite")
    return Pixels(np.ascontiguousarray(values), rescaled=False)


@lru_cache(maxsize=len(PARTS))
def _mapped(path: Path, member: str, changed: int) -> np.ndarray | None:
    """An array, unpacked once a process into a nameless file that ends with it, and mapped; None where it is damaged.

    Images are read in the order of their keys, and a packed member can only be read from its start.
    """
    try:
        with (
            _archive(path) as archive,
            archive.open(member) as stream,
            tempfile.TemporaryFile() as file,
        ):
            array = _array(stream)
            shutil.copyfileobj(stream, file)
            file.flush()
            return np.memmap(file, array.dtype, "r", shape=array.shape, order=array.order)  # type: ignore[call-overload]
    except (ValueError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile):
        return None


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    with open_file(path) as file, zipfile.ZipFile(file) as archive:
        yield archive


def _members(root: Path, where: str) -> list[Found]:
    """The members of the one file. Raises Refusal."""
    if root.is_dir():
        raise Refusal(Problem(where, "a folder", "one .npz file", "make root the file itself"))
    members = walk(root)
    if any(found.problem for found in members):
        raise Refusal(
            Problem(
                where,
                "an archive that is damaged, encrypted or forged",
                "an .npz file as np.savez writes it",
                "send it again",
            )
        )
    return members


def _read_header(found: Found) -> _Array:
    """Raises ValueError where the header promises objects, or other than the member's size."""
    with _archive(found.path) as archive, archive.open(found.member) as stream:
        array = _array(stream)
        if stream.tell() + array.bytes != found.size:
            raise ValueError
        return array


def _array(stream: BinaryIO) -> _Array:
    """The header, which is a Python literal: it is parsed and not run. Raises ValueError."""
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        with quiet():
            shape, fortran, dtype = read[np.lib.format.read_magic(stream)](stream)
    except (
        Exception
    ) as error:  # NumPy raises several kinds on malformed headers, and their texts quote them
        raise ValueError from error
    if dtype.kind not in "iuf" or min(shape, default=0) < 0:
        raise ValueError
    return _Array(shape, dtype, "F" if fortran else "C")


def _part_problems(part: str, arrays: dict[str, _Array], where: str) -> list[Problem]:
    """What is wrong with the shapes of a part's two arrays."""
    images, labels = arrays.get(part + IMAGES), arrays.get(part + LABELS)
    if images is None or labels is None:
        missing = part + (IMAGES if images is None else LABELS)
        return (
            []
            if images is labels
            else [
                Problem(
                    where, f"no {missing}", "images and labels of each part", "write the file again"
                )
            ]
        )
    problems = []
    shape = "x".join(map(str, images.shape))
    if (
        len(images.shape) not in (3, 4)
        or min(images.space, default=0) < SMALLEST_SIDE
        or images.colour
        and images.dtype != np.uint8
    ):
        problems.append(
            Problem(
                f"{where} {part}{IMAGES}",
                f"{images.dtype} of shape {shape}",
                "(n, h, w), uint8 (n, h, w, 3) or (n, d, h, w)",
                "write the images in one of these shapes",
            )
        )
    elif (
        math.prod(images.space) > MAX_PIXELS
        or images.shape[0] > MAX_FILES
        or images.bytes > MAX_ARRAY_BYTES
    ):
        problems.append(
            Problem(
                f"{where} {part}{IMAGES}",
                f"{images.dtype} of shape {shape}",
                f"at most {MAX_FILES} images of {MAX_PIXELS} pixels and {MAX_ARRAY_BYTES} bytes",
                "split it into several sites",
            )
        )
    if labels.dtype.kind not in "iu" or labels.shape not in (
        (images.shape[0],),
        (images.shape[0], 1),
    ):
        problems.append(
            Problem(
                f"{where} {part}{LABELS}",
                f"{labels.dtype} of shape {'x'.join(map(str, labels.shape))}",
                f"one whole number for each of {images.shape[0]} images",
                "give each image one class",
            )
        )
    return problems


def _labels(found: Found, where: str) -> list[int]:
    """Raises Refusal where the array's checksum is wrong."""
    try:
        with open_file(found.path) as file, np.load(file, allow_pickle=False) as arrays:
            return arrays[found.member.removesuffix(".npy")].ravel().tolist()
    except (ValueError, *DAMAGE):
        raise Refusal(
            Problem(
                f"{where} {found.member}",
                "damage",
                "an array as np.savez writes it",
                "send the file again",
            )
        ) from None

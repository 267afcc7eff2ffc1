"""Headers whose voxels lie in files of their own: which files these are, and that they share their
header's fate.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from data_prep.exports.sources import Found
from data_prep.readers.image_file import ImageFile
from data_prep.rejects import Reject

Examined = list[ImageFile | Reject]
PACKED = (".gz", ".bz2", ".xz")
NOT_ITS_OWN = "a data file that is another header's, or an image itself"


def without_packing(name: str) -> str:
    """`name` without the ending of a packed file."""
    return (
        next((name[: -len(ending)] for ending in PACKED if name.lower().endswith(ending)), name)
        or name
    )


class Beside:
    """The files of an export by name: as written, or packed, unpacked or in other case where that
    leaves one file.
    """

    def __init__(self, files: Iterable[Found]):
        self._files: dict[str, Found] = {}
        self._alike: dict[str, list[Found]] = defaultdict(list)
        for found in files:
            self._files[found.name] = found
            self._alike[_plain(found.name)].append(found)

    def find(self, name: str) -> Found | None:
        alike = self._alike.get(_plain(name), [])
        return self._files.get(name) or (alike[0] if len(alike) == 1 else None)


def _plain(name: str) -> str:
    return without_packing(name).casefold()


def join_parts(files: list[Found], examined: Examined) -> Examined:
    """Give each header its data files, which share its fate and are no files of their own.

    A header is rejected, and its other data files with it, where one of them is missing, is another
    header's or is itself an image.
    """
    if not any(item.parts for item in examined):
        return examined
    pairs = list(zip(files, examined, strict=True))
    images = {found.name for found, item in pairs if isinstance(item, ImageFile)}
    beside, taken = Beside(files), set[str]()
    left: dict[str, Reject] = {}  # the data files of headers that lack one
    joined: list[tuple[str, Examined]] = []
    for found, item in pairs:
        if not item.parts:
            joined.append((found.name, [item]))
            continue
        data = [beside.find(name) for name in item.parts]
        others = images | taken | {found.name}
        own = [file for file in data if file is not None and file.name not in others]
        whole = len(own) == len({file.name for file in own}) == len(data)
        if isinstance(item, ImageFile) and not whole:
            problem = "a data file that is missing" if None in data else NOT_ITS_OWN
            kind = item.header.kind
            joined.append((found.name, [Reject(found.name, kind, "bad_data_file", problem)]))
            for file in own:
                left[file.name] = Reject(file.name, kind, "bad_data_file", problem)
            continue
        taken.update(file.name for file in own)
        joined.append((found.name, _with_data(item, own)))
    return [
        item
        for name, items in joined
        if name not in taken
        for item in ([left[name]] if name in left else items)
    ]


def _with_data(item: ImageFile | Reject, data: list[Found]) -> Examined:
    """An image that knows its data files, or a reject of its header and one of each of them."""
    if isinstance(item, ImageFile):
        return [replace(item, identity=replace(item.identity, data=tuple(data)))]
    names = dict.fromkeys(file.name for file in data)
    return [item, *(replace(item, name=name) for name in names)]

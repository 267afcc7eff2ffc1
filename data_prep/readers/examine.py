"""One file of an export: its image by its header, or why it is not used."""

from data_prep.exports.kinds import HEAD, Kind
from data_prep.exports.left_by_systems import is_double, left_by_a_system
from data_prep.exports.sources import Found, opened
from data_prep.exports.unread import unread
from data_prep.readers.image_file import ImageFile
from data_prep.readers.names import named_like_an_image, named_like_text, named_like_voxels
from data_prep.readers.registry import recognised
from data_prep.rejects import Reject, Rejected, not_decodable

REFUSED_KINDS = {
    Kind.EMPTY: "empty_file",
    **dict.fromkeys((Kind.ZIP, Kind.TAR, Kind.GZIP, Kind.BZIP2, Kind.XZ), "nested_archive"),
}


def examine_all(files: list[Found], asked: tuple[str, ...] = ()) -> list[ImageFile | Reject]:
    return [examine(found, asked) for found in files]


def examine(found: Found, asked: tuple[str, ...] = ()) -> ImageFile | Reject:
    """`asked`: keywords of more DICOM elements to read as identifiers."""
    kind: str = Kind.OTHER
    try:
        if left_by_a_system(found.name):
            raise Rejected("not_an_image")
        with opened(found) as stream:
            head = stream.read(HEAD)
            kind, reader = recognised(head)
            if is_double(found.name, head) or (kind == Kind.EMPTY and named_like_text(found.name)):
                raise Rejected("not_an_image")
            stream.seek(0)
            if reader is not None:
                return reader.header(stream, found, asked)
        if kind == Kind.OTHER:
            raise unread(head) or Rejected(_by_name(found.name))
        raise Rejected(REFUSED_KINDS[Kind(kind)])
    except Exception as error:  # what a reader did not foresee is this file's alone, and counted so
        rejected = error if isinstance(error, Rejected) else not_decodable(error)
        return _reject(found, str(kind), rejected)


def _reject(found: Found, kind: str, rejected: Rejected) -> Reject:
    if found.named:  # by a DICOMDIR, which knows more of it than a file that is missing
        named = found.named
        return Reject(
            found.name,
            kind,
            rejected.reason,
            "",
            named.series,
            named.instance,
            sop_class=named.sop_class,
        )
    return Reject(
        found.name,
        kind,
        rejected.reason,
        rejected.found,
        rejected.series,
        rejected.instance,
        rejected.parts,
        sop_class=rejected.sop_class,
    )


def _by_name(name: str) -> str:
    """The reason for a file that holds nothing that is known."""
    if named_like_an_image(name):
        return "not_what_its_name_says"
    return "no_header" if named_like_voxels(name) else "not_an_image"

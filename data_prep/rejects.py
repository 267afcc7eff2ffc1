"""Why a file is not used: one table of reasons, and rejects.csv, which names files by keyed hash
only.
"""

import struct
import traceback
import zlib
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from data_prep.privacy.deidentify import Keys


@dataclass(frozen=True)
class Reason:
    """What a code means and what a person can do.

    `image`: false where the file is no image at all, and so no loss.
    """

    means: str
    do: str
    image: bool = True


SEND_AGAIN = "send the file again"
SEND_SERIES = "send the whole series again"
NOTHING = "nothing; it is no image"

REASONS = {
    # no images
    "not_an_image": Reason("a file that is no image", NOTHING, image=False),
    "no_pixels": Reason(
        "a DICOM object without an image (report, plan, structure set, presentation "
        "state, spectra, directory, a maker's own notes)",
        NOTHING,
        image=False,
    ),
    "derived_object": Reason(
        "a DICOM object derived from images (segmentation, dose, parametric map)",
        NOTHING,
        image=False,
    ),
    "missing_no_image": Reason(
        "an object without an image, such as a report, that a DICOMDIR names and that is not there",
        NOTHING,
        image=False,
    ),
    # files
    "empty_file": Reason("an empty file or archive", SEND_AGAIN),
    "missing_file": Reason(
        "an image that a DICOMDIR names and that is not there",
        "send the whole export again, or leave the DICOMDIR out",
    ),
    "damaged_directory": Reason(
        "a DICOMDIR that cannot be read, so that nobody knows what is missing", SEND_AGAIN
    ),
    "unreadable": Reason(
        "a file that the system does not let us read", "mend its permissions or the broken link"
    ),
    "file_changed": Reason(
        "a file that changed while it was read", "wait until the export is complete and run again"
    ),
    "unread_picture": Reason(
        "a picture in a format that fewsite does not read", "send it as PNG or TIFF"
    ),
    "unread_volume": Reason(
        "a file of a format that holds volumes and that fewsite does not read",
        "send it as DICOM or NIfTI",
    ),
    "film": Reason("a film", "send the frame that counts as PNG, or as DICOM of one frame"),
    "slide": Reason(
        "a scanned slide: one picture at several sizes, or in tiles that are frames",
        "send the region that counts as one PNG or TIFF",
    ),
    "no_header": Reason(
        "a file named like voxels, without a header that fewsite "
        "reads and that says how to read them",
        "send its header with it, under the same name; or send it as DICOM or NIfTI",
    ),
    "not_what_its_name_says": Reason(
        "a file named like an image that holds something else, such as an HTML page", SEND_AGAIN
    ),
    "too_large": Reason(
        "a file larger than fewsite reads", "check that it is sound; split it if it is"
    ),
    # archives
    "damaged_archive": Reason(
        "an archive that cannot be opened, ends early or holds two files of one name",
        "make the archive again",
    ),
    "damaged_member": Reason(
        "a file in an archive, or a compressed one, that fails its checksum", SEND_AGAIN
    ),
    "encrypted_member": Reason("an encrypted file in an archive", "send it without a password"),
    "unsafe_member": Reason(
        "a link or device in an archive, or a path that leads out of it or is too deep",
        "make the archive again, of files alone",
    ),
    "sparse_member": Reason(
        "a file that a tar stores with holes", "make the tar again without --sparse"
    ),
    "nested_archive": Reason(
        "an archive in an archive in an archive, or a file compressed twice", "unpack the innermost"
    ),
    "archive_bomb": Reason(
        "an archive that unpacks to more than its size can hold, or than fewsite reads",
        "do not open it; ask its sender",
    ),
    # decoding
    "truncated": Reason("a file that ends early", SEND_AGAIN),
    "not_decodable": Reason(
        "a file that starts like an image and cannot be decoded",
        "send the file again, or have another program write it",
    ),
    "decode_warning": Reason(
        "pixels that decode only with a warning, so that they may be wrong", SEND_AGAIN
    ),
    "unknown_transfer_syntax": Reason(
        "a transfer syntax that fewsite does not decode", "send it uncompressed or as JPEG 2000"
    ),
    "unknown_sop_class": Reason(
        "a DICOM object without a SOP class, or with one that fewsite "
        "does not know, such as a maker's own",
        "send it as a standard image",
    ),
    "bad_bits": Reason(
        "stored values that do not fit High Bit, Bits Stored and Bits Allocated",
        "send it uncompressed, with High Bit one less than Bits Stored",
    ),
    "unclear_colours": Reason(
        "a compressed image that is RGB by one of its markers or its header and YCbCr by another",
        "send it uncompressed, as RGB",
    ),
    "unsupported_pixels": Reason(
        "a kind of pixels that fewsite does not read",
        "send it as grey values, a single picture also as RGB of 8 bits",
    ),
    "colours_lost": Reason(
        "colours that differ only in bits below the eight that fewsite keeps, such as "
        "a palette of 8 bits that says it has 16",
        "send it as RGB of 8 bits",
    ),
    "no_bias_field": Reason(
        "an image to which N4 can fit no bias field",
        "leave n4 out of convert.intensity for its modality",
    ),
    "multi_frame": Reason(
        "several pictures in one file that do not say where in space they lie, "
        "such as a cine's frames or a TIFF's pages",
        "send the one that counts as a file of its own",
    ),
    "constant_image": Reason(
        "one value everywhere, as stored or as convert.intensity and convert.spacing take it",
        "look at it with fewsite inspect; leave it out, or correct convert.intensity",
    ),
    "not_finite": Reason(
        "values that are not finite, or too far apart for 32-bit floats",
        "send it with finite values",
    ),
    "bad_rescale": Reason(
        "a rescale slope or intercept that cannot be right or that readers do not agree on",
        "send the original, or the values themselves without a rescale",
    ),
    "unread_encoding": Reason(
        "voxels in an encoding that fewsite does not read",
        "write it without compression, or with gzip",
    ),
    "several_values": Reason(
        "several values in each voxel, such as a vector, a tensor or a volume's colours",
        "send one of them a file, or grey in place of colours",
    ),
    "no_rescale": Reason(
        "no rescale where a window in physical units is set", "send the original, or set no window"
    ),
    "other_units": Reason(
        "values in other units than convert.intensity's window, such as a map of iodine",
        "leave them out of the labels, set units beside the window, or percentiles in its place",
    ),
    "unplaced_mosaic": Reason(
        "slices side by side in one picture, without the private elements that say where they lie",
        "send it with the scanner's private elements, or as one file a slice",
    ),
    "reader_fault": Reason(
        "a file on which fewsite itself failed", "report it with what was found"
    ),
    # identity
    "burned_in_annotation": Reason(
        "an image that says it shows a patient's data, or a capture "
        "that does not say it shows none",
        "clean it and set Burned In Annotation to NO",
    ),
    "slide_label": Reason(
        "a picture of a slide's label, or of a slide with its label, which names the patient",
        "nothing; the slide's other pictures do not need it",
    ),
    "may_show_text": Reason(
        "an image that may show a patient's data or face, and that no crop rule covers",
        "set crop in the site's file; or clean it and set Burned In Annotation (of a "
        "face: Recognizable Visual Features) to NO",
    ),
    "crop_does_not_fit": Reason(
        "an image without the rectangle that its crop rule keeps",
        "correct crop in the site's file; save a picture that EXIF turns upright",
    ),
    "no_instance_uid": Reason("no SOP Instance UID", "send the original"),
    "duplicate_instance": Reason("an image that is there already", "nothing; one copy is used"),
    "one_uid_several_images": Reason(
        "images that differ in pixels, place, units or patient, and share a SOP "
        "Instance UID, which says nothing then",
        "send the right one alone, or each with a UID of its own",
    ),
    "no_patient": Reason(
        "no value that says which patient it is of",
        "name a column or a DICOM element that says it as labels.patient",
    ),
    # labels
    "no_label": Reason("an image without a row in the labels table", "add a row or leave it"),
    "label_ignored": Reason("an image whose label is under ignore", "nothing"),
    "conflicting_labels": Reason(
        "images of one volume with different labels", "correct the labels table"
    ),
    # volumes
    "is_a_volume": Reason(
        "a volume where size is two-dimensional", "set convert.size to three numbers"
    ),
    "not_a_volume": Reason(
        "an image, or fewer than three slices, where size is three-dimensional",
        "send the whole volume, or set convert.size to two numbers",
    ),
    "no_series": Reason("a slice without a Series Instance UID", "send the original"),
    "mixed_patients": Reason(
        "one series with slices of several patients", "ask the sender whose it is"
    ),
    "localizer": Reason("a localizer", "nothing; it is split off"),
    "mixed_matrix": Reason(
        "a series with slices of several matrix sizes", "send the slices of each size as a series"
    ),
    "mixed_spacing": Reason(
        "a series with slices of several pixel spacings",
        "send the slices of each spacing as a series",
    ),
    "mixed_values": Reason(
        "a series whose slices differ in how their values are meant and cannot be "
        "parted into volumes of the same places",
        "send what differs (kernel, voltage, echo, image type) as a series each; the "
        "original, where a slice lost its rescale",
    ),
    "no_position": Reason(
        "a slice without position or orientation",
        "send the original series, with Image Position and Image Orientation",
    ),
    "no_spacing": Reason(
        "a volume without a usable pixel spacing",
        "send the original, or a file that states its spacing in mm",
    ),
    "unknown_spacing": Reason(
        "a volume that does not say how large its voxels are, or is "
        "thinner than one of convert.spacing",
        "send it in a format that states it; make convert.spacing finer, or leave it out",
    ),
    "bad_orientation": Reason(
        "an orientation that is no pair of unit vectors at right angles", "send the original series"
    ),
    "missing_slice": Reason("a volume with a gap, or with fewer slices than it says", SEND_SERIES),
    "variable_spacing": Reason(
        "a volume whose slices are not evenly spaced, or not in one line",
        "send an evenly spaced reconstruction",
    ),
    "gantry_tilt": Reason(
        "a volume whose slices are stacked aslant, as by a tilted gantry",
        "set convert.tilt to resample (in inspect: --tilt resample), or "
        "send a straightened reconstruction",
    ),
    "duplicate_position": Reason(
        "several slices with different pixels at one position, and nothing in their headers "
        "that parts them into "
        "volumes of the same places",
        "send each volume as a series of its own",
    ),
    "sibling_rejected": Reason(
        "a slice of a volume of which another slice was rejected",
        "mend what that slice was rejected for",
    ),
    "maybe_incomplete": Reason(
        "a volume beside a broken file that may be its slice",
        "send the broken file again, or take it out of the folder",
    ),
    "later_repeat": Reason(
        "a later echo, image type or time point of a volume",
        "nothing, or set convert.repeats to each",
    ),
    "time_series": Reason(
        "several volumes, or several pictures of one plane, in one file", "send each as a file"
    ),
    "no_orientation": Reason(
        "a volume that does not say how it lies in the patient",
        "send it in a file that says so: NIfTI with a form code, DICOM with a place in the patient",
    ),
    "singular_affine": Reason(
        "a volume whose affine cannot be inverted", "write an affine that says how it lies"
    ),
    "sheared_affine": Reason(
        "a volume whose axes are not at right angles", "resample it to a straight grid"
    ),
    "bad_data_file": Reason(
        "a header of which a data file is not there, not its own or not in "
        "its folder, and its other data files",
        "send all of them in one folder under their names, or one .nrrd, .mha or .nii file",
    ),
}

# Nothing is lost: a person chose which images to label, which labels to ignore, and whether to take
# repeats; of copies one is used; a
# localizer is no part of a volume; a label shows no patient's body.
NO_LOSS = frozenset(
    {"no_label", "label_ignored", "later_repeat", "duplicate_instance", "localizer", "slide_label"}
)


HERE = Path(__file__).parent
OF_VALUES = (
    ValueError,
    OverflowError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
)  # raised by sound code on unsound values


class Rejected(Exception):
    """A file that is not used.

    `found` is shown to people, so it never quotes a value from the file; the rest is never shown.
    """

    def __init__(
        self,
        reason: str,
        found: str = "",
        series: str = "",
        instance: str = "",
        parts: tuple[str, ...] = (),
        sop_class: str = "",
    ):
        self.reason, self.found, self.series, self.instance, self.parts, self.sop_class = (
            reason,
            found,
            series,
            instance,
            parts,
            sop_class,
        )
        super().__init__(reason)


def not_decodable(error: Exception) -> Rejected:
    """What an exception that nobody foresaw says of a file: that a library cannot read it, or that
    fewsite has a fault.

    Libraries raise nearly anything on damaged files, ValueErrors come of damaged values everywhere;
    whatever else a line of fewsite raises is a fault of that line. The text of an error may quote a
    patient's value, so only its kind and place are given.
    """
    raised = traceback.extract_tb(error.__traceback__)[-1]
    ours = Path(raised.filename).is_relative_to(HERE)
    if isinstance(error, OF_VALUES) or not ours:
        return Rejected("not_decodable", type(error).__name__)
    return reader_fault(error, raised)


def reader_fault(error: Exception, raised: traceback.FrameSummary) -> Rejected:
    """Of a fault in fewsite: what to report."""
    return Rejected(
        "reader_fault",
        f"{type(error).__name__} in {Path(raised.filename).name}, line {raised.lineno}",
    )


@dataclass(frozen=True, slots=True)
class Reject:
    """One file that is not used.

    `name`, `parts` and the UIDs may hold a patient's id: kept in memory, never written.
    """

    name: str
    kind: str
    reason: str
    found: str = ""
    series: str = ""  # UID
    instance: str = ""  # UID
    parts: tuple[str, ...] = ()  # the files that hold a header's voxels
    # which of a multi-frame file's slices, or a 4D file's volumes, where it is not about all of it
    frame: int | None = None
    sop_class: str = ""  # UID, where it is known

    @property
    def image(self) -> bool:
        return REASONS[self.reason].image

    @property
    def counts(self) -> bool:
        """Whether it counts towards a site's max_rejected."""
        return self.image and self.reason not in NO_LOSS


def count_reasons(rejects: Iterable[Reject]) -> dict[str, int]:
    return dict(sorted(Counter(reject.reason for reject in rejects).items()))


def one_a_file(rejects: Iterable[Reject], used: Container[str]) -> list[Reject]:
    """The first reject of each file, none of a file in `used`: one that is used in part counts as
    used.
    """
    first: dict[str, Reject] = {}
    for reject in rejects:
        if reject.name not in used:
            first.setdefault(reject.name, reject)
    return list(first.values())


def left_out(rejects: Iterable[Reject], used: Container[str]) -> list[Reject]:
    """Those of single frames of a file in `used`: it is used in part, so that rejects.csv does not
    name it.
    """
    return [reject for reject in rejects if reject.frame is not None and reject.name in used]


def write_rejects(rejects: Iterable[Reject], keys: Keys, path: Path) -> None:
    """Write rejects.csv: one sorted row a file that is not used."""
    columns = ["file", "kind", "reason", "found", "do"]
    rows = sorted(
        (
            keys.file(reject.name),
            reject.kind,
            reject.reason,
            reject.found or REASONS[reject.reason].means,
            REASONS[reject.reason].do,
        )
        for reject in rejects
    )
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False, lineterminator="\n")

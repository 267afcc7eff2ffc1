"""Image formats that are known by their first bytes and not read: each is named, so that a person
knows what was lost.
"""

import re

from data_prep.rejects import Rejected

# What a file of the format starts with. Most signatures:
# https://www.garykessler.net/library/file_sigs.html, and each format's own text.
PICTURES = {
    "GIF": rb"GIF8[79]a",
    "WebP": rb"RIFF.{4}WEBP",
    "HEIC or AVIF": rb".{4}ftyp(heic|heix|heim|heis|hevc|mif1|msf1|avif|avis)",
    "Photoshop": rb"8BPS\x00[\x01\x02]",
    "JPEG XL": rb"\xff\x0a|\x00\x00\x00\x0cJXL \r\n\x87\n",
    "JPEG XR": rb"II\xbc[\x00\x01]",
    "OpenEXR": rb"v/1\x01",
    "Radiance HDR": rb"#\?RADIANCE",
    "PFM": rb"P[fF]\r?\n\d",
    "PNM": rb"P[1-6]\r?\n(#[^\n]*\n)*\d+\s+\d+\s|P7\nWIDTH",
    "JPEG-LS": rb"\xff\xd8\xff\xf7",
}
VOLUMES = {
    "MINC 1 (netCDF)": rb"CDF[\x01\x02\x05]",
    "HDF5 (as MINC 2)": rb"\x89HDF\r\n\x1a\n",
    "ECAT 7": rb"MATRIX7\d",
    "FITS": rb"SIMPLE  =",
    "VTK": rb"# vtk DataFile|(<\?xml[^>]*>\s*)?<VTKFile",
    "Philips PAR/REC": rb"# === DATA DESCRIPTION FILE",
    "Interfile": rb"\s*!INTERFILE",
    "AFNI": rb"\s*type\s*=\s*(string|integer|float)-attribute",
    "Zeiss CZI": rb"ZISRAWFILE",
    "Leica LIF": rb"\x70\x00\x00\x00.{4}\x2a",
    "Philips iSyntax": rb"<DataObject ObjectType=.DPUfsImport",
}
FILMS = {
    "MP4 or QuickTime": rb".{4}(ftyp|moov|mdat|wide)",
    "AVI": rb"RIFF.{4}AVI ",
    "MPEG": rb"\x00\x00\x01[\xb3\xba]",
    "Matroska or WebM": rb"\x1aE\xdf\xa3",
    "Windows Media": rb"0&\xb2u\x8ef\xcf\x11",
    "Flash video": rb"FLV\x01",
    "MPEG transport stream": rb"G.{187}G.{187}G",
    "Motion JPEG 2000": rb"\x00\x00\x00\x0cjP  \r\n\x87\n.{4}ftypmjp2",
}
REASONS = (
    (PICTURES, "unread_picture"),
    (VOLUMES, "unread_volume"),
    (FILMS, "film"),
)  # in this order: HEIC is a kind of MP4
NO_SLICES = frozenset(reason for _, reason in REASONS)  # whatever such a file lies beside
TABLE = tuple(
    (re.compile(start, re.DOTALL), name, reason)
    for formats, reason in REASONS
    for name, start in formats.items()
)


def unread(head: bytes) -> Rejected | None:
    """Why a file that starts with `head` is not read, with its format's name; None where it is of
    none of these.
    """
    return next(
        (Rejected(reason, name) for start, name, reason in TABLE if start.match(head)), None
    )

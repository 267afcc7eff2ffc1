#!/usr/bin/env bash
# openslide-python 1.4.7 with openslide-bin 4.0.1.2, and wsidicom 0.36.1 (pydicom 3.0.2)
#
# Behaviour: both read the same DICOM slide and both have read_region(location, level, size). To
#   OpenSlide, level 1 is the second stored level (here 4 times smaller), and location counts
#   pixels of level 0. To wsidicom, level n is 2**n times smaller, made on the fly where it is not
#   stored, and location counts pixels of that level. The same call shows another piece of tissue
#   at another magnification.
# Guessed: the same picture for the same three arguments.
# Why it matters: patch coordinates and labels made with one are read with the other: the tumour
#   patch is normal tissue, at 0.5 instead of 1.0 micrometre a pixel, and nothing fails.
# Source: OpenSlide Python documentation, read_region (location in the frame of level 0);
#   wsidicom/wsidicom.py, read_region; wsidicom/group/level.py, calculate_scale.
# Seen (a green square at (64, 64) of level 0, red below right, the rest blue):
#   stored levels: OpenSlide [0, 1] with downsamples [1, 4], wsidicom [0, 2]
#   read_region(            OpenSlide  wsidicom
#     (64, 64), 0, (8, 8))  green      green
#     (64, 64), 1, (8, 8))  green      blue
#   wsidicom, (16, 16), 2                  green
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 pillow==13.0.0 pydicom==3.0.2 openslide-bin==4.0.1.2 openslide-python==1.4.7 \
  wsidicom==0.36.1
mkdir "$work/slide"
cd "$work"
"$work/venv/bin/python" - <<'PY'
import io

import numpy as np
import openslide
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, VLWholeSlideMicroscopyImageStorage, generate_uid
from wsidicom import WsiDicom

TILE = 64
study, series, frame, organization = (generate_uid() for _ in range(4))


def group(**values):
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return [item]


def write(number, pixels, mm):
    height, width = pixels.shape[:2]
    tiles = []
    for y in range(0, height, TILE):
        for x in range(0, width, TILE):
            tile = Image.fromarray(np.ascontiguousarray(pixels[y : y + TILE, x : x + TILE]))
            buffer = io.BytesIO()
            tile.save(buffer, "JPEG", quality=95, subsampling=0)
            tiles.append(buffer.getvalue())
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.SOPClassUID, ds.SOPInstanceUID = VLWholeSlideMicroscopyImageStorage, generate_uid()
    kind = "NONE" if number == 1 else "RESAMPLED"
    ds.ImageType, ds.Modality = ["ORIGINAL", "PRIMARY", "VOLUME", kind], "SM"
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "20260101", "120000", ""
    ds.AcquisitionDateTime = "20260101120000"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Phantom^One", "P1", ""
    ds.PatientSex, ds.ReferringPhysicianName, ds.StudyID = "O", "", "1"
    ds.Manufacturer, ds.ContainerIdentifier, ds.PositionReferenceIndicator = "Maker", "C1", ""
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
    ds.SeriesNumber, ds.InstanceNumber = 1, number
    ds.TotalPixelMatrixColumns, ds.TotalPixelMatrixRows = width, height
    ds.TotalPixelMatrixFocalPlanes, ds.NumberOfOpticalPaths = 1, 1
    ds.ImagedVolumeWidth, ds.ImagedVolumeHeight = width * mm, height * mm
    ds.ImagedVolumeDepth = 0.001
    ds.DimensionOrganizationType, ds.VolumetricProperties = "TILED_FULL", "VOLUME"
    ds.SpecimenLabelInImage, ds.BurnedInAnnotation = "NO", "NO"
    ds.FocusMethod, ds.ExtendedDepthOfField = "AUTO", "NO"
    ds.LossyImageCompression, ds.LossyImageCompressionRatio = "01", 10
    ds.LossyImageCompressionMethod = "ISO_10918_1"
    ds.ImageOrientationSlide = [0, -1, 0, -1, 0, 0]
    ds.TotalPixelMatrixOriginSequence = group(
        XOffsetInSlideCoordinateSystem=20, YOffsetInSlideCoordinateSystem=40
    )
    light = group(
        CodeValue="111744", CodingSchemeDesignator="DCM", CodeMeaning="Brightfield illumination"
    )
    ds.OpticalPathSequence = group(
        OpticalPathIdentifier="1",
        IlluminationTypeCodeSequence=light,
        IlluminationColorCodeSequence=light,
    )
    shared = Dataset()
    shared.PixelMeasuresSequence = group(PixelSpacing=[mm, mm], SliceThickness=0.001)
    shared.WholeSlideMicroscopyImageFrameTypeSequence = group(FrameType=ds.ImageType)
    shared.OpticalPathIdentificationSequence = group(OpticalPathIdentifier="1")
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.DimensionOrganizationSequence = group(DimensionOrganizationUID=organization)
    ds.AcquisitionContextSequence, ds.SpecimenDescriptionSequence = [], []
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 3, "YBR_FULL_422"
    ds.PlanarConfiguration, ds.NumberOfFrames = 0, len(tiles)
    ds.Rows = ds.Columns = TILE
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = encapsulate(tiles)
    ds["PixelData"].VR = "OB"
    ds.save_as(f"slide/{number}.dcm", enforce_file_format=True)


slide = np.zeros((512, 512, 3), np.uint8)
slide[:, :] = (0, 0, 200)
slide[256:, 256:] = (200, 0, 0)
slide[64:128, 64:128] = (0, 200, 0)
write(1, slide, 0.00025)
write(2, slide[::4, ::4], 0.001)

one = openslide.OpenSlide("slide/1.dcm")
two = WsiDicom.open("slide")
stored = [int(level.level) for level in two.pyramids[0]]
print("stored levels: OpenSlide %s with downsamples %s, wsidicom %s"
      % (list(range(one.level_count)), [int(d) for d in one.level_downsamples], stored))


def colour(image):
    red, green, blue = np.asarray(image)[4, 4, :3]
    return "red" if red > 150 else "green" if green > 150 else "blue" if blue > 150 else "?"


print("read_region(            OpenSlide  wsidicom")
seen = {}
for level in (0, 1):
    args = ((64, 64), level, (8, 8))
    seen[level] = colour(one.read_region(*args)), colour(two.read_region(*args))
    print("  (64, 64), %d, (8, 8))  %-9s  %s" % (level, *seen[level]))
same = colour(two.read_region((16, 16), 2, (8, 8)))
print("wsidicom, (16, 16), 2    %19s" % same)
ok = (
    seen == {0: ("green", "green"), 1: ("green", "blue")}
    and same == "green"
    and [int(d) for d in one.level_downsamples] == [1, 4]
    and stored == [0, 2]
)
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY

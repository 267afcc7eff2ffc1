"""Files of many frames: what is said of a frame, and structure before words."""

import struct
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedUSVolumeStorage,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
    NuclearMedicineImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from tests.odd_series.case import Right, odd
from tests.odd_series.made import anatomy, at, changed, frame, header, item, save, with_pixels

NORMAL = ["ORIGINAL", "PRIMARY", "M", "ND"]
SCALES = np.arange(1.0, 7.0)[:, None, None]


def enhanced(
    groups: list[Dataset], stored: np.ndarray | None = None, **elements: object
) -> Dataset:
    """An enhanced MR of the anatomy's six slices, or of `stored`."""
    data = header(EnhancedMRImageStorage, "MR", PerFrameFunctionalGroupsSequence=groups)
    return changed(
        with_pixels(data, anatomy() if stored is None else stored),
        {"ImageType": NORMAL, **elements},
    )


def scaled(slope: float, intercept: float = 0) -> dict[str, object]:
    return {
        "PixelValueTransformationSequence": [
            item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US")
        ]
    }


@odd
def a_scale_at_the_top_and_per_frame(folder: Path) -> Right:
    """Slopes of 1 to 6 per frame beside a slope of 1 at the top: the frame's own counts. PS3.3 C.7.6.16.1.1; pydicom 3.0.2 shares
    elements between data sets on assignment."""
    save(
        enhanced(
            [frame(0, 0, 3.0 * z, **scaled(z + 1)) for z in range(6)],
            RescaleSlope=1,
            RescaleIntercept=0,
        ),
        folder / "a.dcm",
    )
    return Right(volumes=(anatomy() * SCALES,))


@odd
def a_scale_at_the_top_shared_and_of_one_frame(folder: Path) -> Right:
    """The top says 7, the shared groups 2, the third frame 5: 5 for it and 2 for the others. PS3.3 C.7.6.16.1.1."""
    groups = [frame(0, 0, 3.0 * z, **(scaled(5, -1) if z == 2 else {})) for z in range(6)]
    save(
        enhanced(
            groups,
            SharedFunctionalGroupsSequence=[item(**scaled(2))],
            RescaleSlope=7,
            RescaleIntercept=1,
        ),
        folder / "a.dcm",
    )
    volume = anatomy() * 2.0
    volume[2] = anatomy()[2] * 5.0 - 1
    return Right(volumes=(volume,))


@odd
def a_scale_at_the_top_alone(folder: Path) -> Right:
    """No functional group says a scale, the top does: it holds for all frames. rordenlab/dcm2niix#692 is of such Philips files."""
    save(
        enhanced([frame(0, 0, 3.0 * z) for z in range(6)], RescaleSlope=3, RescaleIntercept=-10),
        folder / "a.dcm",
    )
    return Right(volumes=(anatomy() * 3.0 - 10,))


@odd
def frames_of_one_dimension(folder: Path) -> Right:
    """A dimension organisation of one dimension, whose index is a number instead of a list; two time points by it alone. PS3.3 C.7.6.17."""
    pointer = item(DimensionIndexPointer=0x00209128, FunctionalGroupPointer=0x00209111)
    groups = [
        frame(0, 0, 3.0 * z, content={"DimensionIndexValues": moment})
        for moment in (2, 10)
        for z in range(6)
    ]
    save(
        enhanced(
            groups, np.concatenate([anatomy(), anatomy() + 7]), DimensionIndexSequence=[pointer]
        ),
        folder / "a.dcm",
    )
    return Right(volumes=(anatomy(), anatomy() + 7))


@odd
def frames_of_one_dimension_that_orders_slices(folder: Path) -> Right:
    """One dimension, the place in the stack: it tells no volumes apart, and is sound. PS3.3 C.7.6.17."""
    groups = [frame(0, 0, 3.0 * z, content={"DimensionIndexValues": z + 1}) for z in range(6)]
    save(
        enhanced(groups, DimensionIndexSequence=[item(DimensionIndexPointer=0x00209057)]),
        folder / "a.dcm",
    )
    return Right(volumes=(anatomy(),))


@odd
def acquisition_numbers_at_the_top_and_per_frame(folder: Path) -> Right:
    """Two acquisitions of the same places, told apart by Frame Acquisition Number while the top says 1. PS3.3 C.7.6.16.2.2."""
    groups = [
        frame(0, 0, 3.0 * z, content={"FrameAcquisitionNumber": number})
        for number in (1, 2)
        for z in range(6)
    ]
    save(
        enhanced(groups, np.concatenate([anatomy(), anatomy() + 7]), AcquisitionNumber=1),
        folder / "a.dcm",
    )
    return Right(volumes=(anatomy(), anatomy() + 7))


@odd
def converted_from_single_frames(folder: Path) -> Right:
    """Legacy Converted Enhanced MR: what has no functional group, such as Echo Time, lies in the unassigned attributes. PS3.3 A.71, C.7.6.16.2.26."""
    groups = [
        frame(0, 0, 3.0 * z, UnassignedPerFrameConvertedAttributesSequence=[item(EchoTime=echo)])
        for echo in (4.9, 7.4)
        for z in range(6)
    ]
    save(
        enhanced(
            groups,
            np.concatenate([anatomy(), anatomy() + 7]),
            SOPClassUID=LegacyConvertedEnhancedMRImageStorage,
        ),
        folder / "a.dcm",
    )
    return Right(volumes=(anatomy(), anatomy() + 7))


@odd
def an_enhanced_object_that_is_called_a_mosaic(folder: Path) -> Right:
    """Siemens XA parts its mosaics into frames and leaves the word in Image Type. rordenlab/dcm2niix#553."""
    word = [*NORMAL, "MOSAIC"]
    groups = [
        frame(0, 0, 3.0 * z, MRImageFrameTypeSequence=[item(FrameType=word)]) for z in range(6)
    ]
    save(enhanced(groups, ImageType=word), folder / "a.dcm")
    return Right(volumes=(anatomy(),))


@odd
def a_frame_of_an_enhanced_object_that_is_called_a_mosaic(folder: Path) -> Right:
    """The same with one frame a file, as its slices are exported one by one. PS3.3 C.7.6.16."""
    for z, plane in enumerate(anatomy()):
        data = enhanced([frame(0, 0, 3.0 * z)], plane[None], ImageType=[*NORMAL, "MOSAIC"])
        save(changed(data, {"SOPInstanceUID": f"{data.SOPInstanceUID}.{z}"}), folder / f"{z}.dcm")
    return Right(volumes=(anatomy(),))


@odd
def single_slices_that_are_called_mosaics(folder: Path) -> Right:
    """Single-frame slices that keep the word, as converters of enhanced objects leave it: each is no larger than the matrix that was
    acquired, while a mosaic has two tiles or more each way. PS3.3 C.8.3.1 (Acquisition Matrix)."""
    for number, plane in enumerate(anatomy(), 1):
        data = header(
            MRImageStorage,
            "MR",
            number,
            ImageType=[*NORMAL, "MOSAIC"],
            AcquisitionMatrix=[24, 0, 0, 20],
        )
        save(at(with_pixels(data, plane), 0, 0, 3.0 * number), folder / f"{number}.dcm")
    return Right(volumes=(anatomy(),))


@odd
def a_mosaic_without_its_private_header(folder: Path) -> Right:
    """A mosaic whose private elements a de-identifier took: nobody knows where its tiles lie. rordenlab/dcm2niix#337."""
    picture = anatomy(4).reshape(2, 2, 24, 20).swapaxes(1, 2).reshape(48, 40)
    data = header(
        MRImageStorage, "MR", ImageType=[*NORMAL, "MOSAIC"], AcquisitionMatrix=[24, 0, 0, 20]
    )
    save(at(with_pixels(data, picture), 0, 0, 0), folder / "a.dcm")
    return Right(rejects={"unplaced_mosaic": 1})


def grid(positions: list[tuple[float, ...]], **elements: object) -> Dataset:
    """Six slices of United Imaging in two rows of three tiles."""
    picture = anatomy().reshape(2, 3, 24, 20).swapaxes(1, 2).reshape(48, 60)
    data = header(MRImageStorage, "MR", ImageType=["ORIGINAL", "PRIMARY", "M", "VFRAME"])
    data.add_new(0x00650010, "LO", "Image Private Header")
    data.add_new(0x00651050, "DS", "6")
    data.add_new(
        0x00651051, "SQ", [item(ImagePositionPatient=list(position)) for position in positions]
    )
    data.ImageOrientationPatient, data.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.8, 0.6]
    return changed(with_pixels(data, picture), elements)


@odd
def a_grid_of_united_imaging(folder: Path) -> Right:
    """A volume in one picture, its slices' places in a private sequence; the grid is no square. dcm2niix, UIH/README.md; neurolabusc/dcm_qa_uih."""
    save(grid([(5, 6, 3.0 * z) for z in range(6)]), folder / "a.dcm")
    return Right(volumes=(anatomy(),))


@odd
def a_grid_downwards(folder: Path) -> Right:
    """The first tile lies at the top: each slice's own place counts. dcm2niix, UIH/README.md."""
    save(grid([(5, 6, -3.0 * z) for z in range(6)]), folder / "a.dcm")
    return Right(volumes=(anatomy()[::-1],))


@odd
def a_grid_without_value_representations(folder: Path) -> Right:
    """Sent on in implicit VR, where nothing says that the private sequence is one. PS3.5 6.2.2, 7.1.3."""
    data = grid([(5, 6, 3.0 * z) for z in range(6)])
    data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    save(data, folder / "a.dcm")
    return Right(volumes=(anatomy(),))


@odd
def a_grid_with_fewer_places_than_slices(folder: Path) -> Right:
    """Five places of six slices: which tile lies where is not known. dcm2niix, UIH/README.md."""
    save(grid([(5, 6, 3.0 * z) for z in range(5)]), folder / "a.dcm")
    return Right(rejects={"unplaced_mosaic": 1})


def tomogram(stored: np.ndarray, **elements: object) -> Dataset:
    """SPECT, axial, its first slice at z = 200, and each next one 4.4 mm above."""
    count = len(stored)
    data = header(
        NuclearMedicineImageStorage,
        "NM",
        ImageType=["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"],
        SpacingBetweenSlices=4.4,
        SliceThickness=4.4,
        PixelSpacing=[4.4, 4.4],
        NumberOfSlices=count,
        SliceVector=list(range(1, count + 1)),
        FrameIncrementPointer=0x00540080,
    )
    data.DetectorInformationSequence = [
        item(ImagePositionPatient=[-40, -50, 200], ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    ]
    return changed(with_pixels(data, stored), elements)


@odd
def a_tomogram_upwards(folder: Path) -> Right:
    """SPECT whose first slice lies lowest. PS3.3 C.8.4.11, C.8.4.15."""
    save(tomogram(anatomy(), RescaleSlope=0.5, RescaleIntercept=0), folder / "a.dcm")
    return Right(volumes=(anatomy() * 0.5,))


@odd
def a_tomogram_downwards(folder: Path) -> Right:
    """Spacing Between Slices is negative: the frames follow to the other side. PS3.3 Table C.8-15; OHIF/Viewers#4352, rordenlab/dcm2niix#885."""
    save(tomogram(anatomy(), SpacingBetweenSlices=-4.4), folder / "a.dcm")
    return Right(volumes=(anatomy()[::-1],))


@odd
def a_tomogram_whose_slice_vector_runs_backwards(folder: Path) -> Right:
    """The slice vector says which slice each frame is. PS3.3 C.8.4.8.1.2."""
    save(tomogram(anatomy(), SliceVector=[6, 5, 4, 3, 2, 1]), folder / "a.dcm")
    return Right(volumes=(anatomy()[::-1],))


@odd
def a_gated_tomogram(folder: Path) -> Right:
    """Two time slots of a heartbeat, each of all slices. PS3.3 C.8.4.8 (RECON GATED TOMO)."""
    save(
        tomogram(
            np.concatenate([anatomy(), anatomy() + 7]),
            ImageType=["ORIGINAL", "PRIMARY", "RECON GATED TOMO", "EMISSION"],
            NumberOfSlices=6,
            SliceVector=[*range(1, 7)] * 2,
            TimeSlotVector=[1] * 6 + [2] * 6,
            RRIntervalVector=[1] * 12,
            FrameIncrementPointer=[0x00540060, 0x00540070, 0x00540080],
        ),
        folder / "a.dcm",
    )
    return Right(volumes=(anatomy(), anatomy() + 7))


@odd
def a_tomogram_of_two_energies(folder: Path) -> Right:
    """Two energy windows are two volumes. PS3.3 C.8.4.8.1.1."""
    save(
        tomogram(
            np.concatenate([anatomy(), anatomy() + 7]),
            NumberOfSlices=6,
            SliceVector=[*range(1, 7)] * 2,
            EnergyWindowVector=[1] * 6 + [2] * 6,
        ),
        folder / "a.dcm",
    )
    return Right(volumes=(anatomy(), anatomy() + 7))


@odd
def a_tomogram_with_a_frame_less_than_it_says(folder: Path) -> Right:
    """Number of Slices says seven and six are there. PS3.3 C.8.4.8."""
    save(tomogram(anatomy(), NumberOfSlices=7), folder / "a.dcm")
    return Right(rejects={"missing_slice": 1})


@odd
def a_tomogram_without_a_place(folder: Path) -> Right:
    """Its detector says no place, as type 2 elements may: which way is up is not known. PS3.3 C.8.4.11."""
    save(
        tomogram(anatomy(), DetectorInformationSequence=[item(CollimatorType="PARA")]),
        folder / "a.dcm",
    )
    return Right(rejects={"no_orientation": 1})


@odd
def a_tomogram_of_one_file_a_slice(folder: Path) -> Right:
    """Each slice is a file of one frame, and its detector says its place. PS3.3 C.8.4.11."""
    for z, plane in enumerate(anatomy()):
        detector = item(
            ImagePositionPatient=[-40, -50, 200 + 4.4 * z],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        )
        data = tomogram(
            plane[None], NumberOfSlices=6, SliceVector=z + 1, DetectorInformationSequence=[detector]
        )
        save(changed(data, {"SOPInstanceUID": f"{data.SOPInstanceUID}.{z}"}), folder / f"{z}.dcm")
    return Right(volumes=(anatomy(),))


@odd
def projections_of_a_gamma_camera(folder: Path) -> Right:
    """Projections around a patient are no volume: their vectors are of angles, and none is of slices. PS3.3 C.8.4.8."""
    data = tomogram(
        anatomy(),
        ImageType=["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"],
        FrameIncrementPointer=0x00540090,
        AngularViewVector=list(range(1, 7)),
    )
    del data.SliceVector
    save(data, folder / "a.dcm")
    return Right(rejects={"multi_frame": 1})


def ultrasound(groups: list[Dataset], geometry: str) -> Dataset:
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=[0.8, 0.6], SliceThickness=3)],
        PlaneOrientationVolumeSequence=[item(ImageOrientationVolume=[1, 0, 0, 0, 1, 0])],
    )
    data = header(
        EnhancedUSVolumeStorage,
        "US",
        ImageType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        BurnedInAnnotation="NO",
        UltrasoundAcquisitionGeometry=geometry,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=groups,
    )
    return with_pixels(data, (anatomy() % 256).astype(np.uint8))


@odd
def an_ultrasound_volume_of_the_probe(folder: Path) -> Right:
    """Enhanced US Volume is an image, though its name lacks the word; its planes lie in the probe's space, so which way is up in the patient
    is not known. PS3.3 C.8.24.2, PS3.4 B.5; fo-dicom/fo-dicom#755."""
    save(
        ultrasound(
            [
                item(PlanePositionVolumeSequence=[item(ImagePositionVolume=[0, 0, 3.0 * z])])
                for z in range(6)
            ],
            "APEX",
        ),
        folder / "a.dcm",
    )
    return Right(rejects={"no_orientation": 1})


@odd
def an_ultrasound_volume_of_the_patient(folder: Path) -> Right:
    """The same with the planes' places in the patient, as Ultrasound Acquisition Geometry PATIENT has them. PS3.3 C.8.24.2."""
    groups = [
        frame(
            0, 0, 3.0 * z, PlanePositionVolumeSequence=[item(ImagePositionVolume=[9, 9, -3.0 * z])]
        )
        for z in range(6)
    ]
    save(ultrasound(groups, "PATIENT"), folder / "a.dcm")
    return Right(volumes=(anatomy() % 256,))


@odd
def a_film_of_ultrasound(folder: Path) -> Right:
    """A cine without any place stays one. PS3.3 A.7."""
    data = header(UltrasoundMultiFrameImageStorage, "US", BurnedInAnnotation="NO", FrameTime=40)
    save(with_pixels(data, (anatomy() % 256).astype(np.uint8)), folder / "a.dcm")
    return Right(rejects={"multi_frame": 1})


@odd
def one_damaged_frame_of_two_volumes(folder: Path) -> Right:
    """A compressed frame is cut: its volume is refused, the other is sound. PS3.5 A.4."""
    planes = (
        np.random.default_rng(0).integers(0, 999, (12, 40, 40)).astype(np.uint16)
    )  # the encoder refuses smaller ones
    groups = [
        frame(0, 0, 3.0 * z, content={"TemporalPositionIndex": moment})
        for moment in (1, 2)
        for z in range(6)
    ]
    data = enhanced(groups, planes)
    data.compress(JPEG2000Lossless, generate_instance_uid=False)
    pieces = []
    content, start = bytes(data.PixelData), 0
    while content[start : start + 4] == b"\xfe\xff\x00\xe0":
        length = struct.unpack_from("<I", content, start + 4)[0]
        pieces.append(content[start + 8 : start + 8 + length])
        start += 8 + length
    pieces = pieces[1:]
    pieces[8] = pieces[8][: len(pieces[8]) // 2]
    data.PixelData = encapsulate(pieces)
    data["PixelData"].is_undefined_length = True
    save(data, folder / "a.dcm")
    return Right(volumes=(planes[:6],))


@odd
def a_dual_energy_ct_in_one_file(folder: Path) -> Right:
    """Frames of two tube voltages at the same places are two volumes, if their image type or number says so. PS3.3 C.8.15.3.7."""
    groups = [
        frame(
            0,
            0,
            3.0 * z,
            content={"FrameAcquisitionNumber": number},
            CTXRayDetailsSequence=[item(KVP=kilovolts)],
            CTImageFrameTypeSequence=[item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])],
            PixelValueTransformationSequence=[
                item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
            ],
        )
        for number, kilovolts in ((1, 80), (2, 140))
        for z in range(6)
    ]
    save(
        enhanced(
            groups,
            np.concatenate([anatomy(), anatomy() + 7]),
            SOPClassUID=EnhancedCTImageStorage,
            Modality="CT",
        ),
        folder / "a.dcm",
    )
    return Right(volumes=(anatomy() - 1024.0, anatomy() - 1017.0))


def parts_of_one(folder: Path, parts: tuple[int, ...], **elements: object) -> None:
    """A concatenation of three files of two frames each, of which `parts` are written."""
    for part in parts:
        planes = range(2 * part, 2 * part + 2)
        data = enhanced(
            [frame(0, 0, 3.0 * z) for z in planes],
            anatomy()[list(planes)],
            ConcatenationUID="1.2.3.4",
            InConcatenationNumber=part + 1,
            ConcatenationFrameOffsetNumber=2 * part,
            **elements,
        )
        save(
            changed(data, {"SOPInstanceUID": f"{data.SOPInstanceUID}.{part}"}),
            folder / f"{part}.dcm",
        )


@odd
def a_concatenation(folder: Path) -> Right:
    """One enhanced object in three files, each with its part of the frames. PS3.3 C.7.6.16.2.2.4."""
    parts_of_one(folder, (0, 1, 2), InConcatenationTotalNumber=3)
    return Right(volumes=(anatomy(),))


@odd
def a_concatenation_that_lost_its_end(folder: Path) -> Right:
    """The last file is missing, and In-concatenation Total Number tells. PS3.3 C.7.6.16.2.2.4."""
    parts_of_one(folder, (0, 1), InConcatenationTotalNumber=3)
    return Right(rejects={"missing_slice": 2})


@odd
def a_concatenation_that_lost_its_beginning(folder: Path) -> Right:
    """The first file is missing; how many there are is not stated, and need not be. PS3.3 C.7.6.16.2.2.4."""
    parts_of_one(folder, (1, 2))
    return Right(rejects={"missing_slice": 2})


@odd
def what_a_converter_could_not_assign_tells_apart(folder: Path) -> Right:
    """b-values in private elements and times of classic images, which a converted object keeps per frame, unassigned. PS3.3 C.7.6.16.2.26."""

    def unassigned(moment: int) -> Dataset:
        data = item(AcquisitionTime=f"1000{moment:02}")
        data.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(
            0x0C, "IS", 500 * (moment // 2)
        )
        return data

    volumes = [(anatomy() + 7 * moment).astype(np.int16) for moment in range(4)]
    groups = [
        frame(0, 0, 3.0 * z, UnassignedPerFrameConvertedAttributesSequence=[unassigned(moment)])
        for moment in range(4)
        for z in range(6)
    ]
    save(
        enhanced(
            groups, np.concatenate(volumes), SOPClassUID=LegacyConvertedEnhancedMRImageStorage
        ),
        folder / "a.dcm",
    )
    return Right(volumes=tuple(volumes))


@odd
def an_ultrasound_volume_of_two_data_types(folder: Path) -> Right:
    """Tissue and flow of the same places are two volumes. PS3.3 C.8.24.6.3 (Data Type)."""
    groups = [
        frame(
            0,
            0,
            3.0 * z,
            PlanePositionVolumeSequence=[item(ImagePositionVolume=[0, 0, 3.0 * z])],
            ImageDataTypeSequence=[item(DataType=kind)],
        )
        for kind in ("TISSUE_INTENSITY", "FLOW_VELOCITY")
        for z in range(6)
    ]
    stored = (np.concatenate([anatomy(), anatomy() + 7]) % 256).astype(np.uint8)
    save(with_pixels(ultrasound(groups, "PATIENT"), stored), folder / "a.dcm")
    return Right(volumes=(stored[:6], stored[6:]))


@odd
def magnetisation_transfer_on_and_off(folder: Path) -> Right:
    """A pair of volumes of which one is taken with a saturation pulse. PS3.3 C.8.13.5.6 (MR Modifier)."""
    groups = [
        frame(0, 0, 3.0 * z, MRModifierSequence=[item(MagnetizationTransfer=kind)])
        for kind in ("NONE", "ON_RESONANCE")
        for z in range(6)
    ]
    save(enhanced(groups, np.concatenate([anatomy(), anatomy() + 7])), folder / "a.dcm")
    return Right(volumes=(anatomy(), anatomy() + 7))


@odd
def directions_of_flow(folder: Path) -> Right:
    """Phase contrast of two directions. PS3.3 C.8.13.5.11 (MR Velocity Encoding)."""
    groups = [
        frame(
            0,
            0,
            3.0 * z,
            MRVelocityEncodingSequence=[
                item(VelocityEncodingDirection=[float(axis == 0), float(axis == 1), 0.0])
            ],
        )
        for axis in range(2)
        for z in range(6)
    ]
    save(enhanced(groups, np.concatenate([anatomy(), anatomy() + 7])), folder / "a.dcm")
    return Right(volumes=(anatomy(), anatomy() + 7))


@odd
def frames_by_their_reference_time(folder: Path) -> Right:
    """Frame Reference DateTime alone tells two moments apart, as enhanced PET has it. PS3.3 C.7.6.16.2.2."""
    groups = [
        frame(0, 0, 3.0 * z, content={"FrameReferenceDateTime": f"2020010110{moment:02}00"})
        for moment in range(2)
        for z in range(6)
    ]
    save(enhanced(groups, np.concatenate([anatomy(), anatomy() + 7])), folder / "a.dcm")
    return Right(volumes=(anatomy(), anatomy() + 7))

"""What must agree within a volume, and what tells the volumes of one place apart. Elements and their sources: data_prep/readers/dicom/meaning.py."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage

from tests.odd_series.case import Right, odd
from tests.odd_series.made import ROOT, anatomy, at, changed, header, save, with_pixels

HU = {
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "RescaleSlope": 1,
    "RescaleIntercept": 0,
    "RescaleType": "HU",
}
MAGNITUDE = ["ORIGINAL", "PRIMARY", "M"]
STEP = 3.0  # mm


def moments(count: int, places: int = 6) -> list[np.ndarray]:
    """Volumes of the same anatomy that differ everywhere."""
    return [(anatomy(places) + 11 * moment).astype(np.int16) for moment in range(count)]


def mr(plane: np.ndarray, number: int | None, height: float, **elements: object) -> Dataset:
    return at(
        with_pixels(header(MRImageStorage, "MR", **({"ImageType": MAGNITUDE} | elements)), plane),
        0,
        0,
        height,
        InstanceNumber=number,
    )


def ct(plane: np.ndarray, number: int, height: float, **elements: object) -> Dataset:
    return changed(
        at(with_pixels(header(CTImageStorage, "CT", number, **HU), plane), 0, 0, height), elements
    )


def private(data: Dataset, group: int, creator: str, **elements: object) -> Dataset:
    """Private elements, named by the last byte and the VR, as x2F_SS."""
    block = data.private_block(group, creator, create=True)
    for name, value in elements.items():
        block.add_new(int(name[1:3], 16), name[4:], value)
    return data


def write(folder: Path, slices: Iterable[Dataset]) -> None:
    """Files whose names and UIDs say nothing of their order."""
    for number, data in enumerate(slices):
        data.SOPInstanceUID = f"{ROOT}.77.{number * 7 % 10007}"
        save(data, folder / f"{number * 7 % 10007:05}.dcm")


def volume_by_volume(volumes: list[np.ndarray]) -> Iterable[tuple[int, int, np.ndarray]]:
    """Volume, place and plane."""
    return [
        (moment, place, plane)
        for moment, volume in enumerate(volumes)
        for place, plane in enumerate(volume)
    ]


def in_halves(
    folder: Path, first: dict[str, object], second: dict[str, object], by_turns: bool
) -> Right:
    write(
        folder,
        (
            ct(
                plane,
                place + 1,
                STEP * place,
                **((first, second)[place % 2 if by_turns else place // 3]),
            )
            for place, plane in enumerate(anatomy())
        ),
    )
    return Right(rejects={"mixed_values": 6})


def at_the_same_places(folder: Path, first: dict[str, object], second: dict[str, object]) -> Right:
    volumes = moments(2)
    write(
        folder,
        (
            ct(plane, 1 + place + 6 * moment, STEP * place, **(first, second)[moment])
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(volumes))


SOFT, SHARP = {"ConvolutionKernel": ["Br40d", "3"]}, {"ConvolutionKernel": ["Br64d", "3"]}
LOW, HIGH = {"KVP": 80}, {"KVP": 140}
ONE, OTHER = {"FrameOfReferenceUID": "1.2.3.1"}, {"FrameOfReferenceUID": "1.2.3.2"}


@odd
def kernels_one_after_the_other(folder: Path) -> Right:
    """Half of a volume by a soft kernel and half by a sharp one: greys that are not comparable. PS3.3 C.8.2.1 (Convolution Kernel)."""
    return in_halves(folder, SOFT, SHARP, by_turns=False)


@odd
def kernels_by_turns(folder: Path) -> Right:
    """Every other slice of another kernel; no volume of either is there as a whole. PS3.3 C.8.2.1."""
    return in_halves(folder, SOFT, SHARP, by_turns=True)


@odd
def kernels_of_the_same_places(folder: Path) -> Right:
    """Two reconstructions of one scan in one series: each is a volume. PS3.3 C.8.2.1; rordenlab/dcm2niix names them by kernel."""
    return at_the_same_places(folder, SOFT, SHARP)


@odd
def voltages_by_turns(folder: Path) -> Right:
    """A dual-energy scan whose voltages alternate from slice to slice. PS3.3 C.8.2.1 (KVP)."""
    return in_halves(folder, LOW, HIGH, by_turns=True)


@odd
def voltages_of_the_same_places(folder: Path) -> Right:
    """A dual-energy scan with a slice of each voltage at each place: two volumes. PS3.3 C.8.2.1 (KVP)."""
    return at_the_same_places(folder, LOW, HIGH)


@odd
def frames_of_reference_one_after_the_other(folder: Path) -> Right:
    """Positions of two frames of reference have no common place, though their numbers go on. PS3.3 C.7.4.1."""
    return in_halves(folder, ONE, OTHER, by_turns=False)


@odd
def frames_of_reference_of_the_same_numbers(folder: Path) -> Right:
    """Two frames of reference of which each has the whole stack. PS3.3 C.7.4.1."""
    return at_the_same_places(folder, ONE, OTHER)


@odd
def scanning_sequences_by_turns(folder: Path) -> Right:
    """Spin echoes and gradient echoes have other contrasts. PS3.3 C.8.3.1.1.1."""
    write(
        folder,
        (
            mr(plane, place + 1, STEP * place, ScanningSequence=("SE", "GR")[place % 2])
            for place, plane in enumerate(anatomy())
        ),
    )
    return Right(rejects={"mixed_values": 6})


@odd
def units_of_pet_one_after_the_other(folder: Path) -> Right:
    """Half of a PET volume in Bq/ml, half in counts. PS3.3 C.8.9.1.1.3 (Units)."""
    write(
        folder,
        (
            at(
                with_pixels(
                    header(
                        PositronEmissionTomographyImageStorage,
                        "PT",
                        place + 1,
                        Units=("BQML", "CNTS")[place // 3],
                        RescaleSlope=1,
                        RescaleIntercept=0,
                    ),
                    plane,
                ),
                0,
                0,
                STEP * place,
            )
            for place, plane in enumerate(anatomy())
        ),
    )
    return Right(rejects={"mixed_values": 6})


@odd
def a_ct_of_which_all_varies_that_may(folder: Path) -> Right:
    """Tube current, exposure, dose, table height, acquisition, times and windows change along one sound volume. PS3.3 C.8.2.1, C.11.2."""
    write(
        folder,
        (
            ct(
                plane,
                40 - 2 * place,
                STEP * place,
                **SOFT,
                **LOW,
                XRayTubeCurrent=200 + 17 * place,
                Exposure=90 - place,
                ExposureTime=500 + place,
                CTDIvol=7.5 + place,
                TableHeight=150 + 0.5 * place,
                AcquisitionNumber=1 + place % 3,
                AcquisitionTime=f"1000{place:02}",
                ContentTime=f"1001{place:02}",
                WindowCenter=40 + place,
                WindowWidth=400 - place,
                SliceLocation=place,
                SmallestImagePixelValue=place,
                AcquisitionDateTime=f"202001011000{place:02}",
            )
            for place, plane in enumerate(anatomy())
        ),
    )
    return Right(volumes=(anatomy(),))


@odd
def a_gated_mr_of_which_all_varies_that_may(folder: Path) -> Right:
    """Two slices a heartbeat: delays alternate, and TR, inversion time and SAR follow the heart. One volume. PS3.3 C.8.3.1, C.7.6.18."""
    write(
        folder,
        (
            mr(
                plane,
                place + 1,
                STEP * place,
                TriggerTime=100 + 400 * (place % 2),
                RepetitionTime=880 + 7 * place,
                SAR=0.1 * place,
                InversionTime=500 + 30 * (place % 2),
                HeartRate=60 + place,
                NominalInterval=900 + place,
                EchoTime=2.5 + 0.001 * place,
                FrameReferenceTime=100 * place,
                dBdt=place,
            )
            for place, plane in enumerate(anatomy())
        ),
    )
    return Right(volumes=(anatomy(),))


@odd
def a_volume_in_two_passes(folder: Path) -> Right:
    """Odd and even slices of two acquisitions, each with gaps that the other fills; the stated spacing is that of both. PS3.3 C.8.3.1."""
    write(
        folder,
        (
            mr(
                plane,
                place + 1,
                STEP * place,
                AcquisitionNumber=1 + place % 2,
                AcquisitionTime=f"1000{place % 2}0",
                SpacingBetweenSlices=STEP,
            )
            for place, plane in enumerate(anatomy())
        ),
    )
    return Right(volumes=(anatomy(),))


def half_a_step_apart(folder: Path, **told: tuple[object, object]) -> Right:
    volumes = moments(2)
    write(
        folder,
        (
            mr(
                plane,
                1 + place + 6 * moment,
                STEP * (place + moment / 2),
                **{keyword: values[moment] for keyword, values in told.items()},
            )
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(volumes))


@odd
def time_points_half_a_step_apart(folder: Path) -> Right:
    """The patient, or a scanner that follows him, moved by half a step: an even stack of all slices that mixes two moments. PS3.3 C.8.3.1."""
    return half_a_step_apart(
        folder, TemporalPositionIdentifier=(1, 2), NumberOfTemporalPositions=(2, 2)
    )


@odd
def acquisitions_half_a_step_apart_by_the_clock(folder: Path) -> Right:
    """As above, told by acquisitions that are each of one time. PS3.3 C.7.6.1 (Acquisition Number, Acquisition Time)."""
    return half_a_step_apart(folder, AcquisitionNumber=(1, 2), AcquisitionTime=("100000", "100200"))


@odd
def acquisitions_half_a_step_apart_by_their_spacing(folder: Path) -> Right:
    """As above, where each acquisition has the stated spacing by itself. PS3.3 C.8.3.1 (Spacing Between Slices)."""
    return half_a_step_apart(folder, AcquisitionNumber=(1, 2), SpacingBetweenSlices=(STEP, STEP))


@odd
def phases_half_a_step_apart(folder: Path) -> Right:
    """As above, told by the time after the heartbeat and the stated number of phases. PS3.3 C.8.3.1 (Cardiac Number of Images)."""
    return half_a_step_apart(folder, TriggerTime=(20.0, 420.0), CardiacNumberOfImages=(2, 2))


@odd
def time_points_that_moved_a_little(folder: Path) -> Right:
    """A scanner that follows the head gives each moment places of its own (prospective motion correction). PS3.3 C.8.3.1."""
    volumes = moments(3)
    write(
        folder,
        (
            mr(
                plane,
                1 + place + 6 * moment,
                STEP * place + 0.13 * moment,
                TemporalPositionIdentifier=1 + moment,
            )
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(volumes))


@odd
def time_points_that_moved_a_whole_step(folder: Path) -> Right:
    """As above, by a step, so that most places are shared. PS3.3 C.8.3.1."""
    volumes = moments(2)
    write(
        folder,
        (
            mr(plane, 1 + place + 6 * moment, STEP * (place + moment), AcquisitionNumber=1 + moment)
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(volumes))


def polarity(folder: Path, sequence: str, mode: int) -> None:
    volumes = moments(2)
    write(
        folder,
        (
            private(
                mr(
                    plane,
                    1 + place + 6 * moment,
                    STEP * place,
                    TemporalPositionIdentifier=1 + moment,
                ),
                0x0019,
                "GEMS_ACQU_01",
                x9C_LO=sequence,
                xB3_DS=mode,
            )
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )


@odd
def reversed_polarity(folder: Path) -> Right:
    """GE's epi_pepolar turns every other volume upside down; only private elements name it. neurolabusc/dcm_qa_polar, rordenlab/dcm2niix#532."""
    polarity(folder, "epi_pepolar", 2)
    return Right(volumes=tuple(moments(2)), flags=frozenset({"reversed_rows"}))


@odd
def diffusion_directions(folder: Path) -> Right:
    """One b=0 and six directions of one b-value, numbered volume by volume. PS3.3 C.8.13.5.9; seen in neurolabusc/dcm_qa_toshiba."""
    volumes = moments(7)
    directions = [
        None,
        (1, 0, 0),
        (0, 1, 0),
        (0, 0, 1),
        (0.7071, 0.7071, 0),
        (0.7071, 0, 0.7071),
        (0, 0.7071, 0.7071),
    ]
    write(
        folder,
        (
            mr(
                plane,
                1,
                STEP * place,
                NumberOfTemporalPositions=1,
                **(
                    {
                        "DiffusionBValue": 1000.0,
                        "DiffusionGradientOrientation": list(directions[moment]),
                    }
                    if moment
                    else {}
                ),
            )
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(volumes))


@odd
def diffusion_told_privately_by_siemens(folder: Path) -> Right:
    """Classic images of Siemens before XA: b-value and direction in group 0019. pydicom's private dictionary, SIEMENS MR HEADER."""
    volumes = moments(4)
    write(
        folder,
        (
            private(
                mr(plane, 1, STEP * place),
                0x0019,
                "SIEMENS MR HEADER",
                x0C_IS=1000 if moment else 0,
                **({"x0E_FD": [float(moment == axis) for axis in (1, 2, 3)]} if moment else {}),
            )
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(volumes))


@odd
def diffusion_told_privately_by_ge(folder: Path) -> Right:
    """Directions in user data 20 to 22 of group 0019. rordenlab/dcm2niix, GE/README.md; seen in neurolabusc/dcm_qa_ge."""
    volumes = moments(4)
    write(
        folder,
        (
            private(
                mr(plane, 1, STEP * place, **({"DiffusionBValue": 1000} if moment else {})),
                0x0019,
                "GEMS_ACQU_01",
                xBB_DS=float(moment == 1),
                xBC_DS=float(moment == 2),
                xBD_DS=float(moment == 3),
            )
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(volumes))


@odd
def diffusion_told_privately_by_united_imaging(folder: Path) -> Right:
    """b-value and direction in group 0065. rordenlab/dcm2niix, UIH/README.md."""
    volumes = moments(3)
    write(
        folder,
        (
            private(
                mr(plane, 1, STEP * place),
                0x0065,
                "Image Private Header",
                x09_FD=700.0 * bool(moment),
                x37_FD=[0.0, float(moment == 1), float(moment == 2)],
            )
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(volumes))


@odd
def labels_delays_and_repeats(folder: Path) -> Right:
    """ASL of Philips: two moments of label and control, of two delays that differ from slice to slice. neurolabusc/dcm_qa_philips_asl."""
    volumes = moments(8)

    def slice_(moment: int, place: int, plane: np.ndarray) -> Dataset:
        data = mr(
            plane,
            1,
            STEP * place,
            TemporalPositionIdentifier=1 + moment // 4,
            TriggerTime=300 + 250 * (moment % 2) + 9 * place,
        )
        private(
            data, 0x2005, "Philips MR Imaging DD 005", x29_CS=("CONTROL", "LABEL")[moment // 2 % 2]
        )
        return private(data, 0x2001, "Philips Imaging DD 001", x08_IS=1 + moment % 2)

    write(folder, (slice_(*each) for each in volume_by_volume(volumes)))
    return Right(volumes=tuple(volumes))


@odd
def inversion_times(folder: Path) -> Right:
    """A T1 map: ten inversion times of each place, numbered place by place. rordenlab/dcm2niix#845; PS3.3 C.8.3.1 (Inversion Time)."""
    volumes = moments(10, 5)
    write(
        folder,
        (
            mr(
                volumes[moment][place],
                1 + moment + 10 * place,
                8.0 * place,
                InversionTime=time,
                AcquisitionNumber=1,
            )
            for place in range(5)
            for moment, time in enumerate((100, 180, 260, 900, 980, 1060, 1700, 1780, 2500, 3300))
        ),
    )
    return Right(volumes=tuple(volumes))


@odd
def dynamic_pet(folder: Path) -> Right:
    """Frames of unlike length over the same places, each slice with its own slope. PS3.3 C.8.9.1, C.8.9.4; rordenlab/dcm2niix#407."""
    volumes = moments(3)
    write(
        folder,
        (
            at(
                with_pixels(
                    header(
                        PositronEmissionTomographyImageStorage,
                        "PT",
                        1,
                        Units="BQML",
                        RescaleType="BQML",
                        NumberOfSlices=6,
                        NumberOfTimeSlices=3,
                        SeriesType=["DYNAMIC", "IMAGE"],
                        RescaleSlope=0.5 + 0.01 * place,
                        RescaleIntercept=0,
                        FrameReferenceTime=(5000, 25000, 70000)[moment] + 13.5 * place,
                    ),
                    plane,
                ),
                0,
                0,
                STEP * place,
            )
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(
        volumes=tuple(
            np.stack([(0.5 + 0.01 * place) * plane for place, plane in enumerate(volume)])
            for volume in volumes
        )
    )


@odd
def cine_by_heartbeat(folder: Path) -> Right:
    """Phases of the heart whose trigger times differ from slice to slice, since hearts do. PS3.3 C.8.3.1 (Trigger Time)."""
    volumes, beats = moments(5), np.random.default_rng(3).uniform(0.8, 1.2, 6)
    write(
        folder,
        (
            mr(
                plane,
                None,
                STEP * place,
                TriggerTime=round(moment * 160 * beats[place] + 3 * place, 2),
                CardiacNumberOfImages=5,
            )
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(volumes))


@odd
def moments_by_the_clock_over_midnight(folder: Path) -> Right:
    """Each slice has a time of its own, volume after volume, and the second begins after midnight. PS3.3 C.7.6.1."""
    volumes = moments(2)
    write(
        folder,
        (
            mr(
                plane,
                None,
                STEP * place,
                AcquisitionDate=f"2020010{1 + moment}",
                AcquisitionTime=f"{('2359', '0001')[moment]}{10 + place}.5",
            )
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(volumes))


@odd
def numbered_volume_by_volume(folder: Path) -> Right:
    """fMRI of GE of which only the Instance Number tells the moments apart. Seen in neurolabusc/dcm_qa_ge."""
    volumes = moments(3)
    write(
        folder,
        (
            mr(plane, 1 + place + 6 * moment, STEP * place)
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(volumes))


@odd
def numbered_place_by_place(folder: Path) -> Right:
    """As above, all moments of a place after each other. Seen in neurolabusc/dcm_qa_philips_asl and dcm_qa_ge."""
    volumes = moments(3)
    write(
        folder,
        (
            mr(plane, 1 + moment + 3 * place, STEP * place)
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(volumes))


@odd
def numbers_without_order(folder: Path) -> Right:
    """Numbers that run neither from volume to volume nor from place to place say nothing (PS3.3 C.7.6.1), so that any parting is a guess."""
    numbers = np.random.default_rng(1).permutation(18)
    write(
        folder,
        (
            mr(plane, int(numbers[6 * moment + place]), STEP * place)
            for moment, place, plane in volume_by_volume(moments(3))
        ),
    )
    return Right(rejects={"duplicate_position": 18})


@odd
def nothing_tells_apart(folder: Path) -> Right:
    """Two volumes of the same places whose headers are the same. PS3.3 C.7.6.1."""
    write(
        folder,
        (
            mr(plane, 1, STEP * place, SAR=moment)
            for moment, place, plane in volume_by_volume(moments(2))
        ),
    )
    return Right(rejects={"duplicate_position": 12})


@odd
def one_place_twice(folder: Path) -> Right:
    """A slice that was made again beside a sound volume: which of the two belongs to it, nothing says. PS3.3 C.7.6.2."""
    write(
        folder,
        [
            *(mr(plane, place + 1, STEP * place) for place, plane in enumerate(anatomy())),
            mr(anatomy()[0], 7, STEP * 2),
        ],
    )
    return Right(rejects={"duplicate_position": 7})


@odd
def a_copy_under_other_numbers(folder: Path) -> Right:
    """The same slices again, with new UIDs and numbers that go on: a copy and no second moment."""
    write(
        folder,
        (
            mr(plane, 1 + place + 6 * again, STEP * place)
            for again in range(2)
            for place, plane in enumerate(anatomy())
        ),
    )
    return Right(volumes=(anatomy(),), rejects={"duplicate_instance": 6})


@odd
def one_slice_many_times(folder: Path) -> Right:
    """A film of one slice: images, and no volume whose slices collide. PS3.3 C.8.3.1 (Trigger Time)."""
    planes = [(anatomy()[2] + 5 * moment).astype(np.int16) for moment in range(8)]
    write(
        folder,
        (mr(plane, moment + 1, 0, TriggerTime=30 * moment) for moment, plane in enumerate(planes)),
    )
    return Right(volumes=tuple(planes))


@odd
def two_slices_many_times(folder: Path) -> Right:
    """Seven diffusion images of two places (neurolabusc/dcm_qa_ge): too few slices for a volume, so images."""
    volumes = moments(4, 2)
    write(
        folder,
        (
            mr(plane, 1 + place + 2 * moment, STEP * place, DiffusionBValue=100.0 * moment)
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(plane for volume in volumes for plane in volume))


@odd
def magnitude_and_phase_told_by_ge(folder: Path) -> Right:
    """Magnitude, phase, real and imaginary by (0043,xx2F). pydicom's private dictionary, GEMS_PARM_01; rordenlab/dcm2niix, GE/README.md."""
    volumes = moments(4)
    write(
        folder,
        (
            private(mr(plane, 1, STEP * place), 0x0043, "GEMS_PARM_01", x2F_SS=moment)
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(volumes))


@odd
def magnitude_and_phase_told_by_philips(folder: Path) -> Right:
    """Magnitude and phase by (2005,xx11), in a block of another number than usual. PS3.5 7.8.1; rordenlab/dcm2niix, Philips/README.md."""
    volumes = moments(2)

    def slice_(plane: np.ndarray, place: int, kind: str) -> Dataset:
        data = private(mr(plane, 1, STEP * place), 0x2005, "Somebody else")
        return private(data, 0x2005, "Philips MR Imaging DD 001", x11_CS=kind)

    write(
        folder,
        (slice_(plane, place, "MP"[moment]) for moment, place, plane in volume_by_volume(volumes)),
    )
    return Right(volumes=tuple(volumes))


def originals(**elements: object) -> list[Dataset]:
    return [mr(plane, place + 1, STEP * place, **elements) for place, plane in enumerate(anatomy())]


PROJECTION = ["DERIVED", "SECONDARY", "PROJECTION IMAGE", "MIP"]


@odd
def originals_beside_a_mip(folder: Path) -> Right:
    """A projection of the volume in the same series and plane, at the place of one of its slices. PS3.3 C.7.6.1.1.2 (DERIVED)."""
    mip = anatomy().max(axis=0)
    write(folder, [*originals(), mr(mip, 7, STEP * 2, ImageType=PROJECTION)])
    return Right(volumes=(anatomy(), mip))


@odd
def a_mip_that_seems_the_next_slice(folder: Path) -> Right:
    """As above, where the projection lies one step after the last slice. PS3.3 C.7.6.1.1.2."""
    mip = anatomy().max(axis=0)
    write(folder, [*originals(), mr(mip, 7, STEP * 6, ImageType=PROJECTION)])
    return Right(volumes=(anatomy(), mip))


@odd
def originals_beside_mip_and_mpr(folder: Path) -> Right:
    """A projection and thicker slices that were calculated from the volume. PS3.3 C.7.6.1.1.2."""
    mip, thick = anatomy().max(axis=0), (anatomy(4) // 2).astype(np.int16)
    write(
        folder,
        [
            *originals(),
            mr(mip, 7, -40, ImageType=PROJECTION),
            *(
                mr(plane, 8 + place, 1.5 + 4 * place, ImageType=["DERIVED", "SECONDARY", "MPR"])
                for place, plane in enumerate(thick)
            ),
        ],
    )
    return Right(volumes=(anatomy(), mip, thick))


@odd
def moments_beside_a_mip_and_a_stated_count(folder: Path) -> Right:
    """Images in Acquisition counts the slices of all moments; a projection in the series makes one more. PS3.3 C.7.6.1."""
    volumes, mip = moments(3), anatomy().max(axis=0)
    write(
        folder,
        [
            *(
                mr(
                    plane,
                    1 + place + 6 * moment,
                    STEP * place,
                    TemporalPositionIdentifier=1 + moment,
                    ImagesInAcquisition=18,
                )
                for moment, place, plane in volume_by_volume(volumes)
            ),
            mr(mip, 19, 0, ImageType=PROJECTION, ImagesInAcquisition=18),
        ],
    )
    return Right(volumes=(*volumes, mip))


@odd
def a_count_that_is_not_reached(folder: Path) -> Right:
    """As above, but a slice of each moment is lost at the end, and the stated count tells. PS3.3 C.7.6.1 (Images in Acquisition)."""
    write(
        folder,
        [
            *(
                mr(
                    plane,
                    1 + place + 6 * moment,
                    STEP * place,
                    TemporalPositionIdentifier=1 + moment,
                    ImagesInAcquisition=18,
                )
                for moment, place, plane in volume_by_volume(moments(3))
                if place < 5
            )
        ],
    )
    return Right(rejects={"missing_slice": 15})


@odd
def a_count_of_originals_that_is_not_reached(folder: Path) -> Right:
    """Half of the stated slices are lost, and calculated images in the series make up their number. PS3.3 C.7.6.1."""
    thick = (anatomy(7) // 2).astype(np.int16)
    write(
        folder,
        [
            *(
                mr(plane, place + 1, STEP * place, ImagesInAcquisition=12)
                for place, plane in enumerate(anatomy())
            ),
            *(
                mr(plane, 8 + place, 1.5 + 4 * place, ImageType=["DERIVED", "SECONDARY", "MPR"])
                for place, plane in enumerate(thick)
            ),
        ],
    )
    return Right(volumes=(thick,), rejects={"missing_slice": 6})


@odd
def magnitude_and_phase_that_each_state_their_count(folder: Path) -> Right:
    """Images in Acquisition counts the images of one kind, over all moments. PS3.3 C.7.6.1."""
    volumes = moments(4)
    write(
        folder,
        (
            mr(
                plane,
                1 + place + 6 * moment,
                STEP * place,
                ImageType=["ORIGINAL", "PRIMARY", "MP"[moment // 2]],
                ImagesInAcquisition=12,
            )
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(volumes))


@odd
def a_capture_without_place_beside_originals(folder: Path) -> Right:
    """A picture of the screen in the series says no position: an image by itself, which takes nothing with it. PS3.3 C.7.6.1.1.2."""
    capture = mr(anatomy()[1], 7, 0, ImageType=["DERIVED", "SECONDARY", "OTHER"])
    del capture.ImagePositionPatient, capture.ImageOrientationPatient
    write(folder, [*originals(), capture])
    return Right(volumes=(anatomy(), anatomy()[1]))


@odd
def a_derived_half(folder: Path) -> Right:
    """One volume of which some slices are called derived: half a volume would come out as a whole one. PS3.3 C.7.6.1.1.2."""
    slices = originals()
    for data in slices[4:]:
        data.ImageType = ["DERIVED", "PRIMARY", "M"]
    write(folder, slices)
    return Right(rejects={"mixed_values": 6})


@odd
def a_derived_map_of_the_same_places(folder: Path) -> Right:
    """Images and the map calculated from them, place by place: two volumes. PS3.3 C.7.6.1.1.2."""
    volumes = moments(2)
    write(
        folder,
        (
            mr(
                plane,
                1 + place + 6 * moment,
                STEP * place,
                ImageType=(MAGNITUDE, ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"])[moment],
            )
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(volumes))


@odd
def a_derived_map_that_lacks_a_slice(folder: Path) -> Right:
    """As above, where the map ends a slice early: a volume that lost its end. PS3.3 C.7.6.1.1.2."""
    write(
        folder,
        [
            mr(
                plane,
                1 + place + 6 * moment,
                STEP * place,
                ImageType=(MAGNITUDE, ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"])[moment],
            )
            for moment, place, plane in volume_by_volume(moments(2))
        ][:-1],
    )
    return Right(rejects={"mixed_values": 11})


def within_each_other(folder: Path, **told: tuple[object, object]) -> Right:
    """Two volumes of which each has the stated spacing, while all slices together lie half as far apart."""
    return half_a_step_apart(folder, SpacingBetweenSlices=(STEP, STEP), **told)


@odd
def inversion_times_half_a_step_apart(folder: Path) -> Right:
    """An element that no header scan asks for tells what the stated spacing shows. PS3.3 C.8.3.1 (Spacing Between Slices, Inversion Time)."""
    return within_each_other(folder, InversionTime=(100.0, 900.0))


@odd
def clocks_half_a_step_apart(folder: Path) -> Right:
    """As above, by the time alone. PS3.3 C.7.6.1 (Acquisition Time)."""
    return within_each_other(folder, AcquisitionTime=("100000", "100500"))


@odd
def numbers_half_a_step_apart(folder: Path) -> Right:
    """As above, by the Instance Number alone. PS3.3 C.7.6.1, C.8.3.1."""
    return within_each_other(folder)


@odd
def frames_of_pet_half_a_step_apart(folder: Path) -> Right:
    """As above, where Number of Slices says how many slices a moment has. PS3.3 C.8.9.4 (Number of Slices), C.8.9.1."""
    volumes = moments(2)
    write(
        folder,
        (
            at(
                with_pixels(
                    header(
                        PositronEmissionTomographyImageStorage,
                        "PT",
                        1,
                        Units="BQML",
                        NumberOfSlices=6,
                        RescaleSlope=1,
                        RescaleIntercept=0,
                        FrameReferenceTime=(100.0, 50000.0)[moment],
                    ),
                    plane,
                ),
                0,
                0,
                STEP * (place + moment / 2),
            )
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(volumes))


@odd
def slices_closer_than_their_header_says(folder: Path) -> Right:
    """A CT reconstructed at half the stated spacing, its times and numbers in order: one volume. PS3.3 C.7.6.2 (positions count)."""
    write(
        folder,
        (
            ct(
                plane,
                place + 1,
                STEP * place,
                SpacingBetweenSlices=2 * STEP,
                AcquisitionTime=f"1000{place:02}",
            )
            for place, plane in enumerate(anatomy())
        ),
    )
    return Right(volumes=(anatomy(),))


@odd
def beds_of_pet(folder: Path) -> Right:
    """A whole-body PET of two beds whose Number of Slices is that of a bed: one volume. PS3.3 C.8.9.4."""
    write(
        folder,
        (
            at(
                with_pixels(
                    header(
                        PositronEmissionTomographyImageStorage,
                        "PT",
                        place + 1,
                        Units="BQML",
                        NumberOfSlices=3,
                        RescaleSlope=1,
                        RescaleIntercept=0,
                        FrameReferenceTime=1000.0 * (place // 3),
                    ),
                    plane,
                ),
                0,
                0,
                STEP * place,
            )
            for place, plane in enumerate(anatomy())
        ),
    )
    return Right(volumes=(anatomy(),))


@odd
def diffusion_told_by_the_name_of_the_sequence(folder: Path) -> Right:
    """Images of Siemens without their private elements: Sequence Name still says b-value and direction. PS3.3 C.8.3.1 (Sequence Name)."""
    volumes = moments(4)
    write(
        folder,
        (
            mr(
                plane,
                1,
                STEP * place,
                SequenceName=("*ep_b0", "*ep_b1000#1", "*ep_b1000#2", "*ep_b1000#3")[moment],
            )
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(volumes))


@odd
def saturated_and_not(folder: Path) -> Right:
    """Magnetisation transfer of classic MR, by its scan options. PS3.3 C.8.3.1 (Scan Options)."""
    volumes = moments(2)
    write(
        folder,
        (
            mr(plane, 1, STEP * place, ScanOptions=(["FS"], ["FS", "MT"])[moment])
            for moment, place, plane in volume_by_volume(volumes)
        ),
    )
    return Right(volumes=tuple(volumes))


@odd
def private_elements_in_a_high_block(folder: Path) -> Right:
    """A maker's block may begin at any number from 10 to FF, as a PACS that adds its own may move it. PS3.5 7.8.1."""
    volumes = moments(3)

    def slice_(moment: int, place: int, plane: np.ndarray) -> Dataset:
        data = mr(plane, 1, STEP * place)
        data.add_new(0x001900A0, "LO", "SIEMENS MR HEADER")
        data.add_new(0x0019A00C, "IS", 500 * moment)
        return data

    write(folder, (slice_(*each) for each in volume_by_volume(volumes)))
    return Right(volumes=tuple(volumes))


@odd
def one_slice_many_times_by_number(folder: Path) -> Right:
    """Images of one place that only their numbers order. A volume whose positions were all set to one value looks the same, so it is refused."""
    write(
        folder,
        (mr((anatomy()[2] + 5 * moment).astype(np.int16), moment + 1, 0) for moment in range(4)),
    )
    return Right(rejects={"duplicate_position": 4})


@odd
def one_slice_as_many_times_as_stated(folder: Path) -> Right:
    """The same, and the header states that there are four moments: each is an image. PS3.3 C.8.3.1, Number of Temporal Positions."""
    planes = [(anatomy()[2] + 5 * moment).astype(np.int16) for moment in range(4)]
    write(
        folder,
        (
            mr(plane, moment + 1, 0, NumberOfTemporalPositions=4)
            for moment, plane in enumerate(planes)
        ),
    )
    return Right(volumes=tuple(planes))

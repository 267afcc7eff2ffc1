"""Conversion of one enhanced file of many volumes against one of fewer: what a volume costs must
not grow with their number.

Each file is an enhanced MR of made-up volumes at the same places, told apart by their time. It is
converted by the whole stage, in one process, with a record for each volume; each repetition is a
new process, by turns, and its CPU time and highest memory are its own. `ratio` is that of the
medians; with 40 volumes against 10, 4 is proportional. The last line is JSON.

    python benchmarks/enhanced.py --volumes 10 40
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # loaded by the process that writes, alone
    from pydicom.dataset import Dataset

SITE = "bench"
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


def item(**elements: object) -> "Dataset":
    """A data set of these elements."""
    from pydicom.dataset import Dataset

    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def header(frames: int, side: int) -> "Dataset":
    """What one enhanced MR file says of all its frames."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian

    data = item(
        SOPClassUID=EnhancedMRImageStorage,
        SOPInstanceUID="1.2.3.4",
        StudyInstanceUID="1.2.3",
        SeriesInstanceUID="1.2.3.1",
        PatientID="MADE-1",
        Modality="MR",
        Rows=side,
        Columns=side,
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        BitsAllocated=16,
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=0,
        NumberOfFrames=frames,
        ImageType=["ORIGINAL", "PRIMARY", "FMRI", "NONE"],
    )
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SharedFunctionalGroupsSequence = [
        item(
            PixelMeasuresSequence=[item(PixelSpacing=[3, 3], SliceThickness=3)],
            PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        )
    ]
    return data


def frame(moment: int, at: int) -> "Dataset":
    """What the file says of slice number `at` of the volume of a moment."""
    place = item(StackID="1", InStackPositionNumber=at + 1, TemporalPositionIndex=moment + 1)
    values = item(RescaleSlope=1 + moment, RescaleIntercept=0, RescaleType="US")
    return item(
        FrameContentSequence=[place],
        PlanePositionSequence=[item(ImagePositionPatient=[0, 0, 3 * at])],
        MREchoSequence=[item(EffectiveEchoTime=30.0)],
        MRImageFrameTypeSequence=[item(FrameType=["ORIGINAL", "PRIMARY", "FMRI", "NONE"])],
        PixelValueTransformationSequence=[values],
    )


def write_site(root: Path, volumes: int, slices: int, side: int, seed: int) -> None:
    """An export of one enhanced MR file, and the settings that make a record of each volume."""
    data = header(volumes * slices, side)
    data.PerFrameFunctionalGroupsSequence = [
        frame(moment, at) for moment in range(volumes) for at in range(slices)
    ]
    rng = np.random.default_rng(seed)
    data.PixelData = rng.integers(0, 4096, (volumes * slices, side, side), np.uint16).tobytes()
    data["PixelData"].VR = "OW"
    export = root / "incoming" / SITE
    export.mkdir(parents=True)
    data.save_as(export / "enhanced.dcm", enforce_file_format=True)
    (export / "labels.csv").write_text("file,finding\nenhanced.dcm,A\n")
    (root / "sites").mkdir()
    (root / "sites" / f"{SITE}.yaml").write_text(
        "root: .\ntask: bench\nlabels: {file: labels.csv, match: file, class: finding}\n"
        "classes: {a: [A], b: [B]}\n"
    )
    (root / "params.yaml").write_text(
        f"sites: {{{SITE}: source}}\n"
        "convert: {size: [8, 32, 32], workers: 1, repeats: each}\n"
        "train: {learners: [prototypical]}\n"
        "adapt: {methods: [prototypical]}\nreport: {method: prototypical}\n"
    )


def run_here(root: Path) -> None:
    """One repetition; prints its CPU seconds, the records made and its own highest memory (MiB)."""
    import highdicom.spatial  # noqa: F401  before the clock starts

    from data_prep.convert import convert
    from workspace.paths import Workspace

    start = time.process_time()
    convert(Workspace(root), SITE)
    seconds = time.process_time() - start
    records = len(np.load(Workspace(root).studies(SITE) / "pixels.npy", mmap_mode="r"))
    print(
        json.dumps(
            {
                "seconds": seconds,
                "records": records,
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


def repeat(folder: Path, volumes: int, asked: argparse.Namespace) -> dict[str, float]:
    """A new workspace each time, so that nothing is decoded already."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        # In a process of its own: the highest memory of this one would be counted as that of all
        # that it starts.
        writer = multiprocessing.get_context("spawn").Process(
            target=write_site, args=(Path(made), volumes, asked.slices, asked.side, asked.seed)
        )
        writer.start()
        writer.join()
        done = subprocess.run(
            [sys.executable, __file__, "--run", made],
            env=os.environ | ONE_THREAD,
            check=True,
            capture_output=True,
            text=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--volumes", type=int, nargs=2, default=[10, 40], metavar=("FEW", "MANY"))
    parser.add_argument("--slices", type=int, default=20, help="of each volume")
    parser.add_argument("--side", type=int, default=64, help="pixels")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--run", help=argparse.SUPPRESS
    )  # what a repetition's process is called with
    asked = parser.parse_args()
    if asked.run:
        run_here(Path(asked.run))
        return
    with tempfile.TemporaryDirectory() as folder:
        runs = [
            {volumes: repeat(Path(folder), volumes, asked) for volumes in asked.volumes}
            for _ in range(asked.repetitions)
        ]
    print(json.dumps(summary(asked, runs)))


def summary(asked: argparse.Namespace, runs: list[dict[int, dict[str, float]]]) -> dict[str, Any]:
    seconds, memory = {}, {}
    for volumes in asked.volumes:
        seconds[volumes] = statistics.median(run[volumes]["seconds"] for run in runs)
        memory[volumes] = round(max(run[volumes]["memory"] for run in runs))
    few, many = asked.volumes
    whole = all(run[volumes]["records"] == volumes for run in runs for volumes in asked.volumes)
    return {
        "benchmark": "enhanced",
        "volumes": asked.volumes,
        "slices": asked.slices,
        "side": asked.side,
        "n": asked.repetitions,
        "seed": asked.seed,
        "ratio": round(seconds[many] / seconds[few], 2),
        "proportional": many / few,
        "all_volumes_made": whole,
        "cpu_seconds": {volumes: round(taken, 3) for volumes, taken in seconds.items()},
        "peak_mib": memory,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("fewsite", "numpy", "pydicom")},
    }


if __name__ == "__main__":
    main()

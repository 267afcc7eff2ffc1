"""Nothing wrong in silence, nothing sound refused, every reason true: over every case in this folder."""

import importlib
import json
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

from pipeline.inspect import inspect_path
from tests.odd_series.case import WRITERS
from workspace.paths import Workspace

for _file in sorted(Path(__file__).parent.glob("[a-z]*.py")):
    importlib.import_module(f"tests.odd_series.{_file.stem}") if _file.stem not in (
        "case",
        "test_odd_series",
    ) else None


def voxels(file: Path) -> np.ndarray:
    """(slices, rows, columns) or (rows, columns[, 3]) of a written image, its slices from low to high z."""
    image = nibabel.load(file)
    values = np.asanyarray(image.dataobj)
    if values.dtype.names:
        return (
            np.stack([values[name] for name in values.dtype.names], axis=-1)
            .swapaxes(0, 1)
            .squeeze()
        )
    if values.shape[2] == 1:
        return values[..., 0].T
    upward = image.affine[2, 2] >= 0
    return (values if upward else values[..., ::-1]).transpose(2, 1, 0)


@pytest.mark.parametrize("name", WRITERS)
def test_an_odd_export_gives_what_is_right(name: str, tmp_path: Path) -> None:
    export, out = tmp_path / "export", tmp_path / "out"
    export.mkdir()
    right = WRITERS[name](export)
    inspect_path(Workspace(tmp_path / "no_workspace"), export, out, straightened=right.straightened)
    told = [json.loads(file.read_text()) for file in sorted(out.glob("*.json"))]
    left = [voxels(file) for file in sorted(out.glob("*.nii.gz"))]
    shapes = sorted(str(values.shape) for values in left)
    for wanted in right.volumes:
        fits = [
            place
            for place, values in enumerate(left)
            if values.shape == wanted.shape and np.allclose(values, wanted, rtol=1e-5, atol=1e-4)
        ]
        assert fits, f"a volume of {wanted.shape} is missing or wrong; there are {shapes}"
        del left[fits[0]]
    assert not left, f"{len(left)} volumes or images that must not be there"
    assert pd.read_csv(out / "rejects.csv")["reason"].value_counts().to_dict() == right.rejects
    assert right.flags <= {flag for image in told for flag in image["flags"]}
    if right.units is not None:
        assert {image["units"] for image in told} == {right.units}

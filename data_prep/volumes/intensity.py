"""Which values of an image become black and white, and the bias field of an MR coil."""

import numpy as np

from data_prep.rejects import Rejected
from data_prep.settings import Intensity

IQR_OF_NORMAL = 1.349  # standard deviations between the quartiles of a normal distribution
# Of N4, chosen on phantoms with a known field: more levels follow the anatomy, and a field is too
# smooth to need more voxels.
N4_ITERATIONS = (50, 50)  # at most, at each level
N4_SIDE = 32  # voxels: a longer axis is thinned to no fewer than this for the fit


def ends(values: np.ndarray, how: Intensity, sign: float) -> tuple[float, float]:
    """The values that become black and white.

    `values`: the image's own times `sign`, which is -1 where the lowest is white.
    """
    if how.window:
        low, high = sorted(sign * end for end in how.window)
    elif how.percentiles:
        low, high = np.percentile(values, how.percentiles)
    else:
        lower, median, upper = np.percentile(values[tissue(values)], (25, 50, 75))
        reach = how.zscore * (upper - lower) / IQR_OF_NORMAL
        low, high = median - reach, median + reach
    return low, high


def tissue(values: np.ndarray) -> np.ndarray:
    """True in the foreground: above the mean, as Nyul and Udupa 1999.

    Otsu's threshold may take bright fat for all of it.
    """
    return values > values.mean(dtype=np.float64)


def without_bias(values: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    """`values` divided by the smooth field that N4 fits to their tissue (Tustison et al. 2010).

    Raises Rejected.

    `valid`: false in padding; None where there is none.
    """
    import SimpleITK as sitk  # here: processes that decode start sooner without it

    known = np.ones(values.shape, bool) if valid is None else valid
    inside = np.zeros(values.shape, np.uint8)
    inside[known] = tissue(values[known]) & (values[known] > 0)  # the field is fitted to logarithms
    image, mask = sitk.GetImageFromArray(values), sitk.GetImageFromArray(inside)
    thinning = [max(1, side // N4_SIDE) for side in image.GetSize()]
    fit = sitk.N4BiasFieldCorrectionImageFilter()
    fit.SetMaximumNumberOfIterations(N4_ITERATIONS)
    fit.SetNumberOfThreads(1)  # convert's processes share the cores already
    try:
        fit.Execute(sitk.Shrink(image, thinning), sitk.Shrink(mask, thinning))
        logarithm = sitk.GetArrayFromImage(fit.GetLogBiasFieldAsImage(image))
    except RuntimeError:  # ITK's only kind, such as for an image of one row
        raise Rejected("no_bias_field") from None
    return values / np.exp(logarithm)

import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter1d

from models.augmentation.acquisition import (
    LEAST_LIGHT,
    STAINS,
    Acquisition,
    acquire,
    coarsening,
    draw_field,
    gaussian,
    smooth_field,
    truncation,
)

SHAPES = [(4, 3, 20, 24), (4, 1, 8, 20, 24)]
OFF = Acquisition(*[None] * 12)


def images(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def only(**parameters) -> Acquisition:
    return Acquisition(**{**vars(OFF), **parameters})


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_off_changes_nothing(shape):
    assert torch.equal(acquire(OFF, images(shape)), images(shape))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["blur", "gibbs", "kernel"])
def test_zero_of_what_acts_along_axes_leaves_the_images(name, shape):
    torch.testing.assert_close(
        acquire(only(**{name: torch.zeros(4)}), images(shape)), images(shape), atol=1e-5, rtol=0
    )


def test_a_blur_is_scipys_away_from_the_edges():
    line = images((1, 64))[0]
    blurred = gaussian(64, torch.tensor([2.0]))[0] @ line
    torch.testing.assert_close(
        blurred[10:-10],
        torch.from_numpy(gaussian_filter1d(line.numpy(), 2.0, truncate=8))[10:-10],
        atol=1e-4,
        rtol=0,
    )


@pytest.mark.parametrize("side", [20, 21])
def test_truncated_k_space_holds_nothing_above_the_cut_and_all_below_it(side):
    line = images((1, side))[0]
    before, after = (
        torch.fft.rfft(line),
        torch.fft.rfft(truncation(side, torch.tensor([0.4]))[0] @ line),
    )
    kept = torch.fft.rfftfreq(side) * 2 <= 0.6
    torch.testing.assert_close(after[kept], before[kept], atol=1e-4, rtol=0)
    assert after[~kept].abs().max() < 1e-4


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_coarser_grid_of_a_whole_factor_is_average_pooling_and_linear_interpolation(size):
    line = images((1, 1, 24))
    expected = F.interpolate(F.avg_pool1d(line, size), size=24, mode="linear", align_corners=False)
    torch.testing.assert_close(
        coarsening(24, torch.tensor([float(size)]))[0] @ line[0, 0],
        expected[0, 0],
        atol=1e-5,
        rtol=0,
    )


@pytest.mark.parametrize("size", [1.3, 2.7, 7.9])
def test_a_coarser_grid_of_any_factor_keeps_a_flat_image(size):
    torch.testing.assert_close(
        coarsening(25, torch.tensor([size]))[0].sum(1), torch.ones(25), atol=1e-5, rtol=0
    )


def test_a_sharp_kernel_raises_fine_detail_and_a_smooth_one_lowers_it_and_neither_the_mean():
    given = images((2, 1, 32, 32))
    changed = acquire(only(kernel=torch.tensor([0.8, -0.8])), given)
    assert changed[0].std() > given[0].std() and changed[1].std() < given[1].std()
    torch.testing.assert_close(changed.mean((1, 2, 3)), given.mean((1, 2, 3)), atol=0.01, rtol=0)


@pytest.mark.parametrize("axes", [2, 3])
def test_a_smooth_field_reaches_one_and_has_no_jumps(axes):
    field = smooth_field(
        draw_field(5, axes, torch.Generator().manual_seed(1)), torch.Size([40] * axes)
    )
    torch.testing.assert_close(field.flatten(1).abs().amax(1), torch.ones(5))
    assert max(field.diff(dim=axis).abs().max() for axis in range(1, axes + 1)) < 0.3


@pytest.mark.parametrize("shape", SHAPES)
def test_a_bias_field_multiplies_by_at_most_its_gain(shape):
    modes = draw_field(4, len(shape) - 2, torch.Generator().manual_seed(1))
    ratio = acquire(only(bias=modes, bias_gain=torch.full((4,), 0.5)), images(shape) + 0.1) / (
        images(shape) + 0.1
    )
    assert ratio.log().abs().flatten(1).amax(1).tolist() == pytest.approx([0.5] * 4, abs=1e-4)
    assert torch.allclose(
        ratio[:, :1].expand_as(ratio), ratio, atol=1e-4
    )  # the same in every channel


@pytest.mark.parametrize("shape", SHAPES)
def test_a_spike_is_one_point_of_k_space_and_its_mirror(shape):
    space = tuple(range(2, len(shape)))
    at = torch.full((4, len(space)), 0.3)
    striped = acquire(
        only(spike=torch.full((4,), 0.5), spike_at=at, spike_phase=torch.full((4,), 1.0)),
        images(shape),
    )
    change = torch.fft.fftn(striped - images(shape), dim=space).abs()
    assert ((change > 1e-2 * change.amax()).flatten(2).sum(2) == 2).all()


def test_a_window_moves_and_widens_as_written():
    given = images((2, 1, 8, 8))
    changed = acquire(only(level=torch.tensor([0.1, 0.0]), width=torch.tensor([1.0, 2.0])), given)
    torch.testing.assert_close(changed[0], given[0] - 0.1)
    torch.testing.assert_close(changed[1], (given[1] - 0.5) / 2 + 0.5)


def test_twice_a_stain_is_twice_its_density_and_none_of_the_others():
    haematoxylin, eosin = (STAINS / STAINS.norm(dim=1, keepdim=True))[:2]
    given = torch.stack([(-haematoxylin).exp(), (-eosin).exp()]).reshape(2, 3, 1, 1)
    changed = acquire(only(stain=torch.tensor([[2.0, 1.0, 1.0], [2.0, 1.0, 1.0]])), given)
    torch.testing.assert_close(-changed[0].log().flatten(), 2 * haematoxylin, atol=1e-5, rtol=0)
    torch.testing.assert_close(changed[1], given[1], atol=1e-5, rtol=0)


def test_unchanged_stains_leave_a_photograph_but_for_black():
    given = images((2, 3, 8, 8))
    torch.testing.assert_close(
        acquire(only(stain=torch.ones(2, 3)), given),
        given.clamp(min=LEAST_LIGHT),
        atol=1e-5,
        rtol=0,
    )

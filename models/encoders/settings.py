"""The encoder's section of params.yaml, which a learner may have of its own."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from workspace.settings import Strict


def _weights(name: str) -> str:
    if name not in ("imagenet", "pretrained") and not name.endswith(
        (".safetensors", ".pt", ".pth")
    ):
        raise ValueError("imagenet, pretrained, or a file that ends in .safetensors, .pt or .pth")
    return name


Weights = Annotated[str, AfterValidator(_weights)]


class Encoder(Strict):
    """What turns an image into features.

    conv4-strided has strides in place of pooling, in half the time. [Weights](weights.md) says
    what it may start from.
    """

    name: Literal[
        "conv4",
        "conv4-strided",
        "resnet10",
        "resnet18",
        "densenet121",
        "efficientnet-b0",
        "efficientnet-lite0",
    ] = "conv4"
    """MONAI networks"""
    norm: Literal["instance", "group", "batch"] = "group"
    """batch: with running statistics, not for MAML"""
    standardise: bool = True
    """bring each image and channel to mean 0 and deviation 1 first: takes a site's brightness and
    stain out
    """
    width: Annotated[int, Field(ge=8, multiple_of=8)] = 64
    """channels, a multiple of 8: of every block (conv4) or of the first stage (resnet); the others
    have their own
    """
    weights: Weights | None = None
    """to start from: a .safetensors, .pt or .pth file, pretrained (of stage pretrain), or imagenet
    (efficientnet-lite0); none: fresh
    """
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """of that file: a changed file is refused, and a changed value trains anew"""
    partial: bool = False
    """true: accept weights that fit some layers and leave the others fresh"""
    frozen: Literal["all"] | Annotated[int, Field(ge=0)] = 0
    """first stages that training leaves as they are: a number, or all"""

    @model_validator(mode="after")
    def _weights_fit(self) -> "Encoder":
        if self.weights == "imagenet" and self.name != "efficientnet-lite0":
            raise ValueError("name efficientnet-lite0 for weights imagenet")
        if (self.weights in (None, "imagenet", "pretrained")) == bool(self.sha256):
            raise ValueError(
                "sha256 (printed by sha256sum) where weights names a file, and nowhere else"
            )
        if not self.weights and (self.frozen or self.partial):
            raise ValueError("weights, before anything is frozen or partial")
        return self

"""How far images vary: params.yaml's augment, task_augment and pretrain.views."""

from typing import Annotated

from pydantic import Field

from workspace.settings import Strict


class Augment(Strict):
    """Ranges that each image draws its own values from, uniformly; 0 or false switches an operation
    off.
    """

    flip: bool = False
    """mirror along the last axis"""
    flip_all: bool = False
    """mirror along any spatial axis"""
    rotate: Annotated[float, Field(ge=0, le=180)] = 10.0
    """degrees either way"""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """relative, either way"""
    shift: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """of the image's side, either way"""
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.2
    """of full range, either way"""
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """relative, either way"""
    gamma: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """exponent's log, either way"""
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """relative gain a channel, either way"""
    noise: Annotated[float, Field(ge=0, le=1)] = 0.03
    """highest standard deviation, of full range"""
    blur: Annotated[float, Field(ge=0, le=5)] = 0.8
    """highest standard deviation, pixels"""
    bend: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """elastic: highest displacement, of the image's side"""
    coarse: Annotated[float, Field(ge=1, le=8)] = 1.0
    """lost resolution: longest side of a coarser pixel, in pixels; 1: off"""
    bias: Annotated[float, Field(ge=0, le=2)] = 0.0
    """MR: highest log gain of a smooth bias field"""
    gibbs: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """MR: largest share of each axis's spatial frequencies cut off, which rings"""
    spike: Annotated[float, Field(ge=0, le=1)] = 0.0
    """MR: highest amplitude of a spike's stripes, of the image's mean"""
    level: Annotated[float, Field(ge=0, le=1)] = 0.0
    """CT: shift of the window, of full range, either way"""
    width: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """CT: width of the window, relative, either way"""
    kernel: Annotated[float, Field(ge=0, le=2)] = 0.0
    """CT: sharper or smoother reconstruction: share of an image's fine detail, either way"""
    stain: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """of haematoxylin, eosin and their residual, relative, either way; images of 3 channels"""

"""The image network: an encoder-decoder derived from ResNet-18, and the two outermost skips (paper, section 3.1).

    conv1 -> max pool -> layer0..layer4 -> mean -> FC -> code        Encoder   (paper: 3 x 256 x 256 -> 99)
    code -> FC -> first -> layer1..layer5 -> last                    Decoder   (paper: 99 -> 3 x 256 x 256)
       S2: layer0's output, through a 3 x 3 convolution, added to the decoder's layer4
       S1: conv1's output, through a 3 x 3 convolution, added to the decoder's layer5

The paper leaves the layers to its supplement; these are those of 3FabRec (Browatzki & Wallraven, CVPR 2020), whose
method it builds on.  Images are in [0, 1]; `width` scales the channels and `size` the pixels.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lifter.image_config import SIZE_MULTIPLE

_GREY = 0.02
"""Of the last layer's first weights: larger ones begin where tanh is flat, and learn for long without getting on."""

_LEVELS = (1, 1, 2, 4, 8)  # channels of layer0..layer4, in widths


class Features(NamedTuple):
    """What an encoder makes of B images of S x S.

    code: (B, outputs).  conv1: (B, width, S/2, S/2).  layer0: (B, width, S/4, S/4).
    """

    code: Tensor
    conv1: Tensor
    layer0: Tensor


class BasicBlock(nn.Module):
    """ResNet's: two 3 x 3 convolutions, added to what came in; a 1 x 1 convolution where the shape changes."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        same = stride == 1 and channels == out
        fit = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.shortcut = nn.Identity() if same else fit

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.shortcut(x) + self.layers(x))


class InverseBlock(nn.Module):
    """A basic block that doubles the size: transposed 4 x 4 convolution, 3 x 3 convolution, and such a shortcut."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(channels, out, 4, 2, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.shortcut = nn.Sequential(nn.ConvTranspose2d(channels, out, 4, 2, 1, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.shortcut(x) + self.layers(x))


class Encoder(nn.Module):
    """Images (B, channels, S, S) to `Features`.  ResNet-18 with one level more, layer0, for its 256 pixels.

    outputs: numbers of the code.
    """

    def __init__(self, width: int, outputs: int, channels: int = 3) -> None:
        super().__init__()
        levels = [width * level for level in _LEVELS]
        self.conv1 = nn.Sequential(
            nn.Conv2d(channels, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.layer0 = _layer(width, levels[0], 1)
        self.layer1 = _layer(levels[0], levels[1], 2)
        self.layer2 = _layer(levels[1], levels[2], 2)
        self.layer3 = _layer(levels[2], levels[3], 2)
        self.layer4 = _layer(levels[3], levels[4], 2)
        self.code = nn.Linear(levels[4], outputs)
        _initialise(self)

    def forward(self, images: Tensor) -> Features:
        conv1 = self.conv1(2 * images - 1)
        layer0 = self.layer0(self.pool(conv1))
        inner = self.layer4(self.layer3(self.layer2(self.layer1(layer0))))
        return Features(self.code(inner.mean(dim=(2, 3))), conv1, layer0)


class Decoder(nn.Module):
    """A code (B, code) to images (B, 3, size, size); each layer's output can be had, and another put in its place."""

    def __init__(self, width: int, size: int, code: int) -> None:
        super().__init__()
        if size % SIZE_MULTIPLE:
            raise ValueError(f"size: is {size}; expected a multiple of {SIZE_MULTIPLE}")
        levels = [width * level for level in _LEVELS]
        bottom = size // SIZE_MULTIPLE
        self.channels = (*levels[::-1], width)
        """Of the outputs of `first` and `layers`: six."""
        self.code = nn.Linear(code, levels[4])
        self.first = nn.Sequential(
            nn.ConvTranspose2d(levels[4], levels[4], bottom, bias=False),
            nn.BatchNorm2d(levels[4]),
            nn.ReLU(inplace=True),
        )
        self.layers = nn.ModuleList(
            InverseBlock(channels, out) for channels, out in zip(self.channels[:-1], self.channels[1:], strict=True)
        )
        self.last = nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False)
        _initialise(self)
        nn.init.normal_(self.last.weight, 0, _GREY)

    def begin(self, code: Tensor) -> Tensor:
        """The first layer's output, (B, 8 width, size/64, size/64)."""
        x: Tensor = self.first(self.code(code)[..., None, None])
        return x

    def end(self, x: Tensor) -> Tensor:
        """Images in [0, 1], by the tanh of images in [-1, 1]."""
        return (torch.tanh(self.last(x)) + 1) / 2


class Autoencoder(nn.Module):
    """Encoder, decoder and skips.  ``forward(images, skips)``: reconstructions of (B, 3, S, S) in [0, 1].

    skips: 0 without any, 1 with S2, 2 with S2 and S1.  Both begin as zeros: what they are added to works without them.
    """

    def __init__(self, width: int = 64, size: int = 256, code: int = 99) -> None:
        super().__init__()
        self.encoder = Encoder(width, code)
        self.decoder = Decoder(width, size, code)
        self.skip2 = _skip(width)
        self.skip1 = _skip(width)

    def forward(self, images: Tensor, skips: int = 0) -> Tensor:
        found = self.encoder(images)
        x = self.decoder.begin(found.code)
        *inner, fourth, fifth = self.decoder.layers
        for layer in inner:
            x = layer(x)
        x = fourth(x)
        if skips >= 1:
            x = x + self.skip2(found.layer0)
        x = fifth(x)
        if skips >= 2:
            x = x + self.skip1(found.conv1)
        return self.decoder.end(x)


def _layer(channels: int, out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(BasicBlock(channels, out, stride), BasicBlock(out, out, 1))


def _skip(width: int) -> nn.Conv2d:
    convolution = nn.Conv2d(width, width, 3, 1, 1, bias=False)
    nn.init.zeros_(convolution.weight)
    return convolution


def _initialise(net: nn.Module) -> None:
    """Normal weights of variance 2 / (kernel area x channels out), as ResNet's."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            area = module.kernel_size[0] * module.kernel_size[1]
            nn.init.normal_(module.weight, 0, (2 / (area * module.out_channels)) ** 0.5)

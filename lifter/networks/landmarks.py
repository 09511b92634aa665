"""2D landmarks from the image network: interleaved layers, and the module that reads heatmaps (section 3.2).

    decoder layer  -> 3 x 3 convolution --+
    its skip       -> 3 x 3 convolution --+-> sum -> the next decoder layer -> ...
    ... -> transposed convolution -> K heatmaps

The paper shows a skip beside each decoder layer, and trains only the two outermost: those two are what there is, and
the inner decoder layers have an interleaved layer without a partner.
"""

import torch
from torch import Tensor, nn

from lifter.networks.autoencoder import Autoencoder, Encoder


class Interleaved(nn.Module):
    """Interleaved layers for a trained `Autoencoder`.  ``forward(autoencoder, images)``: logits (B, joints, S, S).

    They begin as the identity, so that each layer is first given what it was trained on.
    """

    def __init__(self, autoencoder: Autoencoder, joints: int) -> None:
        super().__init__()
        channels = autoencoder.decoder.channels
        self.decoded = nn.ModuleList(_same(count) for count in channels)
        self.skipped = nn.ModuleList([_same(channels[-2]), _same(channels[-1])])
        self.last = nn.ConvTranspose2d(channels[-1], joints, 4, 2, 1)

    def forward(self, autoencoder: Autoencoder, images: Tensor) -> Tensor:
        found = autoencoder.encoder(images)
        second, first = self.skipped
        skips = [None] * 4 + [second(autoencoder.skip2(found.layer0)), first(autoencoder.skip1(found.conv1))]
        x = autoencoder.decoder.begin(found.code)
        for place, (interleaved, skip) in enumerate(zip(self.decoded, skips, strict=True)):
            x = interleaved(autoencoder.decoder.layers[place - 1](x) if place else x)
            if skip is not None:
                x = x + skip
        logits: Tensor = self.last(x)
        return logits


class MaximumModule(nn.Module):
    """The paper's non-maximum suppression: the encoder once more, on image and heatmaps, then a sigmoid.

    ``forward(images, heatmaps)``: (B, 3, S, S) and (B, joints, S, S), both in [0, 1], to landmarks (B, joints, 2): x
    right, y down, in units of the image's size.
    """

    def __init__(self, width: int, joints: int) -> None:
        super().__init__()
        self.encoder = Encoder(width, 2 * joints, 3 + joints)

    def forward(self, images: Tensor, heatmaps: Tensor) -> Tensor:
        code = self.encoder(torch.cat([images, heatmaps], dim=1)).code.float()
        return torch.sigmoid(code).view(len(code), -1, 2)


def _same(channels: int) -> nn.Conv2d:
    convolution = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
    nn.init.dirac_(convolution.weight)
    return convolution

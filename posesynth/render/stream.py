"""Live batches of pictures for PyTorch: `ImageStream` makes them in the training process, ahead of their use."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from posesynth.errors import whole_number
from posesynth.render.images import LARGEST, SMALLEST, render
from posesynth.render.photographs import Photographs
from posesynth.skeleton import Skeleton
from posesynth.stream import IndexedStream, Share


@dataclass(slots=True, eq=False)
class ImageTensorBatch:
    """B consecutive pictures as CPU tensors; the fields, shapes and dtypes of `posesynth.render.ImageBatch`.

    ``start`` is the index of the first picture, ``next_index`` what `ImageStream.load_state_dict` goes on from after
    the round of this batch.
    """

    image: torch.Tensor
    p2d: torch.Tensor
    visible: torch.Tensor
    p3d: torch.Tensor
    silhouette: torch.Tensor
    start: int = 0
    next_index: int = 0

    def __len__(self) -> int:
        return len(self.image)

    def __repr__(self) -> str:
        return f"ImageTensorBatch(image {tuple(self.image.shape)}, start={self.start})"

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter([self.image, self.p2d, self.visible, self.p3d, self.silhouette])

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "ImageTensorBatch":
        """The same batch on another device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "ImageTensorBatch":
        """The same batch in page-locked memory."""
        return self._each(torch.Tensor.pin_memory)

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "ImageTensorBatch":
        image, p2d, visible, p3d, silhouette = (change(tensor) for tensor in self)
        return ImageTensorBatch(image, p2d, visible, p3d, silhouette, self.start, self.next_index)


class ImageStream(IndexedStream[ImageTensorBatch]):
    """Pictures start..stop-1 of the endless set (skeleton, seed), in order, in batches.

    size: pixels a side; backgrounds: a folder of photographs to stand behind the bodies (see `render`).  The others
    are those of `posesynth.PoseStream`, and so are resuming, ranks and workers: ``state_dict()`` is ``{"index": i}``.
    Raises InputError on values outside these.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        batch_size: int = 32,
        seed: int = 0,
        start: int = 0,
        stop: int | None = None,
        size: int = 256,
        backgrounds: str | os.PathLike[str] | Photographs | None = None,
        *,
        rank: int | None = None,
        world_size: int | None = None,
        threads: int | None = None,
        pin_memory: bool = False,
    ) -> None:
        super().__init__(skeleton, batch_size, seed, start, stop, rank, world_size, threads, pin_memory)
        self.size = whole_number("size", size, SMALLEST, LARGEST)
        self.backgrounds = Photographs.given(backgrounds)

    def _compile(self) -> None:
        render(self.skeleton, self.seed, self.start, self.start + 1, SMALLEST, self.backgrounds, threads=1)

    def _slab(self, share: Share, rounds: range) -> list[ImageTensorBatch]:
        batches = []
        for k in rounds:
            first, last = share.samples(k)
            made = render(self.skeleton, self.seed, first, last, self.size, self.backgrounds, threads=1)
            batch = ImageTensorBatch(
                torch.from_numpy(made.image),
                torch.from_numpy(made.p2d),
                torch.from_numpy(made.visible),
                torch.from_numpy(made.p3d),
                torch.from_numpy(made.silhouette),
                first,
                share.round_start(k + 1),
            )
            batches.append(batch.pin_memory() if self.pin_memory else batch)
        return batches

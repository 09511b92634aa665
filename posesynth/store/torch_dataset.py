"""A stored set as a torch Dataset of batches; `Dataset.torch` makes one."""

from typing import TYPE_CHECKING

try:
    import torch
except ImportError:
    raise ImportError("Dataset.torch needs PyTorch: pip install 'posesynth[torch]'") from None
from torch.utils.data import Dataset as TorchDataset

from posesynth.errors import whole_number

if TYPE_CHECKING:
    from posesynth.store.dataset import Dataset


class BatchDataset(TorchDataset[tuple[torch.Tensor, ...]]):
    """Item b is samples b * batch_size to (b + 1) * batch_size - 1 as CPU tensors: p2d, o, then what else is stored.

    Items are batches, not samples: a sample alone would cost the reading of its whole chunk.  Samples are independent
    of each other, so the order of the batches is all there is to shuffle::

        loader = DataLoader(data.torch(500), batch_size=None, shuffle=True, num_workers=2)

    The last batch is smaller where n is no multiple of batch_size.
    """

    def __init__(self, data: "Dataset", batch_size: int = 500) -> None:
        self.data = data
        self.batch_size = whole_number("batch_size", batch_size, 1)

    def __len__(self) -> int:
        return -(-len(self.data) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"batch {index} of a data set of {len(self)}")
        start = index % len(self) * self.batch_size
        batch = self.data[start : start + self.batch_size]
        return tuple(torch.from_numpy(getattr(batch, name)) for name in self.data.arrays)

"""Augmentation: landmarks go where their images go, and what is drawn for an image depends on nothing else."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from image_folders import QUADRUPED, TINY  # noqa: E402

from lifter.images.augmentation import augmented, draws, mirrored_joints  # noqa: E402
from lifter.images.heatmaps import gaussians  # noqa: E402


def dots(places: torch.Tensor, size: int = 64) -> torch.Tensor:
    """Images with one bright dot each, at the first landmark."""
    return gaussians(places[:, :1], size, 2.0).expand(-1, 3, -1, -1).contiguous()


@pytest.mark.parametrize(
    "values", [{"flip": True}, {"rotation": 60.0}, {"scaling": 0.3}, {"flip": True, "rotation": 60.0, "scaling": 0.3}]
)
def test_augmented_landmarks_lie_where_the_image_shows_them(values):
    places = 0.3 + 0.4 * torch.rand(16, 2, 2, generator=torch.Generator().manual_seed(0))
    config = TINY.with_values(**values)
    images, points = augmented(dots(places), places, draws(0, 0, 16), config, torch.tensor([0, 1]))
    at = images[:, 0].flatten(1).argmax(1)
    found = torch.stack([at % 64, at // 64], dim=-1) + 0.5
    assert bool(torch.isfinite(points).all())
    assert float((found / 64 - points[:, 0]).norm(dim=-1).max()) < 1.5 / 64
    assert not torch.allclose(points, places)


def test_a_flip_exchanges_left_and_right():
    order = mirrored_joints(QUADRUPED)
    names = [QUADRUPED.joints[k] for k in order]
    exchange = {"left": "right", "right": "left"}
    expected = [name.replace(w, exchange[w]) if (w := name[: name.find("_")]) in exchange else name for name in names]
    assert list(QUADRUPED.joints) == expected
    places = torch.rand(8, 16, 2, generator=torch.Generator().manual_seed(0))
    drawn = -torch.ones(8, 8)
    _, points = augmented(dots(places), places, drawn, TINY.with_values(flip=True), order)
    torch.testing.assert_close(points, places[:, order] * torch.tensor([-1, 1]) + torch.tensor([1, 0]))


def test_what_leaves_the_image_is_unknown_and_colours_stay_in_bounds():
    places = torch.tensor([[[0.02, 0.5], [0.5, 0.5]]])
    drawn = torch.ones(1, 8)
    config = TINY.with_values(scaling=0.5, colour=1.0)
    images, points = augmented(torch.rand(1, 3, 64, 64), places, drawn, config, torch.tensor([0, 1]))
    assert torch.isnan(points[0, 0]).all()
    assert points[0, 1].tolist() == [0.5, 0.5]
    assert 0 <= float(images.min()) < float(images.max()) <= 1


def test_draws_belong_to_an_image_and_not_to_a_batch():
    every = draws(3, 0, 20)
    assert torch.equal(draws(3, 7, 13), every[7:13])
    assert not torch.equal(draws(4, 0, 20), every)
    assert float(every.min()) >= -1
    assert float(every.max()) < 1

"""Heatmaps and the losses of the image networks, against slow obvious twins in NumPy."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lifter.images.heatmaps import argmax, gaussians, soft_argmax  # noqa: E402
from lifter.losses import (  # noqa: E402
    heatmap_loss,
    heatmap_loss_floor,
    heatmap_weight,
    landmark_loss,
    reconstruction_loss,
)

SIZE = 12


def landmarks(seed: int = 0, batch: int = 3, joints: int = 4) -> torch.Tensor:
    return torch.rand(batch, joints, 2, generator=torch.Generator().manual_seed(seed))


def logits(seed: int = 0) -> torch.Tensor:
    return 4 * torch.randn(3, 4, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def naive_gaussians(places: np.ndarray, size: int, sigma: float) -> np.ndarray:
    heat = np.full((*places.shape[:2], size, size), np.nan)
    for b, k in np.ndindex(places.shape[:2]):
        for row, column in np.ndindex(size, size):
            dx, dy = column + 0.5 - places[b, k, 0] * size, row + 0.5 - places[b, k, 1] * size
            heat[b, k, row, column] = math.exp(-(dx * dx + dy * dy) / (2 * sigma**2))
    return heat


def naive_heatmap_loss(logits: np.ndarray, heat: np.ndarray, weight: float) -> float:
    terms = []
    for place in np.ndindex(heat.shape):
        if math.isnan(heat[place]):
            continue
        p = 1 / (1 + math.exp(-logits[place]))
        terms.append(-(weight * heat[place] * math.log(p) + (1 - heat[place]) * math.log(1 - p)))
    return sum(terms) / len(terms)


def test_targets_are_gaussians_of_peak_1_about_pixel_centres():
    places = landmarks()
    places[0, 0] = torch.tensor([2.5 / SIZE, 7.5 / SIZE])
    heat = gaussians(places, SIZE, 1.7)
    np.testing.assert_allclose(heat, naive_gaussians(places.numpy(), SIZE, 1.7), atol=1e-6)
    assert heat[0, 0, 7, 2] == 1
    assert heat[0, 0, 7, 3] == pytest.approx(math.exp(-0.5 / 1.7**2))


def test_an_unknown_joint_has_a_heatmap_of_nan_alone():
    places = landmarks()
    places[1, 2] = torch.nan
    heat = gaussians(places, SIZE, 1.7)
    assert torch.isnan(heat[1, 2]).all()
    assert int(torch.isnan(heat).sum()) == SIZE * SIZE


def test_the_weight_is_that_of_the_paper():
    assert heatmap_weight(256, 10) == pytest.approx(208.6, abs=0.05)  # printed as 208.7
    assert heatmap_weight(64, 2.5) == pytest.approx(heatmap_weight(256, 10))


@pytest.mark.parametrize("weight", [1.0, 208.6])
def test_equation_2_with_its_minus_sign(weight):
    places = landmarks()
    places[1, 2] = torch.nan
    heat = gaussians(places, SIZE, 1.7)
    found = float(heatmap_loss(logits(), heat, weight))
    assert found == pytest.approx(naive_heatmap_loss(logits().numpy(), heat.numpy(), weight), rel=1e-5)
    assert found > 0


def test_without_a_weight_it_is_plain_cross_entropy():
    heat, maps = gaussians(landmarks(), SIZE, 1.7).double(), logits().double()
    plain = torch.nn.functional.binary_cross_entropy(torch.sigmoid(maps), heat)
    torch.testing.assert_close(heatmap_loss(maps, heat, 1.0), plain)


def test_no_prediction_is_below_the_floor_and_the_best_is_on_it():
    places = landmarks()
    places[2, 1] = torch.nan
    heat, weight = gaussians(places, SIZE, 1.7), 50.0
    floor = heatmap_loss_floor(heat, weight)
    best = torch.zeros_like(heat, requires_grad=True)
    adam = torch.optim.Adam([best], lr=0.2)
    for _ in range(400):
        adam.zero_grad()
        loss = heatmap_loss(best, heat, weight)
        assert loss >= floor
        loss.backward()
        adam.step()
    assert loss.item() == pytest.approx(floor.item(), rel=1e-2)


def test_the_papers_target_for_heatmaps_lies_below_what_equation_2_can_reach():
    """1e-4, for 256 pixels and sigma 10: so training to it means something else, see docs/image-training.md."""
    heat = gaussians(torch.full((1, 1, 2), 0.5), 256, 10)
    assert float(heatmap_loss_floor(heat, heatmap_weight(256, 10))) == pytest.approx(0.1680, abs=1e-4)


def test_unknown_joints_change_no_loss_and_no_gradient():
    places, other = landmarks(), landmarks(1)
    places[0, 1] = torch.nan
    kept = ~torch.isnan(places[..., 0])
    expected = float(((other - places)[kept] ** 2).mean())
    given = other.clone().requires_grad_()
    loss = landmark_loss(given, places)
    loss.backward()
    assert loss.item() == pytest.approx(expected)
    assert given.grad[0, 1].tolist() == [0, 0]
    nothing = torch.full_like(places, torch.nan)
    assert float(landmark_loss(other, nothing)) == 0
    maps = logits().requires_grad_()
    heatmap_loss(maps, gaussians(nothing, SIZE, 1.7), 9.0).backward()
    assert float(maps.grad.abs().max()) == 0


def test_reconstruction_is_the_mean_square():
    a, b = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    assert float(reconstruction_loss(a, b)) == pytest.approx(float(np.mean((a.numpy() - b.numpy()) ** 2)))


# --- from heatmaps to landmarks


def test_argmax_finds_the_pixel_and_soft_argmax_what_lies_between():
    places = 0.3 + 0.4 * landmarks()
    heat = gaussians(places, 48, 1.5)
    logs = heat.clamp(min=1e-30).log()
    assert float((argmax(logs) - places).abs().max()) <= 0.5 / 48 + 1e-6
    assert float((soft_argmax(logs) - places).abs().max()) < 0.02 / 48


def test_argmax_against_its_twin():
    maps = logits()
    for b, k in np.ndindex(3, 4):
        row, column = np.unravel_index(int(maps[b, k].argmax()), (SIZE, SIZE))
        assert argmax(maps)[b, k].tolist() == pytest.approx([(column + 0.5) / SIZE, (row + 0.5) / SIZE])


def test_soft_argmax_against_its_twin():
    maps = logits()
    for b, k in np.ndindex(3, 4):
        share = np.exp(maps[b, k].numpy().astype(np.float64))
        share /= share.sum()
        x = sum(share[row, column] * (column + 0.5) for row, column in np.ndindex(SIZE, SIZE)) / SIZE
        y = sum(share[row, column] * (row + 0.5) for row, column in np.ndindex(SIZE, SIZE)) / SIZE
        assert soft_argmax(maps)[b, k].tolist() == pytest.approx([x, y], abs=1e-5)

"""Laws of the torch side: kinematics, losses against slow twins, what each kind of network must hold to."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import skeletons

import posesynth
from lifter import geometry, losses
from lifter.networks.residual import ResidualNet

QUADRUPED = posesynth.load_skeleton("quadruped")
PARENTS = QUADRUPED.parents.tolist()


def made(count: int = 64, seed: int = 0) -> posesynth.Batch:
    return posesynth.sample(QUADRUPED, seed, 0, count, extras=("p3d",))


def net(output: str, **sizes: int) -> ResidualNet:
    torch.manual_seed(0)
    return ResidualNet(PARENTS, **{"width": 32, "blocks": 2, **sizes}, output=output).eval()


@settings(deadline=None, max_examples=30)
@given(skeletons(), st.integers(0, 2**32))
def test_torch_f_is_the_kernels_f(skeleton: posesynth.Skeleton, seed: int) -> None:
    batch = posesynth.sample(skeleton, seed, 0, 20)
    paths = geometry.paths(skeleton.parents.tolist())
    ours = geometry.forward(torch.from_numpy(batch.o), paths).numpy()
    assert np.abs(ours - posesynth.forward(batch.o, skeleton)).max() < 1e-5


def test_spherical_undoes_directions() -> None:
    o = torch.from_numpy(made().o)
    again = geometry.spherical(o[..., 0], geometry.directions(o[..., 1], o[..., 2]))
    assert (
        geometry.directions(again[..., 1], again[..., 2]) - geometry.directions(o[..., 1], o[..., 2])
    ).abs().max() < 1e-6
    assert (again[..., 1] >= 0).all()
    assert (again[..., 2] > -math.pi).all()


# The losses and their slow twins.


def test_losses_are_their_twins() -> None:
    rng = np.random.default_rng(0)
    r, r_true = rng.random((5, 4)), rng.random((5, 4))
    d, d_true = (v / np.linalg.norm(v, axis=2, keepdims=True) for v in rng.normal(size=(2, 5, 4, 3)))
    p, p_true = rng.normal(size=(2, 5, 6, 3))
    pairs = [(0, 2), (1, 3)]
    sym = sum((r[b, i] - r[b, j]) ** 2 for b in range(5) for i, j in pairs) / 10
    el = sum((r[b, e] - r_true[b, e]) ** 2 for b in range(5) for e in range(4)) / 20
    ed = -sum(float(np.dot(d[b, e], d_true[b, e])) for b in range(5) for e in range(4)) / 20
    errors = [
        [np.linalg.norm((p[b, n] - p[b].mean(0)) - (p_true[b, n] - p_true[b].mean(0))) for n in range(6)]
        for b in range(5)
    ]
    tensor = torch.from_numpy
    assert losses.symmetry_loss(tensor(r), torch.tensor(pairs)).item() == pytest.approx(sym)
    assert losses.edge_length_loss(tensor(r), tensor(r_true)).item() == pytest.approx(el)
    assert losses.edge_direction_loss(tensor(d), tensor(d_true)).item() == pytest.approx(ed)
    assert losses.joint_errors(tensor(p), tensor(p_true)).numpy() == pytest.approx(np.array(errors))
    assert losses.position_loss(tensor(np.array(errors))).item() == pytest.approx(np.mean(errors))


def test_no_pairs_no_symmetry_loss() -> None:
    assert losses.symmetry_loss(torch.ones(2, 3), torch.zeros(0, 2, dtype=torch.long)).item() == 0


def test_direction_loss_is_smooth_where_angles_jump() -> None:
    theta = torch.full((1, 1), math.pi / 2)
    a, b = (geometry.directions(theta, torch.full((1, 1), phi)) for phi in (math.pi - 1e-3, -math.pi + 1e-3))
    assert losses.edge_direction_loss(a, b).item() == pytest.approx(-1, abs=1e-5)


def test_expected_error_loss_is_least_at_the_mean_error() -> None:
    errors = torch.tensor([[0.1, 0.4]])
    mean = errors.mean().log()
    best = losses.expected_error_loss(mean.expand(1, 2), errors)
    for other in (mean - 0.3, mean + 0.3):
        assert losses.expected_error_loss(other.expand(1, 2), errors) > best


# The networks.


def test_paper_network_has_the_papers_layers() -> None:
    paper = ResidualNet(PARENTS, output="angles")
    assert (paper.first.in_features, paper.first.out_features) == (32, 1024)
    assert (paper.last.in_features, paper.last.out_features) == (1024, 45)
    kinds = [[type(layer).__name__ for layer in block.layers] for block in paper.blocks]
    assert kinds == [["Linear", "BatchNorm1d", "ReLU"] * 2] * 3


@pytest.mark.parametrize("output", ["angles", "depth"])
def test_predictions_are_poses(output: str) -> None:
    """Lengths in [0, 1], directions of length 1, and joints that are f of both."""
    found = net(output)(torch.from_numpy(made().p2d))
    assert ((found.r >= 0) & (found.r <= 1)).all()
    assert (found.d.norm(dim=-1) - 1).abs().max() < 1e-3
    joints = geometry.positions(found.r[..., None] * found.d, geometry.paths(PARENTS))
    assert (joints - found.p3d).abs().max() < 1e-4


def test_depth_keeps_the_2d_it_was_given() -> None:
    p2d = torch.from_numpy(made().p2d)
    found = net("depth")(p2d).p3d[..., ::2]
    given = p2d - p2d[:, :1]
    scale = (found * given).sum((1, 2)) / given.square().sum((1, 2))
    assert (found - scale[:, None, None] * given).abs().max() < 1e-4
    assert (scale > 0).all()


def test_depth_knows_no_unit_and_no_place() -> None:
    p2d = torch.from_numpy(made().p2d)
    network = net("depth")
    a, b = network(p2d), network(p2d * 250 + 1000)
    assert (a.p3d - b.p3d).abs().max() < 1e-2


def test_what_is_not_seen_cannot_matter() -> None:
    p2d = torch.from_numpy(made().p2d).clone()
    p2d[:, 3] = torch.nan
    found = net("depth")(p2d)
    assert torch.isfinite(found.p3d).all()
    half = p2d.clone()
    half[:, 3, 1] = 7.0  # x is still NaN
    assert torch.equal(net("depth")(half).p3d, found.p3d)


def test_doubt_does_not_train_the_pose() -> None:
    network = net("depth").train()
    found = network(torch.from_numpy(made().p2d))
    assert found.log_error is not None
    found.log_error.sum().backward()
    assert network.first.weight.grad is None
    assert network.log_error is not None
    assert network.log_error.weight.grad is not None


@pytest.mark.parametrize("output", ["angles", "depth"])
def test_gradients_are_finite_for_any_pose(output: str) -> None:
    """Joints on one another, and a pose that is a point, are poses too."""
    p2d = torch.from_numpy(made(4).p2d).clone()
    p2d[0] = 0
    p2d[1] = p2d[1, :1]
    network = net(output).train()
    found = network(p2d)
    (found.r.sum() + found.d.sum() + found.p3d.sum()).backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_joints_in_one_place_give_a_small_gradient() -> None:
    # Else one such bone ends the training: Adam remembers its square for thousands of steps.
    lifting = net("depth")
    p2d = torch.from_numpy(made().p2d)
    p2d[:, :6] = math.nan
    with torch.no_grad():  # hidden joints at the origin, two by two in one place
        lifting.last.weight.zero_()
        lifting.last.bias.zero_()
    found = lifting(p2d)
    losses.edge_direction_loss(found.d, torch.ones_like(found.d) / math.sqrt(3)).backward()
    assert lifting.last.bias.grad is not None
    assert 0 < lifting.last.bias.grad.abs().max() < 10

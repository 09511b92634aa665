"""The torch twin of posesynth's kinematics: f, its inverse, unit directions; differentiable, on any device.

Shapes, frames and units are those of docs/conventions.md: p3d (B, N, 3) with x right, y away from the camera, z up;
o (B, E, 3) of (r, theta, phi) in radians; edge e ends at joint e + 1.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def directions(theta: Tensor, phi: Tensor) -> Tensor:
    """Unit vectors (..., 3) of spherical angles (equation 5)."""
    across = torch.sin(theta)
    return torch.stack([across * torch.cos(phi), across * torch.sin(phi), torch.cos(theta)], dim=-1)


def paths(parents: Sequence[int]) -> Tensor:
    """(N, E), 1 where edge e lies between the root and joint n: positions are this matrix times the bones."""
    matrix = torch.zeros(len(parents), len(parents) - 1)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            matrix[joint] = matrix[parent]
            matrix[joint, joint - 1] = 1
    return matrix


def positions(bones: Tensor, paths: Tensor) -> Tensor:
    """Joint positions (B, N, 3), root at the origin, of bones (B, E, 3) as vectors."""
    return paths @ bones


def forward(o: Tensor, paths: Tensor) -> Tensor:
    """P3D = f(O) (equation 5): (B, E, 3) -> (B, N, 3)."""
    return positions(o[..., :1] * directions(o[..., 1], o[..., 2]), paths)


def spherical(r: Tensor, direction: Tensor) -> Tensor:
    """O (B, E, 3) of lengths (B, E) and unit vectors (B, E, 3), in the canonical ranges of docs/conventions.md."""
    x, y, z = direction.unbind(-1)
    theta = torch.atan2(torch.hypot(x, y), z)
    phi = torch.atan2(y, x)
    phi = torch.where(phi <= -torch.pi, -phi, phi)
    zero = torch.zeros((), dtype=r.dtype, device=r.device)
    return torch.stack([r, torch.where(r > 0, theta, zero), torch.where(r > 0, phi, zero)], dim=-1)

"""The losses, as pure functions of predictions and targets; each a scalar, a mean over the batch.

The paper's three (section 3.3.3): r, r_true (B, E) are lengths in units of the longest edge, d, d_true (B, E, 3) unit
vectors.  And two beyond it, on joints (B, N, 3).
"""

from torch import Tensor

_TINY = 1e-6


def symmetry_loss(r: Tensor, pairs: Tensor) -> Tensor:
    """L_sym: mean squared difference of the predicted lengths of symmetric edges.  pairs: (P, 2) edge indices."""
    if len(pairs) == 0:
        return r.new_zeros(())
    return (r[:, pairs[:, 0]] - r[:, pairs[:, 1]]).square().mean()


def edge_length_loss(r: Tensor, r_true: Tensor) -> Tensor:
    """L_el: mean squared error of the lengths."""
    return (r - r_true).square().mean()


def edge_direction_loss(d: Tensor, d_true: Tensor) -> Tensor:
    """L_ed: minus the mean cosine between predicted and true directions; -1 where all agree.

    On unit vectors, never on angles: those jump by a whole turn where the direction does not move.
    """
    return -(d * d_true).sum(-1).mean()


def joint_errors(p: Tensor, p_true: Tensor) -> Tensor:
    """(B, N) distances between predicted and true joints, each pose moved to its own centre."""
    difference = (p - p.mean(dim=1, keepdim=True)) - (p_true - p_true.mean(dim=1, keepdim=True))
    return (difference.square().sum(-1) + _TINY**2).sqrt()


def position_loss(errors: Tensor) -> Tensor:
    """Mean of the `joint_errors`."""
    return errors.mean()


def expected_error_loss(log_error: Tensor, errors: Tensor) -> Tensor:
    """Negative log-likelihood of the errors, taken for exponential; least where log_error is log E[error]."""
    return (errors.detach() * (-log_error).exp() + log_error).mean()

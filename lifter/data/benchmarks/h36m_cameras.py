"""The cameras of Human3.6M, as the data set was calibrated: facts that its 3D files do not repeat.

Rounded to 1e-7 and 0.1 mm, which moves no joint by more than a hundredth of a pixel.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from posesynth.motion.rotation import of_quaternions

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """A pinhole with lens distortion.

    ``focal``, ``centre``: (x, y) in pixels.  ``radial``: (k1, k2, k3).  ``tangential``: (p2, p1), the terms of x first.
    ``orientation``: unit quaternion w x y z that turns the camera's axes to the world's.  ``place``: in the world, mm.
    """

    name: str
    focal: tuple[float, float]
    centre: tuple[float, float]
    radial: tuple[float, float, float]
    tangential: tuple[float, float]
    orientation: tuple[float, float, float, float]
    place: tuple[float, float, float]

    @cached_property
    def turn(self) -> Array:
        """(3, 3), whose columns are the camera's x (right), y (down) and z (ahead) in the world."""
        return of_quaternions(np.array(self.orientation) / np.linalg.norm(self.orientation))

    def from_world(self, points: Array) -> Array:
        """(..., 3) of the world, mm, in the camera's frame."""
        return np.asarray((points - np.array(self.place)) @ self.turn)

    def project(self, points: Array) -> Array:
        """(..., 2) pixels of points (..., 3) in the camera's frame; NaN behind it.

        The distortion is Human3.6M's own; in OpenCV's its tangential terms in x y, x^2 and y^2 are twice as large.
        """
        depth = points[..., 2:]
        flat = points[..., :2] / np.where(depth > 0, depth, np.nan)
        square = (flat**2).sum(-1, keepdims=True)
        k1, k2, k3 = self.radial
        radial = 1 + square * (k1 + square * (k2 + square * k3))
        bent = flat @ np.array(self.tangential)[:, None]
        flat = flat * (radial + bent) + square * np.array(self.tangential)
        return np.asarray(flat * np.array(self.focal) + np.array(self.centre))


# name, focal length, centre, radial, tangential distortion
_LENSES = (
    (
        "54138969",
        (1145.0494, 1143.7811),
        (512.5415, 515.4515),
        (-0.2070989, 0.2477752, -0.0030752),
        (-0.0009757, -0.0014245),
    ),
    (
        "55011271",
        (1149.6757, 1147.5917),
        (508.8486, 508.0649),
        (-0.1942136, 0.2404085, 0.0068200),
        (-0.0016190, -0.0027409),
    ),
    (
        "58860488",
        (1149.1407, 1148.7990),
        (519.8159, 501.4026),
        (-0.2083382, 0.2554880, -0.0024605),
        (0.0014844, -0.0007600),
    ),
    (
        "60457274",
        (1145.5114, 1144.7739),
        (514.9682, 501.8820),
        (-0.1983841, 0.2183237, -0.0089478),
        (-0.0005872, -0.0018134),
    ),
)
# For each subject the cameras in that order: orientation, place.
_PLACES = {
    "S1": (
        ((0.1407056, -0.1500702, -0.7552408, 0.6223280), (1841.1, 4955.3, 1563.4)),
        ((0.6157188, -0.7648363, -0.1483383, 0.1179474), (1761.3, -5078.0, 1606.3)),
        ((0.1465147, -0.1464785, 0.7653024, -0.6094176), (-1846.8, 5215.0, 1492.0)),
        ((0.5834008, -0.7853162, 0.1454882, -0.1474959), (-1794.8, -3722.7, 1574.9)),
    ),
    "S5": (
        ((0.1467377, -0.1623710, -0.7551893, 0.6178939), (2097.4, 4880.9, 1605.7)),
        ((0.6159759, -0.7626792, -0.1572819, 0.1189815), (2031.7, -5167.9, 1612.9)),
        ((0.1429137, -0.1290784, 0.7678385, -0.6110143), (-1620.6, 5171.7, 1496.4)),
        ((0.5920480, -0.7814218, 0.1274749, -0.1503642), (-1637.2, -3867.3, 1547.0)),
    ),
    "S6": (
        ((0.1337898, -0.1569240, -0.7571090, 0.6198879), (1935.5, 4950.2, 1618.1)),
        ((0.6147197, -0.7628813, -0.1617477, 0.1181924), (1969.8, -5128.7, 1632.8)),
        ((0.1529948, -0.1352913, 0.7646096, -0.6112781), (-1769.6, 5185.4, 1477.0)),
        ((0.5916101, -0.7804774, 0.1283227, -0.1561594), (-1721.7, -3884.1, 1540.5)),
    ),
    "S7": (
        ((0.1435242, -0.1631337, -0.7548329, 0.6188825), (1974.5, 4926.4, 1597.8)),
        ((0.6141673, -0.7638263, -0.1596646, 0.1177930), (1937.1, -5119.8, 1631.6)),
        ((0.1455006, -0.1287482, 0.7660517, -0.6127139), (-1741.8, 5208.2, 1464.8)),
        ((0.5912848, -0.7821764, 0.1244547, -0.1519649), (-1734.7, -3832.4, 1548.6)),
    ),
    "S8": (
        ((0.1411059, -0.1558987, -0.7561917, 0.6196440), (2150.7, 4896.2, 1611.9)),
        ((0.6169602, -0.7647668, -0.1484635, 0.1115816), (2220.0, -5148.5, 1613.0)),
        ((0.1471444, -0.1337712, 0.7670128, -0.6100370), (-1571.2, 5137.0, 1498.2)),
        ((0.5927824, -0.7825871, 0.1214782, -0.1463200), (-1476.9, -3896.7, 1548.0)),
    ),
    "S9": (
        ((0.1554059, -0.1554822, -0.7532095, 0.6199595), (2044.5, 4935.1, 1481.2)),
        ((0.6187845, -0.7634735, -0.1413224, 0.1193397), (1991.0, -5123.8, 1568.8)),
        ((0.1335783, -0.1367100, 0.7689455, -0.6100739), (-1671.0, 5212.0, 1528.4)),
        ((0.5879399, -0.7823407, 0.1427614, -0.1479487), (-1696.0, -3827.1, 1591.4)),
    ),
    "S11": (
        ((0.1523247, -0.1544232, -0.7547563, 0.6191070), (2098.4, 4926.6, 1500.3)),
        ((0.6189449, -0.7600917, -0.1530063, 0.1255258), (2083.2, -4912.2, 1561.1)),
        ((0.1494323, -0.1565023, 0.7681234, -0.6026304), (-1609.8, 5177.3, 1537.9)),
        ((0.5894251, -0.7818877, 0.1399121, -0.1471536), (-1590.7, -3854.2, 1578.0)),
    ),
}
CAMERAS: dict[str, tuple[Camera, ...]] = {
    subject: tuple(Camera(*lens, *place) for lens, place in zip(_LENSES, places, strict=True))
    for subject, places in _PLACES.items()
}

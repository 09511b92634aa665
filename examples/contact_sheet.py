"""Draw a contact sheet of synthetic pictures, a row a skeleton.

python examples/contact_sheet.py SHEET.jpg [SKELETON ...]
"""

import sys

import numpy as np
from PIL import Image

import posesynth
from posesynth.render import render

SIZE, ACROSS = 160, 8


def main(out: str, *names: str) -> None:
    rows = []
    for k, name in enumerate(names or ("dog", "human", "mouse", "hand")):
        batch = render(posesynth.load_skeleton(name), 0, ACROSS * k, ACROSS * (k + 1), SIZE)
        rows.append(np.concatenate(list(batch.image), axis=1))
    Image.fromarray(np.concatenate(rows)).save(out, quality=85)


main(*sys.argv[1:])

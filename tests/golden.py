"""The bytes that samples are known to have, in golden.json beside this file.

    python tests/golden.py

writes golden.json anew.  It refuses to where the bytes of an unchanged skeleton have changed under the same
STREAM_VERSION: people hold data sets whose manifests promise those bytes.
"""

import hashlib
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from posesynth import load_skeleton, sample
from posesynth.sampler import FIELDS, STREAM_VERSION
from posesynth.schema import parse_skeleton
from posesynth.skeleton import Skeleton, builtin_skeletons

FILE = Path(__file__).with_name("golden.json")
COUNT = 1000

# Never edited, so that a change of the kernel is told from a change of a shipped skeleton: both kinds of angles and of
# frames, ranges across poles and +-180, edges without length, symmetric lengths, every option.
EVERY_OPTION = """\
posesynth: 1
name: every_option
root: root
joints:
  a: {parent: root, theta: [0, 180], phi: [150, 210], length: [0.5, 2]}
  b: {parent: a, frame: parent, theta: [0, 40], phi: [-180, 180]}
  c: {parent: b, frame: parent, flexion: [-20, 140], abduction: [-15, 5]}
  d: {parent: c, frame: world, flexion: [150, 400], abduction: [80, 100], length: [0, 0]}
  e: {parent: d, frame: parent, theta: [170, 180], phi: [0, 0], length: [1, 1]}
  f: {parent: root, flexion: [180, 180], abduction: [0, 0], length: [1.0e-6, 1.0e-6]}
  g: {mirror: c}
sampling:
  view: {yaw: [-40, 200], pitch: [-90, 30], roll: [-5, 5]}
  distance: [7, 30]
  noise: 0.05
  missing: 0.2
"""

# The same for angles that depend on others: tables, a frame further up, usual ranges, examples.
EVERY_DEPENDENCE = """\
posesynth: 1
name: every_dependence
root: root
joints:
  a: {parent: root, flexion: [90, 210], abduction: {given: flexion, at: {100: [0, 10], 170: [-9, 30], 200: [-20, 40]}},
      usual: {flexion: [150, 200]}}
  b: {parent: a, frame: parent, theta: {given: parent.flexion, at: {90: [60, 150], 150: [0, 150]}}, phi: [-135, -45]}
  c: {parent: b, frame: a, flexion: [-180, 180], abduction: {given: parent.phi, at: {-90: [0, 9], 0: [-9, 9]}}}
  d: {mirror: a}
  e: {mirror: b}
sampling: {angles: tree, usual: 0.3, view: {usual: {yaw: [0, 90], pitch: [-20, 9], roll: [1, 2]}}}
examples:
  joints: [a, b, d, e]
  angles:
  - [100, 5, 110, -90, 200, -20, 10, 260]
  - [200, 20, 10, -80, 180, 3, 60, 270]
"""


@cache
def golden_skeletons() -> dict[str, Skeleton]:
    """The shipped skeletons, and those above."""
    shipped = {name: load_skeleton(name) for name in builtin_skeletons()}
    made = (parse_skeleton(text, "golden.py") for text in (EVERY_OPTION, EVERY_DEPENDENCE))
    return shipped | {skeleton.name: skeleton for skeleton in made}


def samples_digest(skeleton: Skeleton, count: int = COUNT, start: int = 0) -> str:
    """SHA-256 of all fields of samples start..start + count - 1 of seed 0, one field after another, little-endian."""
    batch = sample(skeleton, 0, start, start + count, extras=FIELDS[2:])
    digest = hashlib.sha256()
    for name in FIELDS:
        array = getattr(batch, name)
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def made() -> dict[str, Any]:
    """What golden.json holds, from the code as it is."""
    return {
        "stream_version": STREAM_VERSION,
        "samples": COUNT,
        "skeletons": {
            name: {"skeleton": skeleton.digest, "samples": samples_digest(skeleton)}
            for name, skeleton in golden_skeletons().items()
        },
    }


def broken_promises(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Unchanged skeletons whose samples have changed although the stream version has not."""
    if old["stream_version"] != new["stream_version"]:
        return []
    before, after = old["skeletons"], new["skeletons"]
    return [
        name
        for name in before
        if name in after
        and before[name]["skeleton"] == after[name]["skeleton"]
        and before[name]["samples"] != after[name]["samples"]
    ]


def main() -> int:
    new = made()
    if FILE.exists() and (names := broken_promises(json.loads(FILE.read_text()), new)):
        print(f"the samples of {', '.join(names)} have changed: raise STREAM_VERSION, then run this again")
        return 1
    FILE.write_text(json.dumps(new, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

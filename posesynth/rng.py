"""Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).

A draw is a pure function of where it stands: the key is the 64-bit seed, the counter is
(index low word, index high word, call, stream).  Nothing is kept between draws, so any sample can be
made by anyone in any order.  Each purpose has its own stream, so using one changes no other.
"""

import numpy as np

from .compilation import formula, stage

# Samples are made in blocks, one row of BLOCK contiguous values a quantity: small enough for the cache,
# and a constant, without which LLVM does not run the samples of a row side by side.
BLOCK = 256

POSE, VIEW, CAMERA, NOISE, MISSING, IMAGE, EVOLUTION = range(7)

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)

U24 = np.float32(2.0**-24)


@formula
def _round(c0, c1, c2, c3, k0, k1, n):  # type: ignore[no-untyped-def]
    k0 = (k0 + np.uint64(n) * _W0) & _MASK
    k1 = (k1 + np.uint64(n) * _W1) & _MASK
    p0 = _M0 * c0
    p1 = _M1 * c2
    return (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _MASK, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _MASK


@formula
def philox(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Philox4x32-10: four counter words and two key words -> four words (uint64 holding 32 bits each).

    The rounds stand written out because a loop here keeps LLVM from running samples side by side (9 times slower).
    """
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1, 0)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1, 1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1, 2)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1, 3)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1, 4)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1, 5)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1, 6)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1, 7)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1, 8)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1, 9)
    return c0, c1, c2, c3


@formula
def draw(seed, index, call, stream):  # type: ignore[no-untyped-def]
    """Words 4 * call to 4 * call + 3 of one sample of a stream, as uint64."""
    call, stream = np.uint64(call), np.uint64(stream)
    return philox(index & _MASK, index >> _SHIFT, call, stream, seed & _MASK, seed >> _SHIFT)


@stage
def _call(words, start, call, stream, k0, k1):  # type: ignore[no-untyped-def]
    for s in range(BLOCK):
        index = start + np.uint64(s)
        a, b, c, d = philox(index & _MASK, index >> _SHIFT, call, stream, k0, k1)
        words[s] = a
        words[BLOCK + s] = b
        words[2 * BLOCK + s] = c
        words[3 * BLOCK + s] = d


@stage
def fill(words, count, seed, start, stream):  # type: ignore[no-untyped-def]
    """The first `count` words of one stream for samples start, start + 1, ..., start + BLOCK - 1.

    words: flat uint32; word w of sample start + s comes to stand at ``w * BLOCK + s``.  There must be room for
    `count` rounded up to a multiple of 4.
    """
    k0, k1 = seed & _MASK, seed >> _SHIFT
    for call in range((count + 3) // 4):
        i = 4 * call * BLOCK
        _call(words[i : i + 4 * BLOCK], start, np.uint64(call), np.uint64(stream), k0, k1)

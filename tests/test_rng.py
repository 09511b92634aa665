"""The counter-based generator: known answers, and no two draws alike."""

import naive
import numpy as np
import pytest

from posesynth import load_skeleton, rng, sample
from posesynth.errors import InputError

# Random123's kat_vectors, philox4x32 10: counter, key, answer.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]

SEEDS = (0, 1, 2**32, 2**63)
INDICES = (0, 2**32, 2**40, 2**64 - rng.BLOCK)


def words(seed: int, start: int, stream: int, calls: int = 2) -> np.ndarray:
    """(BLOCK, 4 calls) words of BLOCK consecutive samples."""
    out = np.empty(4 * calls * rng.BLOCK, np.uint32)
    rng.fill(out, 4 * calls, np.uint64(seed), np.uint64(start), stream)
    return out.reshape(4 * calls, rng.BLOCK).T.copy()


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_random123_known_answers(counter: tuple, key: tuple, answer: tuple) -> None:
    assert tuple(int(w) for w in rng.philox(*map(np.uint64, (*counter, *key)))) == answer
    assert naive.philox4x32_10(counter, key) == answer


def test_fill_is_the_twin_word_for_word() -> None:
    for seed in (*SEEDS, 2**64 - 1):
        for start in (*INDICES, 2**32 - 7, 12345678901234567890):
            for stream in (rng.POSE, rng.MISSING):
                made = words(seed, start, stream, calls=3)
                for s in (0, 1, 6, 7, 8, rng.BLOCK - 1):
                    index = (start + s) % 2**64
                    assert made[s].tolist() == [naive.word(seed, index, stream, k) for k in range(12)]


def test_streams_share_no_draw() -> None:
    """Any two equal calls of four words would be a birthday of 2^-128: none among seeds, far indices and streams."""
    rows = [
        words(seed, start, stream, calls=4).reshape(-1, 4) for seed in SEEDS for start in INDICES for stream in range(5)
    ]
    every = np.concatenate(rows)
    assert len(np.unique(every, axis=0)) == len(every) == len(SEEDS) * len(INDICES) * 5 * 4 * rng.BLOCK


def shared_samples(make: object, seeds: tuple[int, ...], starts: tuple[int, ...], n: int = 4096) -> int:
    """How many samples of the ranges start..start + n of all seeds occur twice."""
    rows = np.concatenate([make(seed, start, n) for seed in seeds for start in starts])  # type: ignore[operator]
    return len(rows) - len(np.unique(rows, axis=0))


def made(seed: int, start: int, n: int) -> np.ndarray:
    return sample(load_skeleton("quadruped"), seed, start, start + n).p2d.reshape(n, -1)


def seed_plus_index(seed: int, start: int, n: int) -> np.ndarray:
    return np.array([np.random.default_rng(seed + i).random(4) for i in range(start, start + n)])


def index_in_32_bits(seed: int, start: int, n: int) -> np.ndarray:
    return made(seed, start % 2**32, n)


def test_seeds_and_indices_share_no_sample() -> None:
    assert shared_samples(made, SEEDS, INDICES[:3]) == 0


@pytest.mark.parametrize("scheme", [seed_plus_index, index_in_32_bits])
def test_overlapping_schemes_are_caught(scheme: object) -> None:
    """The generators that others use, and the cast that loses the index's upper half."""
    assert shared_samples(scheme, (0, 1), (0, 2**32), n=100) > 90


def test_index_does_not_wrap_at_32_bits() -> None:
    assert not np.array_equal(made(0, 5, 1), made(0, 2**32 + 5, 1))
    across = made(0, 2**32 - 3, 6)
    assert np.array_equal(across[3:], made(0, 2**32, 3))


def test_sampling_is_right_up_to_the_last_index() -> None:
    skeleton = load_skeleton("quadruped")
    last = sample(skeleton, 2**64 - 1, 2**64 - 3, 2**64, extras=("p3d", "rotation"))
    assert len(last) == 3
    for i in range(3):
        twin = naive.sample(skeleton, 2**64 - 1, 2**64 - 3 + i)
        np.testing.assert_allclose(last.rotation[i], twin.rotation, atol=1e-6)  # type: ignore[index]
        np.testing.assert_allclose(last.p3d[i], twin.p3d, atol=5e-6)  # type: ignore[index]
    assert len(sample(skeleton, 0, 2**64, 2**64)) == 0


@pytest.mark.parametrize(
    ("seed", "start", "stop"),
    [
        (-1, 0, 1),
        (2**64, 0, 1),
        (0, 3, 2),
        (0, -1, 1),
        (0, -5, -2),
        (0, 2**64 - 1, 2**64 + 1),
        (0, 2**64, 2**64 + 1),
        (0.0, 0, 1),
        ("0", 0, 1),
        (None, 0, 1),
        (0, 0.5, 1.5),
        (0, 0, 1.0),
        (0, "0", "1"),
    ],
)
def test_seed_or_range_that_does_not_exist_is_refused(seed: int, start: int, stop: int) -> None:
    with pytest.raises(InputError, match=r"^(seed|start|stop|start, stop): "):
        sample(load_skeleton("quadruped"), seed, start, stop)


def test_numpy_integers_are_integers() -> None:
    skeleton = load_skeleton("quadruped")
    here = sample(skeleton, np.uint64(2**64 - 1), np.uint64(2**64 - 4), 2**64)
    assert np.array_equal(here.o, sample(skeleton, 2**64 - 1, 2**64 - 4, 2**64).o)
    assert np.array_equal(sample(skeleton, np.int8(3), np.int8(100), np.int16(200)).o, sample(skeleton, 3, 100, 200).o)

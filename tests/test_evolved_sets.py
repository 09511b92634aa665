"""Sets of evolved poses: made again from themselves alone, resumed, mended, and never taken for drawn ones."""

import copy
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evolution_poses import drawn_poses
from store_contract import contents, interrupt

from posesynth import InputError, load_skeleton
from posesynth.evolution import Ancestry, Source, genes_of
from posesynth.evolution.ancestry import _grown
from posesynth.store import Plan, generate, open, verify  # noqa: A004
from posesynth.store.plan import plan_of

HUMAN = load_skeleton("human")
ANCESTRY = Ancestry(drawn_poses(HUMAN, 300), 28, (Source("walk.bvh", "ab" * 32, 320, 300),), "human-cmu-bvh.yaml")
PLAN = Plan(HUMAN, seed=11, n=4500, shard=2000, ancestry=ANCESTRY)


@pytest.fixture(params=["zarr", "h5"])
def ending(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def whole(folder: Path, ending: str, plan: Plan = PLAN) -> Path:
    folder.mkdir()
    path = folder / f"set.{ending}"
    generate(plan, path)
    return path


def test_the_set_alone_tells_how_it_is_made_again(tmp_path: Path, ending: str) -> None:
    path = whole(tmp_path / "a", ending)
    _grown.clear()
    data = open(path)
    assert data.plan.identity == PLAN.identity
    assert data.plan.ancestry == ANCESTRY
    assert data.plan.ancestry.sources[0].sha256 == "ab" * 32
    report = verify(path)
    assert report.good
    assert report.checked >= 4500 * 328


def test_what_was_damaged_is_bred_again(tmp_path: Path, ending: str) -> None:
    path = whole(tmp_path / "a", ending)
    before = contents(path.parent)
    victim = path / "o" / "c.1.0.0" if ending == "zarr" else path
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    _grown.clear()
    assert not verify(path).good
    assert verify(path, repair=True).good
    assert contents(path.parent) == before


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(tmp_path: Path, ending: str) -> None:
    expected = contents(whole(tmp_path / "whole", ending).parent)
    (tmp_path / "stopped").mkdir()
    path = tmp_path / "stopped" / f"set.{ending}"
    interrupt(PLAN, str(path))
    with pytest.raises(InputError, match=r"is not finished|there is no data set"):
        open(path)
    _grown.clear()
    done = generate(PLAN, path)
    assert done.reused == 1
    assert done.complete
    assert contents(path.parent) == expected


@pytest.mark.parametrize("workers", [2])
def test_processes_write_the_same_bytes(tmp_path: Path, workers: int) -> None:
    expected = contents(whole(tmp_path / "one", "zarr").parent)
    (tmp_path / "two").mkdir()
    generate(PLAN, tmp_path / "two" / "set.zarr", workers=workers)
    assert contents(tmp_path / "two") == expected


@pytest.mark.parametrize("change", ["drawn", "poses", "seed"])
def test_another_set_is_not_taken_for_it(tmp_path: Path, ending: str, change: str) -> None:
    path = whole(tmp_path / "a", ending)
    before = contents(path.parent)
    other = {
        "drawn": replace(PLAN, ancestry=None),
        "poses": replace(PLAN, ancestry=replace(ANCESTRY, initial=drawn_poses(HUMAN, 300, seed=1))),
        "seed": replace(PLAN, seed=12),
    }[change]
    with pytest.raises(InputError, match="evolution" if change != "seed" else "seed"):
        generate(other, path)
    assert contents(path.parent) == before


def test_an_evolved_set_is_not_written_over_a_drawn_one(tmp_path: Path, ending: str) -> None:
    path = whole(tmp_path / "a", ending, replace(PLAN, ancestry=None))
    with pytest.raises(InputError, match="evolution"):
        generate(PLAN, path)


def test_a_set_of_drawn_samples_is_what_it_was() -> None:
    assert "evolution" not in replace(PLAN, ancestry=None).identity


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"initial": "AAAA"}, "is not what posesynth evolve writes"),
        ({"initial": 7}, "is not what posesynth evolve writes"),
        ({"poses": 299}, "is not what posesynth evolve writes"),
        ({"poses": 10**12}, "is not what posesynth evolve writes"),
        ({"sources": [{"name": "a"}]}, "is not what posesynth evolve writes"),
        ({"generations": -1}, "is not what posesynth evolve writes"),
        ({"version": 2}, "evolution.version: is 2; this version of posesynth has 1"),
        ({"bone_degrees": 20.0}, "evolution.bone_degrees: is 20.0; this version of posesynth has 10.0"),
        ({"note": "x"}, "evolution: is .* which the other attributes contradict"),
        (None, "evolution: is 7; expected a mapping"),
    ],
)
def test_attributes_that_were_changed_are_refused(change: dict[str, Any] | None, said: str) -> None:
    identity = copy.deepcopy(PLAN.identity)
    identity["evolution"] = 7 if change is None else {**identity["evolution"], **change}
    with pytest.raises(InputError, match=said):
        plan_of(identity, "set.zarr")


def test_fewer_samples_than_initial_poses_are_refused() -> None:
    with pytest.raises(InputError, match="n: is 299; expected at least the 300 poses it begins with"):
        replace(PLAN, n=299)


def test_initial_poses_stand_among_the_others_in_random_order() -> None:
    genes = genes_of(HUMAN, 11, ANCESTRY, 4500)
    given = {tuple(row) for row in ANCESTRY.initial[..., 0].tolist()}
    places = [i for i, row in enumerate(genes[:, :16].tolist()) if tuple(row) in given]
    assert len(places) >= 300
    assert np.mean(places) == pytest.approx(2250, abs=300)


def test_a_large_initial_population_fits_into_both_kinds_of_set(tmp_path: Path, ending: str) -> None:
    many = Ancestry(np.tile(drawn_poses(HUMAN, 1000), (46, 1, 1)), 0)  # 8.8 MB
    path = whole(tmp_path / "a", ending, Plan(HUMAN, seed=0, n=46_000, ancestry=many))
    assert open(path).plan.ancestry == many
    shutil.rmtree(tmp_path / "a")

"""Checking a stored set: every byte is compared with what its skeleton, seed and index give.

Making samples is about as fast as hashing them, so nothing is taken on trust: not the manifest, nor its digests.
"""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from posesynth.errors import InputError
from posesynth.sampler import cores
from posesynth.store.generate import as_input_error, size
from posesynth.store.manifest import Piece, ShardRecord
from posesynth.store.plan import Plan, check_stream, plan_of
from posesynth.store.target import Finding, Target, identity_of, target


@dataclass(frozen=True)
class Report:
    """What `verify` found.

    findings: what was wrong.  remaining: what still is, after --repair.  checked: bytes that were compared.
    """

    findings: tuple[Finding, ...]
    remaining: tuple[Finding, ...]
    checked: int
    samples: int

    @property
    def good(self) -> bool:
        """Whether the set is now as it should be."""
        return not self.remaining

    @property
    def summary(self) -> str:
        """One line for people."""
        faults = "1 fault" if len(self.findings) == 1 else f"{len(self.findings)} faults"
        verdict = "every byte is right" if not self.findings else faults
        if self.findings and self.good:
            verdict += ", mended"
        elif len(self.findings) > len(self.remaining):
            verdict += f", {len(self.remaining)} remain"
        return f"{self.samples} samples, {size(self.checked)} checked: {verdict}"


def verify(
    path: str | os.PathLike[str], repair: bool = False, progress: Callable[[int], object] | None = None
) -> Report:
    """Compare every byte of the set at `path` with what it should be.

    repair: make what is missing or damaged again, and remove what an interrupted run left behind.  Files that
    posesynth did not make are reported and stay.  progress: called with the number of bytes checked since.
    Raises InputError where there is no set, or none whose skeleton, seed and n can still be read.
    """
    place = target(path)
    with as_input_error(place):
        plan = plan_of(identity_of(place), place.where)
        check_stream(plan, place.where)
        place.check(plan, repair)
        faults, records, checked = _check(plan, place, range(plan.shards), progress)
        remaining = faults
    if repair and faults:
        with as_input_error(place, plan):
            remaining = _repair(plan, place, records)
    return Report(tuple(faults), tuple(remaining), checked, plan.n)


def _check(
    plan: Plan, place: Target, shards: range | list[int], progress: Callable[[int], object] | None = None
) -> tuple[list[Finding], dict[int, ShardRecord], int]:
    """Faults, the shards that are right with their true digests, and the bytes that were compared."""
    faults = place.faults(plan)
    claims: dict[int, ShardRecord] = {}
    with suppress(InputError):
        claims = place.claims(plan)
    named = {fault.place for fault in faults}
    sound, checked = {}, 0
    if not place.is_complete():  # of shards that nobody says are written, one line is enough
        faults.append(Finding(place.found_at, f"{len(claims)} of {plan.shards} shards are known to be written"))
        shards = sorted(k for k in claims if k in shards)
    with ThreadPoolExecutor(cores()) as pool:
        for k, (found, record, length) in zip(shards, pool.map(lambda k: _shard(plan, place, k), shards), strict=True):
            checked += length
            if progress:
                progress(length)
            faults += [fault for fault in found if fault.place not in named]
            if not found and k in claims and claims[k] != record:
                faults.append(Finding(f"{place.where}: shard {k}", "is right, but its digests are not the manifest's"))
            elif not found:
                sound[k] = record
    return faults, sound, checked


def _repair(plan: Plan, place: Target, sound: dict[int, ShardRecord]) -> list[Finding]:
    with place.lock(shared=False):
        if not place.prepare(plan, alone=True):
            sound = {}
        mended = [k for k in range(plan.shards) if k not in sound]
        with ThreadPoolExecutor(1) as pool:
            for record in pool.map(lambda k: place.write(plan, k, cores()), mended):
                sound[record.k] = record
        place.discard_strays(plan)
        place.finish(plan, sound)
    return _check(plan, place, mended)[0]


def _shard(plan: Plan, place: Target, k: int) -> tuple[list[Finding], ShardRecord, int]:
    """Compare one shard with what it should be."""
    start, stop = plan.range(k)
    digests = {name: hashlib.sha256() for name in plan.arrays}
    lengths = dict.fromkeys(plan.arrays, 0)
    faults: dict[str, str] = {}

    def stored(name: str, length: int) -> bytes | None:
        try:
            return place.stored(plan, name, k, lengths[name], length)
        except InputError as error:
            faults.setdefault(name, error.lines[0].removeprefix(f"{place.where}: "))
            return None

    def compare(name: str, expected: bytes, what: str) -> None:
        found = stored(name, len(expected))
        lengths[name] += len(expected)
        if found is None:
            faults.setdefault(name, "is missing")
        elif len(found) < len(expected):
            faults.setdefault(name, f"is cut short from {what} on")
        elif found != expected:
            faults.setdefault(name, f"differs from {what} on")
        else:
            digests[name].update(found)

    for first, _, made in plan.blocks(start, stop):
        for name in plan.arrays:
            if name not in faults:
                compare(name, place.encoded(plan, name, made), f"sample {first}")
    for name in plan.arrays:
        if name not in faults:
            compare(name, place.tail(plan, name, k), "its index")
            if stored(name, 1):
                faults.setdefault(name, "has bytes after its end")
    record = ShardRecord(
        k, start, stop, {name: Piece(lengths[name], digests[name].hexdigest()) for name in plan.arrays}
    )
    found = [Finding(place.label(plan, name, k), fault) for name, fault in faults.items()]
    return found, record, sum(lengths.values())

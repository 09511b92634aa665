"""Sets on disk: generate beside dd, verify, memory, and the first thousand samples."""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .measure import table

POSESYNTH = [sys.executable, "-c", "from posesynth.cli import main; main()"]
SAMPLE_BYTES = 308


def command(*arguments: object, **environment: str) -> tuple[float, float]:
    """Seconds and peak MiB of a posesynth command."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [*POSESYNTH, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    _, status, usage = os.wait4(process.pid, 0)
    spent = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"posesynth {' '.join(map(str, arguments))}: exit {process.returncode}")
    return spent, _mib(usage)


def _mib(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024


def dd(path: Path, nbytes: int) -> float:
    """Seconds that dd takes to write as many bytes and have them on the disk."""
    begin = time.perf_counter()
    block = 4 * 2**20
    subprocess.run(
        ["dd", "if=/dev/zero", f"of={path}", f"bs={block}", f"count={-(-nbytes // block)}", "conv=fdatasync"],
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - begin


def storage(rounds: int = 3) -> None:
    """`posesynth generate` to local disk beside dd of the same bytes; verify; peak memory.  In turns."""
    n = int(float(os.environ.get("BENCH_N", "4e6")))
    nbytes = n * SAMPLE_BYTES
    spent: dict[str, list[float]] = {"dd": [], "Zarr": [], "HDF5": [], "verify Zarr": [], "verify HDF5": []}
    peak: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR", ".")) as folder:
        for _ in range(rounds):
            spent["dd"].append(dd(Path(folder) / "zeros", nbytes))
            (Path(folder) / "zeros").unlink()
            for kind, name in (("Zarr", "set.zarr"), ("HDF5", "set.h5")):
                path = Path(folder) / name
                seconds, mib = command("generate", "--skeleton", "quadruped", "--n", n, "--out", path)
                spent[kind].append(seconds)
                peak[kind] = max(mib, peak.get(kind, 0))
                spent[f"verify {kind}"].append(command("verify", path)[0])
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    base = statistics.median(spent["dd"])
    rows = []
    for name, seconds in spent.items():
        median = statistics.median(seconds)
        mib = f"{peak[name]:.0f}" if name in peak else ""
        rows.append((name, f"{median:.1f}", f"{nbytes / median / 1e9:.2f}", f"{median / base:.2f}", mib))
    print(table((f"{n / 1e6:g}M samples", "s, median", "GB/s", "of dd's time", "peak MiB"), rows))


def memory() -> None:
    """Peak memory of `posesynth generate` as n grows."""
    rows = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR", ".")) as folder:
        for n in (1_000_000, 4_000_000, 8_000_000, 16_000_000):
            path = Path(folder) / "set.zarr"
            seconds, mib = command("generate", "--skeleton", "quadruped", "--n", n, "--out", path)
            rows.append((f"{n:,}", f"{mib:.0f}", f"{seconds:.1f}"))
            shutil.rmtree(path)
    print(table(("samples", "peak MiB", "s"), rows))


def start() -> None:
    """1,000 samples from the command line: with nothing compiled yet, and after."""
    with tempfile.TemporaryDirectory() as folder:
        cache = str(Path(folder) / "cache")
        spent = []
        for k in range(4):
            path = Path(folder) / f"{k}.zarr"
            spent.append(
                command("generate", "--skeleton", "quadruped", "--n", 1000, "--out", path, NUMBA_CACHE_DIR=cache)[0]
            )
    rows = [("first time", f"{spent[0]:.1f}"), ("once compiled", f"{min(spent[1:]):.2f}")]
    print(table(("1,000 samples", "s"), rows))

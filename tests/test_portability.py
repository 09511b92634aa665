"""The same bytes everywhere: on other processors, at other optimisation, with another C library, and next year."""

import copy
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import golden
import numpy as np
import portability_child
import pytest
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from shared_between_workers import made_once

HERE = Path(__file__).parent
RENEW = "`python tests/golden.py` writes tests/golden.json anew"

HASWELL = "+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2,+f16c,+lzcnt,+popcnt,+movbe"
SKYLAKE = HASWELL + ",+avx512f,+avx512dq,+avx512cd,+avx512bw,+avx512vl"
NO_FMA = "glibc.cpu.hwcaps=-FMA,-AVX2,-FMA4"

VARIANTS = {
    "generic": {"NUMBA_CPU_NAME": "generic", "GLIBC_TUNABLES": NO_FMA},
    "haswell": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": HASWELL},
}
UNOPTIMISED = {"NUMBA_OPT": "0"}
MORE_VARIANTS = {
    "native, libm without FMA": {"GLIBC_TUNABLES": NO_FMA},
    "skylake-avx512": {"NUMBA_CPU_NAME": "skylake-avx512", "NUMBA_CPU_FEATURES": SKYLAKE},
    "haswell without FMA": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": HASWELL.replace("+fma", "-fma")},
    "sandybridge": {"NUMBA_CPU_NAME": "sandybridge", "NUMBA_CPU_FEATURES": "+sse4.2,+avx"},
    "generic, unoptimised": {"NUMBA_CPU_NAME": "generic", "NUMBA_OPT": "0"},
    "little optimised": {"NUMBA_OPT": "1"},
    "scalar loops": {"NUMBA_LOOP_VECTORIZE": "0"},
    "packed statements": {"NUMBA_SLP_VECTORIZE": "1"},
}

# Beside Python's and Numba's own machinery and LLVM's intrinsics for memory and integers, this is all that may be
# called: IEEE-754 fixes the bits of a square root and of an absolute value, whoever computes them.
EXACT = {"sqrtf", "llvm.sqrt", "llvm.fabs", "llvm.maxnum", "llvm.minnum"}
MACHINERY = ("NRT_", "nrt_", "Py", "_Py", "numba_", "_ZN9posesynth", "_ZN5numba", "cfunc.", "cpython.")
INTRINSICS = (
    "masked",
    "mem",
    "smax",
    "smin",
    "umax",
    "umin",
    "assume",
    "lifetime",
    "uadd",
    "smul",
    "x86.atomic",
    "abs",
    "fshl",
    "experimental.noalias.scope.decl",
)


def cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith("flags") for flag in line.split()}


def run_child(environment: dict[str, str], cache: Path, *options: str, python: str = sys.executable) -> dict[str, Any]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("NUMBA_", "GLIBC_"))}
    paths = os.pathsep.join([str(HERE.parent), str(HERE)])
    done = subprocess.run(
        [python, str(HERE / "portability_child.py"), *options],
        env=clean | environment | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def reason_to_skip(environment: dict[str, str]) -> str:
    if platform.machine() != "x86_64" and "NUMBA_CPU_NAME" in environment:
        return "the processor names are those of x86-64"
    features = environment.get("NUMBA_CPU_FEATURES", "").replace(".", "_").split(",")
    in_linux = {"lzcnt": "abm", "bmi": "bmi1"}
    wanted = {in_linux.get(f[1:], f[1:]) for f in features if f.startswith("+")}
    lacking = wanted - cpu_flags()
    return f"this processor lacks {', '.join(sorted(lacking))}" if lacking else ""


def skip_unless_it_runs(environment: dict[str, str]) -> None:
    if reason := reason_to_skip(environment):
        pytest.skip(reason)


def child_of_all_workers(factory: pytest.TempPathFactory, name: str) -> dict[str, Any]:
    def make(folder: Path) -> None:
        (folder / "child.json").write_text(json.dumps(run_child(VARIANTS[name], folder / "cache", "--code")))

    return json.loads((made_once(factory, f"portability-{name}", make) / "child.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def unoptimised(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_child(UNOPTIMISED, tmp_path_factory.mktemp("cache"), "--code")


@pytest.fixture(scope="module")
def children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[dict[str, Any]]]]:
    """One process for each of VARIANTS, two at a time: nearly all they do is compile."""
    with ThreadPoolExecutor(2) as pool:
        yield {
            name: pool.submit(child_of_all_workers, tmp_path_factory, name)
            for name, environment in VARIANTS.items()
            if not reason_to_skip(environment)
        }


@pytest.fixture(scope="module")
def here() -> dict[str, str]:
    return portability_child.digests()


@pytest.mark.parametrize("variant", VARIANTS)
def test_bytes_do_not_depend_on_the_processor(
    variant: str, children: dict[str, Future[dict[str, Any]]], here: dict[str, str]
) -> None:
    skip_unless_it_runs(VARIANTS[variant])
    assert children[variant].result()["digests"] == here


@pytest.mark.long
@pytest.mark.parametrize("variant", MORE_VARIANTS)
def test_bytes_do_not_depend_on_many_more_processors(variant: str, here: dict[str, str], tmp_path: Path) -> None:
    skip_unless_it_runs(MORE_VARIANTS[variant])
    assert run_child(MORE_VARIANTS[variant], tmp_path)["digests"] == here


@pytest.mark.long
@pytest.mark.skipif("POSESYNTH_OTHER_PYTHON" not in os.environ, reason="needs a Python that has another Numba")
def test_bytes_do_not_depend_on_the_compiler(here: dict[str, str], tmp_path: Path) -> None:
    """POSESYNTH_OTHER_PYTHON: the interpreter of an environment with, say, the oldest Numba of pyproject.toml."""
    assert run_child({}, tmp_path, python=os.environ["POSESYNTH_OTHER_PYTHON"])["digests"] == here


def test_variants_vary(children: dict[str, Future[dict[str, Any]]]) -> None:
    """The same digests would mean nothing had all children run the same code."""
    for environment in VARIANTS.values():
        skip_unless_it_runs(environment)
    generic, haswell = (children[name].result() for name in ("generic", "haswell"))
    assert not any(name.startswith("v") for name in generic["code"]["instructions"])
    assert all(name.startswith("v") for name in haswell["code"]["instructions"])
    if platform.libc_ver()[0] == "glibc" and "fma" in cpu_flags():
        assert generic["libm"] != portability_child.libm_digest()  # the very reason for polynomials of our own


@pytest.mark.long
def test_without_optimisation_the_code_is_other_code(unoptimised: dict[str, Any], here: dict[str, str]) -> None:
    assert unoptimised["digests"] == here
    assert unoptimised["opt"] == 0
    assert not any(name.endswith("mulps") for name in unoptimised["code"]["instructions"])
    called = unoptimised["code"]["called"]
    assert [name for name in called if not _allowed(name)] == []
    assert unoptimised["code"]["flagged"] == {}


def _allowed(name: str) -> bool:
    exact = any(name == known or name.startswith(known + ".") for known in EXACT)
    return exact or name.startswith(MACHINERY) or name.startswith(tuple(f"llvm.{known}" for known in INTRINSICS))


@pytest.mark.parametrize("variant", VARIANTS)
def test_kernels_call_no_libm(variant: str, children: dict[str, Future[dict[str, Any]]]) -> None:
    skip_unless_it_runs(VARIANTS[variant])
    called = children[variant].result()["code"]["called"]
    assert called
    assert [name for name in called if not _allowed(name)] == []
    for name in ("sinf", "cosf", "atan2f", "llvm.sin.f32", "llvm.fma.v8f32", "llvm.fmuladd.f32", "fmaf", "logf"):
        assert not _allowed(name)


@pytest.mark.parametrize("variant", VARIANTS)
def test_kernels_fuse_and_reorder_nothing(variant: str, children: dict[str, Future[dict[str, Any]]]) -> None:
    """haswell has fused multiply-adds, and must use none."""
    skip_unless_it_runs(VARIANTS[variant])
    code = children[variant].result()["code"]
    assert code["flagged"] == {}
    assert [name for name in code["instructions"] if name.startswith(("vfm", "vfn"))] == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_formulas_are_inlined(variant: str, children: dict[str, Future[dict[str, Any]]]) -> None:
    """A loop that still calls one cannot run on vectors: the words of the view once cost nine times what they must."""
    skip_unless_it_runs(VARIANTS[variant])
    called = children[variant].result()["code"]["called"]
    assert any("3rng4fill" in name for name in called)
    for formula in ("6_round", "6philox", "8sincospi", "5atan2", "3log", "11_half_turns"):
        assert not any(
            f"{module}{formula}" in name for name in called for module in ("rng", "trigonometry", "kinematics")
        )


@pytest.mark.skipif(platform.machine() != "x86_64", reason="looks for x86-64 instructions")
@pytest.mark.parametrize("variant", ["generic", "haswell"])
def test_stages_run_on_vectors(variant: str, children: dict[str, Future[dict[str, Any]]]) -> None:
    """Loops stand there in packed form; that one of many has fallen back to scalars is for the benchmark to see."""
    skip_unless_it_runs(VARIANTS[variant])
    count = children[variant].result()["code"]["instructions"]
    v = "v" if variant == "haswell" else ""
    for operation in ("mul", "add", "sub", "div"):
        assert count.get(f"{v}{operation}ps", 0) > 0, operation


# Flushed subnormals: what a library compiled with -ffast-math does to every thread that loads it.


@intrinsic
def _set_mxcsr(typing: Any, value: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = cgutils.alloca_once_value(builder, args[0])
        load = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
        function = cgutils.get_or_insert_function(builder.module, load, "llvm.x86.sse.ldmxcsr")
        builder.call(function, [builder.bitcast(pointer, ir.IntType(8).as_pointer())])
        return context.get_dummy_value()

    return types.void(types.uint32), codegen


@njit
def set_mxcsr(value):  # type: ignore[no-untyped-def]
    _set_mxcsr(np.uint32(value))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="sets a register of x86-64")
def test_flushing_subnormals_changes_nothing() -> None:
    skeletons = golden.golden_skeletons()
    before = {name: golden.samples_digest(skeleton) for name, skeleton in skeletons.items()}
    subnormal = np.full(1, 1e-40, np.float32)
    set_mxcsr(0x1F80 | 0x8000 | 0x0040)
    try:
        flushed = (subnormal * np.float32(1)).tolist() == [0]
        after = {name: golden.samples_digest(skeleton) for name, skeleton in skeletons.items()}
    finally:
        set_mxcsr(0x1F80)
    assert flushed
    assert after == before


# The committed bytes.


@pytest.mark.parametrize("name", golden.golden_skeletons())
def test_samples_are_the_golden_ones(name: str) -> None:
    known = json.loads(golden.FILE.read_text())
    assert known["stream_version"] == golden.STREAM_VERSION, f"STREAM_VERSION has changed: {RENEW}"
    assert name in known["skeletons"], f"skeleton '{name}' is new: {RENEW}"
    entry, skeleton = known["skeletons"][name], golden.golden_skeletons()[name]
    assert entry["skeleton"] == skeleton.digest, f"skeleton '{name}' has changed: {RENEW}"
    assert entry["samples"] == golden.samples_digest(skeleton), (
        f"the samples of '{name}' have changed, its skeleton has not: undo that, or raise STREAM_VERSION; {RENEW}"
    )


def test_golden_names_are_the_shipped_skeletons() -> None:
    assert set(json.loads(golden.FILE.read_text())["skeletons"]) == set(golden.golden_skeletons())


def test_golden_bytes_cannot_change_under_one_stream_version() -> None:
    old = json.loads(golden.FILE.read_text())
    new = copy.deepcopy(old)
    assert golden.broken_promises(old, new) == []
    new["skeletons"]["quadruped"]["samples"] = "0"
    assert golden.broken_promises(old, new) == ["quadruped"]
    new["stream_version"] += 1
    assert golden.broken_promises(old, new) == []
    new["stream_version"] = old["stream_version"]
    new["skeletons"]["quadruped"]["skeleton"] = "0"
    assert golden.broken_promises(old, new) == []

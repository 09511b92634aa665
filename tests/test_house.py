"""Rules of the house that no linter knows: what may be written, what an import may cost, what a wheel holds."""

import importlib
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FORBIDDEN = {
    "pickle runs whatever the file says": r"\b(import|from)\s+(c?[Pp]ickle|dill|joblib|shelve)\b",
    "np.load with allow_pickle=True is pickle": r"allow_pickle\s*=\s*True",
    "torch.load without weights_only=True is pickle": r"\btorch\.load\((?![^)]*weights_only=True)",
    "yaml.load guesses types and runs tags": r"\byaml\.(unsafe_|full_)?load\(",
    "eval and exec run what they are given": r"(?<![\w.])(eval|exec)\(",
    "a path of one machine": r"(?<![\w.$}/])/(home|root|work|Users|tmp|mnt)/\w",
    "a package registry's address": r"https?://[\w.-]*(pypi|pythonhosted|npmjs)\.[\w.]+",
}

ALLOWED = {
    # Machine code is kept as Numba keeps its own: pickled, in a folder that only this user can write, digest checked.
    "posesynth/compilation.py": "pickle runs whatever the file says",
    # Benchmarks are spread as pickles: read by one that calls nothing that a file names.
    "lifter/data/benchmarks/unpickle.py": "pickle runs whatever the file says",
}

# What breaks each rule once, so that a rule that has gone blind is seen.
VIOLATIONS = {
    "pickle runs whatever the file says": "import pickle",
    "np.load with allow_pickle=True is pickle": "np.load(path, allow_pickle = True)",
    "torch.load without weights_only=True is pickle": "torch.load(path, map_location='cpu')",
    "yaml.load guesses types and runs tags": "yaml.load(text)",
    "eval and exec run what they are given": "x = eval(text)",
    "a path of one machine": "open('/home/" + "someone/data')",
    "a package registry's address": "https://" + "pypi" + ".org/simple",
}

HEAVY = (
    "torch",
    "dask",
    "distributed",
    "matplotlib",
    "ruamel",
    "pydantic",
    "zarr",
    "h5py",
    "obstore",
    "lifter",
)


def tracked() -> list[Path]:
    """The text files of the project: what git knows, or, in an unpacked archive, all that is not hidden."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    if listing.returncode == 0 and listing.stdout:
        paths = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    else:
        paths = [p for p in ROOT.rglob("*") if not any(part.startswith(".") for part in p.relative_to(ROOT).parts)]
    text = {".py", ".md", ".yaml", ".yml", ".toml", ".json", ".lock", ".cfg", ".sh", ""}
    return [p for p in paths if p.is_file() and p.suffix in text and p != Path(__file__)]


@pytest.mark.parametrize("rule", FORBIDDEN)
def test_nothing_forbidden_is_written(rule: str) -> None:
    pattern = re.compile(FORBIDDEN[rule])
    found = []
    for path in tracked():
        if ALLOWED.get(path.relative_to(ROOT).as_posix()) == rule:
            continue
        code = path.suffix == ".py" and ROOT / "tests" not in path.parents
        if code or rule.startswith(("a path", "a package")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if pattern.search(line):
                    found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert not found, "\n".join([rule, *found])


@pytest.mark.parametrize("rule", FORBIDDEN)
def test_each_rule_sees_its_violation(rule: str) -> None:
    assert re.search(FORBIDDEN[rule], VIOLATIONS[rule])


def test_importing_posesynth_loads_nothing_heavy() -> None:
    code = f"import posesynth, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ["posesynth", "lifter"])
def test_public_names_are_few_documented_and_in_the_reference(package: str) -> None:
    module = importlib.import_module(package)
    assert len(module.__all__) <= 15
    reference = (ROOT / "docs" / "reference.md").read_text()
    for name in module.__all__:
        assert getattr(module, name).__doc__, name
        assert re.search(rf"^::: {package}\.([\w.]+\.)?{name}$", reference, re.MULTILINE), name


def test_wheel_carries_skeletons_and_both_packages(tmp_path: Path) -> None:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "0"}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = [p.name for p in (ROOT / "skeletons").iterdir() if p.suffix in {".yaml", ".json"}]
    shipped = {f"posesynth/skeletons/{name}" for name in sources}
    assert "posesynth/skeletons/quadruped.yaml" in shipped
    assert "posesynth/skeletons/skeleton.schema.json" in shipped
    assert shipped | {"posesynth/__init__.py", "lifter/__init__.py"} <= names
    models = {f"lifter/models/{path.name}" for path in (ROOT / "lifter" / "models").iterdir()}
    assert "lifter/models/quadruped.safetensors" in models
    assert models <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_every_benchmark_is_there() -> None:
    from benchmarks.__main__ import SECTIONS

    for name, module in SECTIONS.items():
        assert callable(getattr(importlib.import_module(f"benchmarks.{module}"), name))

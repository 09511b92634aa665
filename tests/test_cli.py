"""The command line: what each command does, and that every wrong argument ends in one clear line."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import posesynth
from posesynth.cli import main

GENERATE = ["generate", "--skeleton", "quadruped", "--n", "1000"]
EVOLVE = ["evolve", "--skeleton", "dog", "--from", "clip.npz", "--out", "dog.zarr"]


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Run a command in an empty folder -> (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run_(*args):
        with pytest.raises(SystemExit) as leave:
            main([str(arg) for arg in args])
        out = capsys.readouterr()
        return leave.value.code, out.out, out.err

    return run_


# name -> (arguments, words that the error line must hold)
WRONG = {
    "no such command": (["generat"], "did you mean 'generate'?"),
    "no such option": ([*GENERATE, "--sed", "1"], "--seed"),
    "no skeleton": (["generate", "--n", "10"], "--skeleton"),
    "no n": (["generate", "--skeleton", "dog"], "--n"),
    "unknown built-in": (["generate", "--skeleton", "quadrupd", "--n", "10"], "did you mean 'quadruped'?"),
    "missing file": (["validate", "nowhere/my.yaml"], "nowhere/my.yaml"),
    "folder for a file": (["validate", "./"], "./"),
    "n 0": ([*GENERATE[:-1], "0"], "1 or more"),
    "n negative": ([*GENERATE[:-1], "-5"], "--n"),
    "n unit": ([*GENERATE[:-1], "25X"], "25M"),
    "n too large": ([*GENERATE[:-1], "1e30"], "out of range"),
    "n 2^63": ([*GENERATE[:-1], str(2**63)], "out of range"),
    "n not whole": ([*GENERATE[:-1], "1.5"], "not whole"),
    "n empty": ([*GENERATE[:-1], ""], "not a number"),
    "n with underscores": ([*GENERATE[:-1], "1_000"], "not a number"),
    "n with a blank": ([*GENERATE[:-1], " 5"], "not a number"),
    "n in other digits": ([*GENERATE[:-1], "\u0663"], "not a number"),
    "yaw with underscores": ([*GENERATE, "--yaw", "1_0:2_0"], "LO:HI"),
    "a very long value": ([*GENERATE, "--dtype", 5000 * "x"], "--dtype"),
    "a control character": ([*GENERATE, "--arrays", "\x1b[31m"], "\\x1b"),
    "n nan": ([*GENERATE[:-1], "nan"], "not a number"),
    "n inf": ([*GENERATE[:-1], "inf"], "not a number"),
    "n huge exponent": ([*GENERATE[:-1], "1e999999999"], "--n"),
    "seed negative": ([*GENERATE, "--seed", "-1"], "--seed"),
    "seed 2^64": ([*GENERATE, "--seed", str(2**64)], "out of range"),
    "seed text": ([*GENERATE, "--seed", "lucky"], "not a number"),
    "shard 0": ([*GENERATE, "--shard", "0"], "1 or more"),
    "workers 0": ([*GENERATE, "--workers", "0"], "--workers"),
    "workers negative": ([*GENERATE, "--workers", "-1"], "--workers"),
    "unknown array": ([*GENERATE, "--arrays", "p2d,oo"], "'oo'"),
    "empty array": ([*GENERATE, "--arrays", ""], "arrays"),
    "array twice": ([*GENERATE, "--arrays", "p2d,p2d"], "p2d"),
    "dtype": ([*GENERATE, "--dtype", "int8"], "float32"),
    "out without suffix": ([*GENERATE, "--out", "set"], ".zarr"),
    "out empty": ([*GENERATE, "--out", ""], "path"),
    "out in a missing folder": ([*GENERATE, "--out", "nowhere/x.zarr"], "nowhere"),
    "out is /dev/null": ([*GENERATE, "--out", "/dev/null"], "/dev/null"),
    "out too long": ([*GENERATE, "--out", 300 * "a" + ".zarr"], "aaa"),
    "shards not a range": ([*GENERATE, "--shards", "3"], "A:B"),
    "shards beyond the set": ([*GENERATE, "--shards", "0:9"], "shards"),
    "yaw no range": ([*GENERATE, "--yaw", "30"], "LO:HI"),
    "yaw inverted": ([*GENERATE, "--yaw", "30:-30"], "yaw"),
    "pitch beyond the pole": ([*GENERATE, "--pitch", "-100:0"], "pitch"),
    "camera inside the animal": ([*GENERATE, "--distance", "1:3"], "distance"),
    "noise negative": ([*GENERATE, "--noise", "-1"], "noise"),
    "noise nan": ([*GENERATE, "--noise", "nan"], "noise"),
    "missing 2": ([*GENERATE, "--missing", "2"], "missing"),
    "start beyond 2^64": (["stream", "--skeleton", "dog", "--start", str(2**64)], "out of range"),
    "batch 0": (["stream", "--skeleton", "dog", "--batch", "0"], "1 or more"),
    "verify nothing": (["verify", "nowhere.zarr"], "nowhere.zarr"),
    "inspect nothing": (["inspect", "nowhere.zarr"], "nowhere.zarr"),
    "inspect unknown": (["inspect", "dgo"], "did you mean 'dog'?"),
    "coverage without motion": (["coverage", "dog"], "MOTION"),
    "evolve without motion": (["evolve", "--skeleton", "dog", "--out", "dog.zarr"], "--from"),
    "evolve without a place": (EVOLVE[:-2], "--out"),
    "evolve from nothing": (EVOLVE, "clip.npz"),
    "evolve with an unknown map": ([*EVOLVE, "--map", "mouse2"], "did you mean 'mouse22'?"),
    "evolve to 0": ([*EVOLVE, "--target", "0"], "1 or more"),
    "evolve both ways": ([*EVOLVE, "--target", "9", "--generations", "3"], "--generations"),
    "evolve an unknown kind of set": ([*EVOLVE[:-1], "dog.npz"], ".zarr"),
    "coverage of nothing": (["coverage", "dog", "nowhere.bvh"], "nowhere.bvh"),
    "coverage of an unknown kind": (["coverage", "dog", "clip.mp4"], ".bvh"),
}


@pytest.mark.parametrize(("arguments", "words"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_argument_is_one_clear_line_and_leaves_nothing(arguments, words, run, tmp_path):
    posesynth.sample(posesynth.load_skeleton("dog"))  # or a first run would tell of compiling, too
    code, _, err = run(*arguments)
    lines = err.splitlines()
    assert code == 2
    assert [line[:6] for line in lines] == ["error:"], err
    assert words in lines[0]
    assert len(lines[0]) <= 300
    assert lines[0].isprintable()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("text", "number"), [("1000", 1000), ("1e6", 10**6), ("25M", 25 * 10**6), ("1.5G", 15 * 10**8),
                                          ("2k", 2000), ("0.5k", 500)])  # fmt: skip
def test_sizes_read_as_people_write_them(text, number):
    from posesynth.command_line import Size

    assert Size().convert(text, None, None) == number


def test_help_and_no_command_show_the_commands(run):
    for arguments in ((), ("--help",), ("-h",)):
        code, out, _ = run(*arguments)
        assert code == 0
        assert "generate" in out


@pytest.mark.parametrize(
    "command", ["generate", "stream", "verify", "validate", "inspect", "coverage", "evolve", "skeletons"]
)
def test_every_command_explains_itself(command, run):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert "Usage:" in out


def test_generate_verify_and_inspect_speak_of_the_same_set(run, tmp_path):
    assert run(*GENERATE, "--out", "q.zarr")[0] == 0
    assert run("verify", "q.zarr")[0] == 0
    code, out, _ = run("inspect", "q.zarr", "--png", "q.png")
    assert code == 0
    assert "1,000 samples of 'quadruped', seed 0" in out
    assert (tmp_path / "q.png").stat().st_size > 10_000


def test_evolve_writes_a_set_and_the_same_command_leaves_it(run, tmp_path):
    dog = posesynth.load_skeleton("dog")
    upright = posesynth.sample(dog, 0, 0, 40, extras=("o_up",)).o_up
    np.savez("clip.npz", positions=posesynth.forward(upright, dog), names=dog.joints)
    Path("still.yaml").write_text("forward: -y\n")
    command = [*EVOLVE, "--map", "still.yaml", "--target", "200", "--seed", "3"]
    code, out, _ = run(*command)
    assert code == 0
    assert "40 frames: 40 initial poses; kept out: 0 outside the ranges, 0 without a pose\n200 poses after" in out
    assert "1 shard written; the set is complete" in out
    code, out, _ = run(*command)
    assert code == 0
    assert "0 shards written, 1 there already" in out
    assert "every byte is right" in run("verify", "dog.zarr")[1]
    assert "evolved from 40 poses of clip.npz in" in run("inspect", "dog.zarr", "--png", "dog.png")[1]
    for options, words in (
        (["--target", "39"], "--target: is 39; expected at least the 40 initial poses"),
        (["--generations", "3"], "is 200 in the set that is there"),
    ):
        code, _, err = run(*EVOLVE, "--map", "still.yaml", "--seed", "3", *options)
        assert code == 2
        assert words in err
        assert len(err.splitlines()) == 1


def test_a_built_in_may_be_named_as_its_file(run, tmp_path):
    assert run("generate", "--skeleton", "quadruped.yaml", "--n", "1000")[0] == 0
    assert (tmp_path / "quadruped.zarr" / "manifest.json").exists()


def test_generate_names_its_set_after_the_skeleton(run, tmp_path):
    assert run(*GENERATE)[0] == 0
    assert (tmp_path / "quadruped.zarr" / "manifest.json").exists()


def test_verify_exits_1_on_a_damaged_set_and_0_once_repaired(run, tmp_path):
    run(*GENERATE, "--out", "q.zarr")
    shard = max((tmp_path / "q.zarr").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)
    code, out, _ = run("verify", "q.zarr")
    assert code == 1
    assert shard.name in out
    assert run("verify", "q.zarr", "--repair")[0] == 0
    assert run("verify", "q.zarr")[0] == 0


def test_sampling_options_change_the_samples(run):
    assert run(*GENERATE, "--out", "a.zarr", "--yaw", "-30:30", "--noise", "0.05", "--missing", "0.2")[0] == 0
    data = posesynth.open("a.zarr")
    assert data.skeleton.sampling.yaw == (-30.0, 30.0)
    assert data.skeleton.sampling.noise == 0.05


def test_validate_reports_the_faults_of_every_file(run, tmp_path):
    (tmp_path / "a.yaml").write_text(
        "posesynth: 1\nname: a\nroot: x\njoints:\n  y: {parent: z, theta: [9, 2], phi: [0, 1]}\n"
    )
    code, out, err = run("validate", "dog", "a.yaml")
    assert code == 2
    assert "dog: good; 16 joints" in out
    lines = err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("error: a.yaml:5:") for line in lines)


def test_angles_that_look_like_radians_are_one_warning_line(run, tmp_path):
    (tmp_path / "a.yaml").write_text(
        "posesynth: 1\nname: a\nroot: x\njoints:\n  y: {parent: x, theta: [0.5, 1.57], phi: [0, 3.14]}\n"
    )
    code, out, err = run("validate", "a.yaml")
    assert code == 0
    assert "a.yaml: good" in out
    assert [line[:9] for line in err.splitlines()] == ["warning: "]


def test_inspect_refuses_a_seed_for_a_set_and_speaks_of_options_it_has(run, tmp_path):
    run(*GENERATE, "--out", "q.zarr")
    code, _, err = run("inspect", "q.zarr", "--seed", "7")
    assert (code, err[:15]) == (2, "error: --seed: ")
    (tmp_path / "q.zarr" / "manifest.json").unlink()
    code, _, err = run("inspect", "q.zarr")
    assert code == 2
    assert "q.zarr: is not finished; expected the same command run again" in err
    assert "allow_incomplete" not in err


def test_inspect_tells_ranges_and_where_in_them_an_angle_mostly_is(run):
    _, out, _ = run("inspect", "hand")
    row = next(line for line in out.splitlines() if "index_dip" in line)
    assert "flexion [0, 100] usually [0, 70]  abduction [-8, 8]  length" in row


def test_inspect_draws_the_deepest_chain(run, tmp_path):
    bones = "".join(f"  j{i}: {{parent: j{i - 1}, theta: [0, 90], phi: [0, 90]}}\n" for i in range(1, 1024))
    (tmp_path / "chain.yaml").write_text(f"posesynth: 1\nname: chain\nroot: j0\njoints:\n{bones}")
    code, out, _ = run("inspect", "chain.yaml", "--png", "chain.png")
    assert code == 0
    assert "j1023 " in out


def test_inspect_overwrites_only_a_picture_that_is_named(run, tmp_path):
    (tmp_path / "dog.png").write_text("mine")
    code, out, _ = run("inspect", "dog")
    assert code == 0
    assert "not drawn: dog.png exists already" in out
    assert (tmp_path / "dog.png").read_text() == "mine"
    run("inspect", "dog", "--png", "dog.png")
    assert (tmp_path / "dog.png").stat().st_size > 10_000


def test_a_picture_that_cannot_be_written_leaves_what_was_there(run, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "old.png").write_text("mine")
    for name in ("old.png", "new.png"):
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            code, _, err = run("inspect", "dog", "--png", name)
        assert code == 2
        assert err == f"error: {name}: cannot be written; No space left on device\n"
    assert [path.name for path in tmp_path.iterdir()] == ["old.png"]
    assert (tmp_path / "old.png").read_text() == "mine"
    for name, reason in (("gone/a.png", "there is no such folder"), ("a.xyz", "Format 'xyz' is not supported")):
        code, _, err = run("inspect", "dog", "--png", name)
        assert code == 2
        assert f"{name}: cannot be written; {reason}" in err
    assert [path.name for path in tmp_path.iterdir()] == ["old.png"]


def test_a_picture_goes_where_a_link_leads_and_into_a_device(run, tmp_path):
    (tmp_path / "link.png").symlink_to("real.png")
    assert run("inspect", "dog", "--png", "link.png")[0] == 0
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "real.png").stat().st_size > 10_000
    assert run("inspect", "dog", "--png", "/dev/null")[0] == 0
    assert not Path("/dev/null").is_file()


def test_skeletons_lists_what_ships(run):
    code, out, _ = run("skeletons")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        "dog",
        "fly",
        "hand",
        "human",
        "mammal",
        "mouse",
        "quadruped",
    ]


@pytest.mark.parametrize(("redirection", "code"), [(">&-", 0), ("2>&-", 0), (">/dev/full", 2)])
def test_closed_and_full_streams_end_without_a_traceback(redirection, code):
    command = f"{sys.executable} -m posesynth skeletons {redirection}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[1]
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def shell(command, folder, timeout=120):
    """A shell command in which `posesynth` is this one, in a folder."""
    script = f"posesynth() {{ '{sys.executable}' -m posesynth \"$@\"; }}; {command}"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=timeout, cwd=folder, env=environment
    )


@pytest.mark.parametrize("command", ["", "--help", "generate --help", "--version", "skeletons", "validate dog",
                                     "inspect dog", "stream -s dog",
                                     "generate -s dog --n 1000 --out new.zarr"])  # fmt: skip
def test_a_reader_that_leaves_ends_a_command_quietly(command, tmp_path):
    buffered = "PYTHONUNBUFFERED=" + ("1" if len(command) % 2 else "")  # Python has other streams then
    done = shell(f"export {buffered}; posesynth {command} 2>err | true; echo ${{PIPESTATUS[0]}}; cat err", tmp_path)
    assert done.stdout == "0\n"
    if "new.zarr" in command:
        assert (tmp_path / "new.zarr" / "manifest.json").exists()


def test_verify_keeps_its_exit_code_where_nobody_reads(run, tmp_path):
    run(*GENERATE, "--out", "q.zarr")
    code = "posesynth verify q.zarr 2>&1 | true; echo ${PIPESTATUS[0]}"
    assert shell(code, tmp_path).stdout == "0\n"
    (tmp_path / "q.zarr" / "o" / "c.0.0.0").write_bytes(b"")
    assert shell(code, tmp_path).stdout == "1\n"


def test_an_error_is_an_error_where_nobody_reads(tmp_path):
    assert shell("posesynth validate dgo 2>&1 | true; echo ${PIPESTATUS[0]}", tmp_path).stdout == "2\n"


@pytest.mark.parametrize(
    ("delay", "out"), [(0.0, "i.zarr"), (0.2, "i.h5"), (0.4, "i.zarr"), (0.6, "i.h5"), (0.8, "i.zarr")]
)
def test_ctrl_c_while_workers_start_is_quiet(delay, out, tmp_path):
    posesynth.sample(posesynth.load_skeleton("dog"))  # the kernels are kept from here on
    command = ["generate", "-s", "dog", "--n", "1M", "--shard", "16384", "--out", out, "--workers", "2"]
    with subprocess.Popen(
        [sys.executable, "-m", "posesynth", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        process.stdout.readline()  # what it needs; the workers start now
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    # By the signal, which a shell shows as 130 too, where it met an exec() of Numba's: Python leaves so then.
    assert process.returncode in (130, -signal.SIGINT)
    begun = [path.relative_to(tmp_path).parts[0] for path in (*tmp_path.glob("*/zarr.json"), *tmp_path.glob(".*"))]
    for path in tmp_path.glob(".*.partial"):
        path.unlink()  # 300 MB
    told = f"the same command goes on from what is in {begun[0]}" if begun else "nothing was written"
    assert err.split("\n") == [f"stopped; {told}", "", ""]


@pytest.mark.parametrize(("sent", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_that_python_drops_is_sent_again(sent, code):
    block = f"""
        import ctypes, os, signal, time
        import click
        from posesynth.command_line import run_command

        @ctypes.CFUNCTYPE(None)
        def called_by_c():
            os.kill(os.getpid(), signal.{sent})
            time.sleep(0.1)

        @click.command()
        def command():
            called_by_c()
            time.sleep(30)

        run_command(command, "command", [])
        """
    words = [sys.executable, "-c", textwrap.dedent(block)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (code, "", "")


@pytest.mark.parametrize("package", ["posesynth", "lifter"])
def test_ctrl_c_while_a_command_is_still_being_imported_is_130_and_silent(package):
    block = f"""
        import sys
        from {package}.__main__ import main

        class Interrupted:
            def find_spec(self, name, *rest):
                if name == "click":
                    raise KeyboardInterrupt

        sys.meta_path.insert(0, Interrupted())
        main()
        """
    words = [sys.executable, "-c", textwrap.dedent(block)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(("cause", "expected"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
@pytest.mark.parametrize("told", [True, False])
def test_ctrl_c_is_130_and_sigterm_143_and_both_tell_what_there_is(cause, expected, told, run, monkeypatch):
    def interrupted(*_, **__):
        if told:
            raise cause
        raise RuntimeError("Error calling __set_name__") from cause  # as Python 3.11 has it

    monkeypatch.setattr("posesynth.store.generate", interrupted)
    code, _, err = run(*GENERATE)
    assert code == expected
    if told:
        assert "stopped; nothing was written" in err
    assert "Traceback" not in err


def test_sigterm_is_143_and_what_was_begun_is_cleaned_up(tmp_path):
    block = f"""
        import click, os, signal, time
        from pathlib import Path
        from posesynth.command_line import run_command

        @click.command()
        def command():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
            finally:
                Path({str(tmp_path / "cleaned")!r}).touch()

        run_command(command, "posesynth", [])
        """
    words = [sys.executable, "-c", textwrap.dedent(block)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "")
    assert (tmp_path / "cleaned").exists()


@pytest.mark.parametrize("delay", [0.5, 1.5, 3.0])
def test_sigterm_to_a_command_and_its_workers_ends_all_and_leaves_no_partial(delay, tmp_path):
    words = [sys.executable, "-m", "posesynth", "generate", "--skeleton", "quadruped", "--n", "40M", "--shard", "1M"]
    words += ["--workers", "2", "--out", str(tmp_path / "q.zarr")]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    time.sleep(delay)
    os.killpg(child.pid, signal.SIGTERM)
    _, err = child.communicate(timeout=30)
    assert child.returncode in (143, -signal.SIGTERM)  # the latter before it listens
    assert "Traceback" not in err
    assert not list(tmp_path.rglob("*.partial*"))


def test_the_command_listens_before_numba_is_loaded():
    code = "import posesynth.cli, sys; print([m for m in ('numba', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.stdout == "[]\n"


def test_a_first_run_says_that_it_compiles_and_a_second_does_not(tmp_path):
    """The first is stopped once it has said so: the second finds the kernels of this process."""
    posesynth.sample(posesynth.load_skeleton("dog"))
    command = "generate -s dog --n 1000 --workers 2"
    cold = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kernels"), "PYTHONPATH": str(Path(__file__).parents[1])}
    words = [sys.executable, "-m", "posesynth", *command.split()]
    with subprocess.Popen(
        words, cwd=tmp_path, env=cold, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr.readline() == "compiling the kernels, once (about 10 s)\n"
        process.kill()
    done = shell(f"posesynth {command} --out second.zarr", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    nothing = shell(f"export NUMBA_CACHE_DIR={tmp_path}/none; posesynth verify gone.zarr", tmp_path)
    assert nothing.stderr.startswith("error: gone.zarr")


@pytest.mark.long
def test_workers_of_a_first_run_say_nothing_of_compiling(tmp_path):
    environment = f"NUMBA_CACHE_DIR={tmp_path}/kernels"
    for told in ("compiling the kernels, once (about 10 s)\n", ""):
        done = shell(f"export {environment}; posesynth generate -s dog --n 1000 --workers 2", tmp_path)
        assert (done.returncode, done.stderr) == (0, told)


def test_inspect_draws_what_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The poses of the picture are those of the file, as many as it has."""
    from posesynth import inspection
    from posesynth.store.generate import generate
    from posesynth.store.plan import Plan

    drawn = []
    monkeypatch.setattr(inspection, "sample_sheet", lambda skeleton, batch, path, title: drawn.append((batch, title)))
    monkeypatch.chdir(tmp_path)
    generate(Plan(posesynth.load_skeleton("hand"), 0, 3, 3), "set.h5")
    inspection.dataset("set.h5", None)
    ((batch, title),) = drawn
    stored = posesynth.open("set.h5")[:3]
    assert (batch.p2d == stored.p2d).all()
    assert (batch.o == stored.o).all()
    assert title == "hand: samples 0 to 2 of seed 0"

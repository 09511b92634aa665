"""Training: each sample once, the same bytes however often it was killed, and one line for all that cannot be."""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_files import log_of, model_bytes

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("safetensors")

import posesynth  # noqa: E402
from lifter import training  # noqa: E402
from lifter.checkpoint import Checkpoints, load_tensors, save_tensors  # noqa: E402
from lifter.config import NETWORKS, Config, load_config  # noqa: E402
from lifter.learner import learning_rate  # noqa: E402
from lifter.log import TensorBoardLog  # noqa: E402
from lifter.model_file import load_model  # noqa: E402
from lifter.sources import VALIDATION, LiveSource, PipeSource, StoredSource  # noqa: E402
from lifter.training import train  # noqa: E402
from posesynth.errors import InputError  # noqa: E402
from posesynth.pipe import write_stream  # noqa: E402
from posesynth.sampler import STREAM_VERSION  # noqa: E402
from posesynth.schema import parse_skeleton  # noqa: E402
from posesynth.store.generate import generate  # noqa: E402
from posesynth.store.plan import Plan  # noqa: E402

TINY = Config(steps=60, batch=8, width=16, blocks=1, precision="32")
FASTER = {"LOG_EVERY": 10, "CHECKPOINT_SECONDS": 0.0, "VALIDATION_SAMPLES": 64}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {**FASTER, "CHECKPOINT_SECONDS": 60.0}.items():
        monkeypatch.setattr(training, name, value)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Children:
    """Commands run in processes of their own, see train_child.py."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("train_child.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, *commands: dict[str, Any]) -> list[int]:
        """Process numbers."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(commands) + "\n")
        self.process.stdin.flush()
        return self._line()

    def codes(self) -> list[int]:
        """Exit codes, once all have ended."""
        return self._line()

    def _line(self) -> list[int]:
        assert self.process.stdout is not None
        return [int(word) for word in self.process.stdout.readline().split()]


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    found = Children()
    yield found
    assert found.process.stdin is not None
    assert found.process.stdout is not None
    found.process.stdin.close()
    found.process.wait(20)
    found.process.stdout.close()


def command(folder: Path, config: Config, *args: str, **more: Any) -> dict[str, Any]:
    """`lifter train` of a configuration into FOLDER/run."""
    path = folder / "given.yaml"
    path.write_text(config.yaml())
    words = ["train", "--config", str(path), "--out", str(folder / "run"), *args]
    return {"args": words, "err": str(folder / "err.txt"), "faster": FASTER, **more}


def until(what: Any, process: int, seconds: float = 30) -> None:
    """Wait till `what()`, while the process lives."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        os.kill(process, 0)
        time.sleep(0.002)


def steps_saved(run: Path) -> int:
    """The newest step that has a whole checkpoint, by its name."""
    return max((int(path.stem[5:]) for path in run.glob("checkpoints/step-*.json")), default=0)


def refused(*args: Any, **more: Any) -> str:
    with pytest.raises(InputError) as caught:
        train(*args, **more)
    (line,) = caught.value.lines
    assert len(line) <= 300
    return line


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, children: Children) -> Path:
    """The run of TINY that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    children.start(command(folder, TINY))
    assert children.codes() == [0], (folder / "err.txt").read_text()
    return folder / "run"


# --- killed and gone on with


def test_a_run_killed_twice_ends_with_the_very_bytes_of_one_that_was_not(whole, children, tmp_path):
    chance = random.Random(3)
    run = tmp_path / "run"
    for low in (5, 30):
        (process,) = children.start(command(tmp_path, TINY))
        target = low + chance.randrange(15)
        until(lambda at=target: steps_saved(run) >= at, process)
        time.sleep(chance.random() * 0.01)
        os.kill(process, signal.SIGKILL)
        assert children.codes() == [-signal.SIGKILL]
        assert low <= steps_saved(run) < TINY.steps
    children.start(command(tmp_path, TINY))
    assert children.codes() == [0], (tmp_path / "err.txt").read_text()
    assert model_bytes(run) == model_bytes(whole)
    assert (run / "model.json").read_bytes() == (whole / "model.json").read_bytes()
    assert [line["step"] for line in log_of(run)] == list(range(10, 61, 10))
    assert load_tensors(run / "checkpoints" / "step-000000060.safetensors")[0].keys()


def test_another_seed_ends_with_other_bytes(whole, tmp_path):
    """The comparison above can fail."""
    train(TINY.with_values(seed=1), tmp_path / "run")
    assert model_bytes(tmp_path / "run") != model_bytes(whole)


def test_a_finished_run_called_again_changes_nothing_and_says_so(whole, children, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    summary = train(TINY, tmp_path / "run")
    assert summary.steps == summary.resumed == TINY.steps
    children.start(command(tmp_path, TINY))
    assert children.codes() == [0]
    told = (tmp_path / "err.txt").read_text()
    assert "finished already" in told
    assert " s, " not in told
    assert model_bytes(tmp_path / "run") == model_bytes(whole)
    assert log_of(tmp_path / "run") == log_of(whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_leaves_a_checkpoint_and_its_own_exit_code(number, whole, children, tmp_path):
    long = TINY.with_values(steps=10**6)
    run = tmp_path / "run"
    faster = {**FASTER, "CHECKPOINT_SECONDS": 60.0}
    (process,) = children.start(command(tmp_path, long, faster=faster))
    until(lambda: (run / "log.jsonl").exists(), process)
    begun = time.monotonic()
    os.kill(process, number)
    assert children.codes() == [128 + number], (tmp_path / "err.txt").read_text()
    assert time.monotonic() - begun < 5
    done = steps_saved(run)
    assert done == log_of(run)[-1]["step"] > 0
    assert f"stopped after step {done}" in (tmp_path / "err.txt").read_text()
    assert "Traceback" not in (tmp_path / "err.txt").read_text()


def test_the_log_has_a_line_for_every_so_many_steps(whole):
    lines = log_of(whole)
    assert [line["step"] for line in lines] == list(range(10, 61, 10))
    assert [line["samples"] for line in lines] == [8 * line["step"] for line in lines]
    assert [line["learning_rate"] for line in lines] == [learning_rate(TINY, line["step"] - 1) for line in lines]
    assert "validation" in lines[-1]


def test_a_torn_last_line_of_the_log_is_written_again(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    log = tmp_path / "run" / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    for name in ("step-000000060.json", "step-000000060.safetensors"):
        (tmp_path / "run" / "checkpoints" / name).unlink()
    log.write_bytes(b"".join(lines[:4]) + lines[4].rstrip(b"\n"))
    train(TINY, tmp_path / "run")
    assert [line["step"] for line in log_of(tmp_path / "run")] == [10, 20, 30, 40, 60]
    assert model_bytes(tmp_path / "run") == model_bytes(whole)


def test_what_the_log_has_beyond_the_checkpoint_is_not_there_twice(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoints").glob("step-000000060.*"):
        path.unlink()
    before = log_of(tmp_path / "run")
    assert steps_saved(tmp_path / "run") < before[-1]["step"] == 60
    train(TINY, tmp_path / "run")
    after = log_of(tmp_path / "run")
    assert [line["step"] for line in after] == [line["step"] for line in before]
    assert after[-1]["validation"] == before[-1]["validation"]


def test_other_threads_are_told_of(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    torch.set_num_threads(2)
    with pytest.warns(UserWarning, match="last bits"):
        train(TINY, tmp_path / "run")


def scalars_of(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag -> (step, value) as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    shown = EventAccumulator(str(run / "tensorboard"))
    shown.Reload()
    return {tag: [(point.step, point.value) for point in shown.Scalars(tag)] for tag in shown.Tags()["scalars"]}


def test_tensorboard_shows_the_numbers_of_the_log(whole, children, tmp_path):
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    children.start(command(tmp_path, TINY, "--tensorboard"))
    assert children.codes() == [0], (tmp_path / "err.txt").read_text()
    run = tmp_path / "run"
    assert model_bytes(run) == model_bytes(whole)
    shown, records = scalars_of(run), log_of(run)
    for name in ("L_sym", "L_el", "L_ed", "position"):
        points = [(record["step"], pytest.approx(record[name], rel=1e-5)) for record in records]
        assert shown[f"training/{name}"] == points
    validation = records[-1]["validation"]["L_ed"]
    assert shown["validation/L_ed"] == [(60, pytest.approx(validation, rel=1e-5))]
    assert len(shown["learning_rate"]) == len(shown["samples_per_second"]) == len(records)


def test_after_a_resume_tensorboard_shows_no_step_twice(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    for first, steps, loss in ((0, (10, 20, 30), 2.0), (10, (20, 30, 40), 1.0)):
        log = TensorBoardLog(str(tmp_path / "tensorboard"), first)
        for step in steps:
            log.write({"step": step, "samples": 8 * step, "L_el": loss})
        log.close()
    assert scalars_of(tmp_path) == {"training/L_el": [(10, 2.0), (20, 1.0), (30, 1.0), (40, 1.0)]}


def test_without_tensorboard_asking_for_it_is_one_line(tmp_path):
    block = "import sys; sys.modules['tensorboard'] = None; from lifter.cli import main; main(sys.argv[1:])"
    words = [sys.executable, "-c", block, "train", "--tensorboard", "--out", str(tmp_path / "run")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    told = "error: --tensorboard: is not installed; expected pip install 'posesynth[tensorboard]'"
    assert done.stderr.splitlines() == [told]
    assert not (tmp_path / "run").exists()


# --- one folder, one run


@pytest.mark.parametrize(
    ("name", "value"), [("seed", 1), ("steps", 61), ("width", 17), ("learning_rate", 0.01), ("noise", 0.5)]
)
def test_another_configuration_in_the_same_folder_is_refused_by_its_field(name, value, whole):
    before = sorted((path, path.stat().st_mtime_ns) for path in whole.rglob("*"))
    line = refused(TINY.with_values(**{name: value}), whole)
    assert f"config.yaml: {name}: is " in line
    assert "another --out" in line
    assert before == sorted((path, path.stat().st_mtime_ns) for path in whole.rglob("*"))


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    assert "'thesis.tex'" in refused(TINY, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != ".lock") == ["thesis.tex"]


def test_a_folder_whose_own_folder_is_not_there_is_refused(tmp_path):
    assert "no folder to hold it" in refused(TINY, tmp_path / "runs" / "q")
    assert list(tmp_path.iterdir()) == []


def test_the_command_names_the_options_it_was_given(children, tmp_path):
    wrong = command(tmp_path, TINY, "--width", "99999", "--learning-rate", "50")
    children.start(wrong)
    assert children.codes() == [2]
    told = (tmp_path / "err.txt").read_text()
    assert re.findall(r"error: (\S+) is", told) == ["--width:", "--learning-rate:"]
    assert not (tmp_path / "run").exists()


def test_a_file_for_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(TINY, tmp_path / "file")


def test_another_skeleton_of_the_same_name_is_refused(tmp_path):
    def source(text: str) -> LiveSource:
        skeleton = posesynth.load_skeleton("quadruped")
        return LiveSource(skeleton.with_sampling(noise=float(text)), 0)

    config = TINY.with_values(steps=3)
    train(config, tmp_path, source=source("0.1"))
    shutil.copy(tmp_path / "config.yaml", tmp_path / "kept")
    (tmp_path / "config.yaml").write_text((tmp_path / "kept").read_text().replace("noise: 0.1", "noise: 0.2"))
    (tmp_path / "kept").unlink()
    assert "another skeleton" in refused(config, tmp_path, source=source("0.2"))


def test_a_run_does_not_go_on_with_samples_of_another_stream_version(tmp_path, monkeypatch):
    config = TINY.with_values(steps=3)
    train(config, tmp_path)
    there = tmp_path / "checkpoints" / "step-000000003.safetensors"
    tensors, document = load_tensors(there)
    assert document["facts"].pop("stream_version") == str(STREAM_VERSION)
    assert STREAM_VERSION == 1
    save_tensors(there, tensors, document)
    assert train(config, tmp_path).resumed == 3  # it was not written down in the beginning
    monkeypatch.setattr("lifter.step.STREAM_VERSION", 2)
    assert "another stream version" in refused(config, tmp_path)


def test_the_second_of_two_trainers_is_refused(children, tmp_path):
    (process,) = children.start(command(tmp_path, TINY.with_values(steps=10**6)))
    until(lambda: (tmp_path / "run" / "log.jsonl").exists(), process)
    line = refused(TINY.with_values(steps=10**6), tmp_path / "run")
    os.kill(process, signal.SIGKILL)
    children.codes()
    assert "another lifter train" in line


# --- the loss


class Poisoned(LiveSource):
    """The generator, with a number that is too large in one step's batch."""

    def __init__(self, at: int) -> None:
        super().__init__(posesynth.load_skeleton("quadruped"), 0)
        self.at = at

    def batches(self, step: int, steps: int, batch: int) -> Iterator[Any]:
        for made in super().batches(step, steps, batch):
            if made.start == self.at * batch:
                made.o.fill_(torch.inf)
            yield made


@pytest.mark.parametrize("every", [60.0, 0.0])
def test_a_loss_that_is_no_number_stops_with_its_step_and_samples(every, tmp_path, monkeypatch):
    """every: seconds between checkpoints; with 0 the weights are looked at before the losses are read."""
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", every)
    line = refused(TINY, tmp_path, source=Poisoned(37))
    assert "step 38:" in line
    assert "samples 296 to 303" in line
    found = Checkpoints(tmp_path / "checkpoints").latest()
    if every:
        assert found is None
    else:
        assert found is not None
        assert found[0] == 37
        assert all(bool(torch.isfinite(tensor).all()) for tensor in found[1].values())
    assert not (tmp_path / "model.safetensors").exists()


def test_after_a_resume_the_step_that_is_no_number_is_still_named(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    refused(TINY, tmp_path, source=Poisoned(23))
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 60.0)
    line = refused(TINY, tmp_path, source=Poisoned(26))
    assert "step 27:" in line
    assert "samples 208 to 215" in line


def test_a_rate_far_too_high_never_leaves_a_model_that_is_no_number(children, tmp_path):
    wild = TINY.with_values(learning_rate=10.0, schedule="constant", output="angles")
    children.start(command(tmp_path, wild))
    (code,) = children.codes()
    text = (tmp_path / "err.txt").read_text()
    assert code in (0, 2)
    assert "Traceback" not in text
    if code == 0:
        net, _, _ = load_model(tmp_path / "run")
        assert all(bool(torch.isfinite(tensor).all()) for tensor in net.state_dict().values())
    else:
        assert "not a number" in text


# --- where samples come from


def given_set(path: Path, steps: int) -> StoredSource:
    """TINY's samples as a stored set."""
    generate(Plan(given_skeleton(), 0, steps * 8, shard=128), path)
    return StoredSource(str(path))


def given_skeleton() -> Any:
    return posesynth.load_skeleton("quadruped").with_sampling(noise=TINY.noise, missing=TINY.missing)


def given_pipe(samples: int | None, start: int = 0, batch: int = 8) -> BytesIO:
    file = BytesIO()
    write_stream(given_skeleton(), file, batch, samples, 0, start)
    file.seek(0)
    return file


def test_generator_pipe_and_stored_set_train_the_very_same_network(whole, tmp_path):
    train(TINY, tmp_path / "stored", source=given_set(tmp_path / "set.zarr", 60))
    train(TINY, tmp_path / "piped", source=PipeSource(given_pipe(480)))
    for run in ("stored", "piped"):
        assert model_bytes(tmp_path / run) == model_bytes(whole)


def test_a_run_begun_with_one_source_goes_on_with_another(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    for start in (0, 23 * 8):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        pipe = PipeSource(given_pipe(23 * 8))
        pipe._reader.n = None  # as of an endless stream that somebody ended
        with pytest.raises(InputError, match=r"ends at sample 184; expected 480|ends early"):
            train(TINY, tmp_path / "run", source=pipe)
        assert steps_saved(tmp_path / "run") == 23
        train(TINY, tmp_path / "run", source=PipeSource(given_pipe(480 - start, start)))
        assert model_bytes(tmp_path / "run") == model_bytes(whole)


@pytest.mark.parametrize(
    ("pipe", "words"),
    [
        ((472, 0, 8), "ends after 472 samples; expected 480 for 60 steps"),
        ((480, 8, 8), "starts at sample 8; expected --start 0"),
        ((480, 0, 16), "batch: is 8, and the stream's 16"),
    ],
)
def test_a_pipe_that_cannot_feed_the_run_is_refused_and_claims_nothing(pipe, words, tmp_path):
    assert words in refused(TINY, tmp_path / "run", source=PipeSource(given_pipe(*pipe)))
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


def test_a_stored_set_that_is_too_small_says_how_many_steps_it_has(tmp_path):
    source = given_set(tmp_path / "set.zarr", 20)
    line = refused(TINY, tmp_path / "run", source=source)
    assert "holds 160 samples; expected 480" in line
    assert "at most 20 steps" in line
    train(TINY.with_values(steps=20), tmp_path / "run", source=source)  # the folder is still free


def test_every_sample_is_used_once_in_order_and_validation_is_out_of_reach():
    skeleton = posesynth.load_skeleton("quadruped")
    for first in (0, 7):
        batches = list(LiveSource(skeleton, 0).batches(first, 20, 8))
        assert [batch.start for batch in batches] == list(range(first * 8, 160, 8))
        assert [batch.next_index for batch in batches] == [batch.start + len(batch.p2d) for batch in batches]
        assert {len(batch.p2d) for batch in batches} == {8}
    assert VALIDATION > 10**9 * 10**6 + training.VALIDATION_SAMPLES  # most steps times the largest batch
    assert VALIDATION + training.VALIDATION_SAMPLES <= 2**64
    with pytest.raises(InputError):
        Config(steps=10**9 + 1)
    with pytest.raises(InputError):
        Config(batch=10**6 + 1)


def test_the_command_trains_from_a_stored_set_and_wants_no_other_skeleton_then(whole, children, tmp_path):
    given_set(tmp_path / "set.zarr", 60)
    stored = command(tmp_path, TINY, "--from", str(tmp_path / "set.zarr"))
    children.start({**stored, "args": [*stored["args"], "--skeleton", "dog"]})
    assert children.codes() == [2]
    assert not (tmp_path / "run").exists()
    children.start(stored)
    assert children.codes() == [0], (tmp_path / "err.txt").read_text()
    assert model_bytes(tmp_path / "run") == model_bytes(whole)


# --- beginning with the weights of another


def test_init_begins_with_the_weights_of_a_model_of_the_same_joints(whole, tmp_path, monkeypatch):
    begun: list[dict[str, Any]] = []
    plain = training._begin

    def begin(step: Any, *rest: Any) -> tuple[int, str | None]:
        found = plain(step, *rest)
        begun.append({name: tensor.clone() for name, tensor in step.net.state_dict().items()})
        return found

    monkeypatch.setattr(training, "_begin", begin)
    skeleton = parse_skeleton(re.sub(r"theta: \[[^]]*\]", "theta: [0, 180]", given_skeleton().text))
    assert skeleton.digest != given_skeleton().with_sampling(noise=0.0, missing=0.0).digest
    train(TINY.with_values(steps=2, init=str(whole)), tmp_path / "other", source=LiveSource(skeleton, 5))
    there = load_model(whole)[0].state_dict()
    assert all(torch.equal(begun[0][name], tensor) for name, tensor in there.items())
    train(TINY.with_values(steps=2), tmp_path / "fresh")
    assert not torch.equal(begun[1]["first.weight"], there["first.weight"])


def test_init_with_other_joints_or_sizes_is_refused_and_claims_nothing(whole, tmp_path):
    config = TINY.with_values(init=str(whole))
    assert "expected the joints of" in refused(config.with_values(skeleton="human"), tmp_path / "a")
    assert "width: is 16 there and 32 here" in refused(config.with_values(width=32), tmp_path / "b")
    assert [path.name for path in tmp_path.glob("*/*")] == [".lock", ".lock"]


def test_what_a_run_began_with_is_told_in_its_files_and_stays_so(whole, children, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(whole, source)
    digest = hashlib.sha256((source / "model.safetensors").read_bytes()).hexdigest()
    begun = command(tmp_path, TINY.with_values(steps=20), "--init", str(source))
    children.start(begun)
    assert children.codes() == [0], (tmp_path / "err.txt").read_text()
    run = tmp_path / "run"
    assert load_config(run / "config.yaml").init == str(source)
    facts = load_model(run)[2]
    assert (facts["config"]["init"], facts["init_sha256"]) == (str(source), digest)

    shutil.rmtree(source)  # it is read at the beginning alone
    (run / "model.json").unlink()
    children.start(begun)
    assert children.codes() == [0], (tmp_path / "err.txt").read_text()
    assert load_model(run)[2]["init_sha256"] == digest
    for other in ("", str(whole)):
        line = refused(TINY.with_values(steps=20, init=other), run)
        assert "config.yaml: init: is " in line
        assert "another --out" in line


# --- several ranks


@pytest.mark.parametrize("network", NETWORKS)
def test_two_ranks_take_the_samples_of_one_and_end_with_equal_weights(network, children, tmp_path):
    config = TINY.with_values(steps=6, network=network)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    commands = []
    for rank in ("0", "1"):
        env = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "test"}
        commands.append(command(tmp_path, config, env=env, record=str(tmp_path / f"rank{rank}.npz")))
    commands[1]["err"] = str(tmp_path / "err1.txt")
    children.start(*commands)
    codes = children.codes()
    assert codes == [0, 0], (tmp_path / "err.txt").read_text() + (tmp_path / "err1.txt").read_text()
    ranks = [dict(np.load(tmp_path / f"rank{rank}.npz")) for rank in (0, 1)]
    for name in ranks[0].keys() - {"p2d"}:
        np.testing.assert_array_equal(ranks[0][name], ranks[1][name])
    together = np.concatenate([rank["p2d"] for rank in ranks], axis=1)
    one = posesynth.sample(given_skeleton(), 0, 0, 48).p2d
    np.testing.assert_array_equal(together.reshape(one.shape), one)
    assert len(log_of(tmp_path / "run")) == 1
    load_model(tmp_path / "run")


# --- the rate, the precisions


def test_the_rate_starts_low_peaks_after_a_tenth_and_ends_at_0():
    config = Config(steps=1000, learning_rate=0.01)
    rates = [learning_rate(config, step) for step in range(1001)]
    assert rates[0] == pytest.approx(0.0004)
    assert max(rates) == rates[100] == 0.01
    assert all(a < b for a, b in pairwise(rates[:101]))
    assert all(a > b for a, b in pairwise(rates[100:]))
    assert rates[999] < 1e-7
    assert rates[1000] == 0
    constant = config.with_values(schedule="constant")
    assert {learning_rate(constant, step) for step in range(1000)} == {0.01}
    assert all(learning_rate(Config(steps=steps), 0) > 0 for steps in (1, 2, 5))


@pytest.mark.parametrize("precision", ["32", "tf32", "auto"])
def test_precision_32_has_no_tf32_anywhere_and_the_others_have(precision, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", torch.backends.cudnn.allow_tf32)  # given back afterwards
    before = torch.get_float32_matmul_precision()
    try:
        training.new_fabric(TINY.with_values(precision=precision))
        convolutions, products = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    finally:
        torch.set_float32_matmul_precision(before)
    assert (convolutions, products) == ((False, "highest") if precision == "32" else (True, "high"))


@pytest.mark.parametrize("precision", ["auto", "bf16", "tf32"])
def test_other_precisions_train_about_the_same_and_say_nothing_of_it(precision, whole, children, tmp_path):
    children.start(command(tmp_path, TINY.with_values(precision=precision)))
    assert children.codes() == [0], (tmp_path / "err.txt").read_text()
    mine, theirs = log_of(tmp_path / "run")[-1], log_of(whole)[-1]
    assert mine["position"] == pytest.approx(theirs["position"], rel=0.05)
    assert "Using" not in (tmp_path / "err.txt").read_text()


def test_training_in_a_thread_works_without_signals(tmp_path):
    thread = threading.Thread(target=train, args=(TINY.with_values(steps=2), tmp_path / "run"))
    thread.start()
    thread.join(30)
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_without_the_extra_training_is_one_line(tmp_path):
    block = "import sys; sys.modules['lightning_fabric'] = None; from lifter.cli import main; main(sys.argv[1:])"
    words = [sys.executable, "-c", block, "train", "--out", str(tmp_path / "run")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["error: training needs lightning_fabric: pip install 'posesynth[lifter]'"]
    assert not (tmp_path / "run").exists()


def test_a_run_saves_the_configuration_it_had(whole):
    assert load_config(whole / "config.yaml") == TINY


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full, which is as a full disk is")
def test_a_full_disk_names_the_run_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.yaml.partial").symlink_to("/dev/full")
    assert f"{out}: cannot be written (No space left on device)" in refused(TINY, out)
    assert [path.name for path in out.iterdir()] == [".lock"]

"""The configuration of a run: read as it was written, the paper's values, and one line for each fault."""

import itertools
import re
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifter.config import OUTPUTS, PRESETS, TARGETS, Config, load_config
from lifter.run_config import PRECISIONS, SCHEDULES
from posesynth.errors import InputError

numbers = itertools.count()


def configs() -> st.SearchStrategy[Config]:
    def share(high: float) -> st.SearchStrategy[float]:
        return st.floats(0, high).map(lambda value: value + 0.0)  # no negative zero

    texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
    paths = texts.filter(lambda text: text.isprintable() and text == text.strip())
    own = st.fixed_dictionaries({"output": st.sampled_from(OUTPUTS), "position": share(1000)}) | st.fixed_dictionaries(
        {
            "network": st.just("cascade"),
            "stages": st.integers(1, 16),
            "targets": st.sampled_from(TARGETS),
            "dropout": share(0.9),
        }
    )
    shared = st.fixed_dictionaries(
        {
            "skeleton": paths,
            "seed": st.integers(0, 2**64 - 1),
            "steps": st.integers(16, 10**9),
            "batch": st.integers(2, 10**6),
            "width": st.integers(1, 2**14),
            "blocks": st.integers(0, 64),
            "learning_rate": st.floats(1e-12, 10),
            "schedule": st.sampled_from(SCHEDULES),
            "noise": share(1),
            "missing": share(0.9),
            "clean": share(1),
            "precision": st.sampled_from(PRECISIONS),
            "init": st.just("") | paths,
        }
    )
    return st.tuples(shared, own).map(lambda both: Config(**both[0], **both[1]))


@given(configs())
def test_a_configuration_is_read_as_it_was_written(tmp_path_factory, config):
    path = tmp_path_factory.getbasetemp() / f"config{next(numbers)}.yaml"
    path.write_text(config.yaml(), encoding="utf-8")
    assert load_config(path) == config


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_configuration_in_full(name, tmp_path):
    path = tmp_path / "preset.yaml"
    path.write_text(PRESETS[name].yaml())
    other = Config(seed=9, steps=9, batch=9, width=9, blocks=9, position=9.0, precision="32")
    assert load_config(path, other) == PRESETS[name]


def test_the_paper_preset_has_the_values_of_the_paper():
    paper = PRESETS["paper"]
    assert paper.samples == 25_000_000
    assert (paper.batch, paper.learning_rate, paper.schedule) == (500, 1e-6, "constant")
    assert (paper.output, paper.width, paper.blocks) == ("angles", 1024, 3)
    assert (paper.position, paper.noise, paper.missing, paper.clean) == (0, 0, 0, 0)


def test_the_evoskeleton_preset_has_the_values_of_its_code():
    preset = PRESETS["evoskeleton"]
    assert (preset.network, preset.targets, preset.stages, preset.blocks) == ("cascade", "joints", 2, 2)
    assert (preset.width, preset.dropout) == (1024, 0.5)
    assert (preset.learning_rate, preset.schedule) == (1e-3, "constant")
    assert (preset.noise, preset.missing, preset.clean) == (0, 0, 0)


def test_what_a_file_does_not_name_is_that_of_the_base(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("steps: 7\n")
    assert load_config(path) == Config(steps=7)
    assert load_config(path, PRESETS["paper"]) == PRESETS["paper"].with_values(steps=7)


def test_a_skeleton_beside_the_file_is_meant_from_there(tmp_path):
    (tmp_path / "mine.yaml").write_text("")
    path = tmp_path / "run.yaml"
    path.write_text("skeleton: mine.yaml\n")
    assert load_config(path).skeleton == str(tmp_path / "mine.yaml")
    path.write_text("skeleton: dog\n")
    assert load_config(path).skeleton == "dog"


# text of the file -> what its one line says after the file's name
WRONG = {
    "steps: 5\nstepps: 6\n": ":2:1: stepps: unknown key; expected one of 19 keys; did you mean 'steps'?",
    "bacth: 6\n": "did you mean 'batch'?",
    "steps: 0\n": ":1:8: steps: '0' is no such number; expected a whole number from 1",
    "steps: 1.5\n": ":1:8: steps",
    "steps: 1e3\n": ":1:8: steps",
    "steps: '5'\n": ":1:8: steps",
    "steps: yes\n": ":1:8: steps",
    "steps: 007\n": ":1:8: steps",
    "steps: \u0663\n": ":1:8: steps",
    "steps: [5]\n": ":1:8: steps",
    "steps:\n": ":1:1: steps: nothing",
    "seed: -1\n": ":1:7: seed",
    f"seed: {2**64}\n": ":1:7: seed",
    f"seed: {'9' * 5000}\n": ":1:7: seed",
    "batch: 1\n": ":1:8: batch: '1' is no such number; expected a whole number from 2",
    "width: 0\n": ":1:8: width",
    "blocks: 65\n": ":1:9: blocks",
    "output: Depth\n": ":1:9: output: 'Depth' is unknown; expected depth or angles; did you mean 'depth'?",
    "network: cascades\n": "did you mean 'cascade'?",
    "stages: 0\n": ":1:9: stages: '0' is no such number",
    "targets: depth\n": ":1:10: targets: 'depth' is unknown; expected joints or bones",
    "dropout: 1\n": ":1:10: dropout: 1 is out of bounds",
    "schedule: one_cycle\n": "did you mean 'one-cycle'?",
    "precision: fp16\n": ":1:12: precision",
    "learning_rate: 0\n": ":1:16: learning_rate: 0 is out of bounds",
    "learning_rate: fast\n": ":1:16: learning_rate: 'fast' is not a number",
    "learning_rate: .inf\n": ":1:16: learning_rate: .inf is not finite",
    "position: -1\n": ":1:11: position",
    "noise: '0'\n": ":1:8: noise: '0' is text, not a number",
    "missing: 0.91\n": ":1:10: missing",
    "clean: .nan\n": ":1:8: clean",
    "skeleton: true\n": ":1:11: skeleton",
    "skeleton: ''\n": ":1:11: skeleton",
    "init:\n": ":1:1: init: nothing",
    "init: [dog]\n": ":1:7: init",
    "steps: 5\nsteps: 5\n": ":2:1: steps: is given twice",
    "- steps\n": ":1:1: file: is not a mapping",
    "": ":1:1: file: is not a mapping",
    "steps: 5\n batch: 2\n": "is not YAML",
}


@pytest.mark.parametrize(("text", "words"), WRONG.items())
def test_what_cannot_be_is_one_line_with_its_place(text, words, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_config(path)
    (line,) = caught.value.lines
    assert line.startswith(f"{path}:") or len(str(path)) > 100
    assert words in line
    assert len(line) <= 300
    assert line.isprintable()


def test_each_fault_of_a_file_has_its_line(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("steps: 0\nbatch: 1\nhue: 3\n")
    with pytest.raises(InputError) as caught:
        load_config(path)
    assert [line.removeprefix(str(path)).split(":")[1] for line in caught.value.lines] == ["1", "2", "3"]


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    for path in (tmp_path, tmp_path / "none.yaml", "nul\0"):
        with pytest.raises(InputError, match="cannot be read"):
            load_config(path)


VALUES: dict[str, list[Any]] = {
    "skeleton": ["", 3, None, " dog", "a\nb", "\x07", "\udcff", "x" * 5000],
    "seed": [-1, 2**64, 1.0, True, "1"],
    "steps": [0, 10**9 + 1, 2.0],
    "batch": [1, 10**6 + 1],
    "output": ["Depth", 3, ["depth"]],
    "network": ["Cascade", None],
    "width": [0, 2**14 + 1],
    "blocks": [-1, 65],
    "stages": [0, 17, 2.0],
    "targets": ["depth", ["joints"]],
    "dropout": [-0.1, 0.91, "half"],
    "learning_rate": [0.0, 11, float("nan"), float("inf"), "fast", True],
    "schedule": ["cosine"],
    "position": [-1, 1001],
    "noise": [-0.1, 1.1],
    "missing": [0.91, None],
    "clean": [2],
    "precision": [32, "fp16"],
    "init": [None, 3, " dog", "a\nb", "x" * 5000],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in VALUES for value in VALUES[name]])
def test_a_value_that_cannot_be_is_one_line_in_python_too(name, value):
    with pytest.raises(InputError) as caught:
        Config(**{name: value})
    (line,) = caught.value.lines
    assert line.startswith(f"{name}: is ")
    assert len(line) <= 300
    with pytest.raises(InputError):
        Config().with_values(**{name: value})


def test_every_field_has_its_wrong_values():
    assert VALUES.keys() == asdict(Config()).keys()


@pytest.mark.parametrize(
    ("network", "values"),
    [
        ("residual", {"stages": 3}),
        ("residual", {"targets": "bones"}),
        ("residual", {"dropout": 0.5}),
        ("cascade", {"output": "angles"}),
        ("cascade", {"position": 0.5}),
    ],
)
def test_what_means_nothing_to_a_network_is_refused(network, values):
    (name,) = values
    with pytest.raises(InputError) as caught:
        Config(network=network, **values)
    (line,) = caught.value.lines
    assert re.fullmatch(f"{name}: is .*, which means nothing to network {network}; expected .*, or network .*", line)


def test_each_stage_has_a_step_at_least():
    Config(network="cascade", stages=3, steps=3)
    with pytest.raises(InputError, match=r"^steps: is 2 for 3 stages; expected one for each at least$"):
        Config(network="cascade", stages=3, steps=2)


@given(st.integers(1, 16), st.integers(0, 500))
def test_the_stages_share_the_steps_and_each_begins_its_schedule_anew(stages, more):
    steps = stages + more
    config = Config(network="cascade", stages=stages, steps=steps)
    by_stage = [[step for step in range(steps) if config.stage_of(step) == k] for k in range(stages)]
    assert [step for part in by_stage for step in part] == list(range(steps))
    assert max(map(len, by_stage)) - min(map(len, by_stage)) <= 1
    for part in by_stage:
        assert [config.phase(step) for step in part] == [(i, len(part)) for i in range(len(part))]
    assert config.stage_of(steps) == stages - 1


def test_a_residual_network_is_one_stage():
    config = Config(steps=7)
    assert {config.stage_of(step) for step in range(7)} == {0}
    assert [config.phase(step) for step in range(7)] == [(step, 7) for step in range(7)]

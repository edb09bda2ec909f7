"""From the step of a trainer to the first random number: few calls.

The calls are followed by running a step. `docs/architecture.md` lists them,
so that the page and the code cannot differ.
"""

import pathlib
import re
import sys
from typing import NamedTuple

import pytest
import tensorflow as tf

import dice_tf
import dice_tf.training.training_step as step_module
from tests.toys import ASYMMETRIC, tabular_policies

# From `train_step` to the kernel that draws.
MAX_CALLS = 15
MAX_MODULES = 9
# From `train_step` to the call of `objective.play`.
MAX_CALLS_OF_TRAINING = 8
MAX_MODULES_OF_TRAINING = 4

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
ENTRY = re.compile(
    r"^\d+\. `([\w<>]+)` in `(dice_tf/[\w/]+\.py)`", re.MULTILINE
)


class Call(NamedTuple):
    """A call of a function of the library.

    Attributes:
      function: its name.
      file: the file that holds it, seen from the root of the repository.
    """

    function: str
    file: str


def calls_on_the_stack():
    """The calls of the library that are under way, the outermost first."""
    calls, frame = [], sys._getframe()
    while frame is not None:
        path = pathlib.Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT / "dice_tf"):
            file = path.relative_to(ROOT).as_posix()
            calls.insert(0, Call(frame.f_code.co_name, file))
        frame = frame.f_back
    return calls


def calls_to_the_first_draw(monkeypatch, num_seeds):
    """Traces a step, and returns the calls from `train_step` to a draw."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    objective = dice_tf.objectives.DiCEObjective(
        game, tabular_policies(game), 0.9, batch_size=4
    )
    naive = dice_tf.learners.Naive()
    trainer = dice_tf.Trainer(objective, [naive, naive], num_seeds=num_seeds)
    trainer.compile("sgd")
    choose_draw = step_module.choose_draw
    found = []

    def choose_watched_draw(compiles):
        draw = choose_draw(compiles)

        def watched_draw(keys, shape):
            if not found:
                path = pathlib.Path(draw.__code__.co_filename)
                file = path.relative_to(ROOT).as_posix()
                found.extend([*calls_on_the_stack(), Call(draw.__name__, file)])
            return draw(keys, shape)

        return watched_draw

    monkeypatch.setattr(step_module, "choose_draw", choose_watched_draw)
    step = tf.function(lambda: trainer.train_step(None), autograph=False)
    step.get_concrete_function()
    return found


def modules_of(calls):
    return {call.file for call in calls}


@pytest.mark.parametrize("num_seeds", [1, 2])
def test_the_page_lists_the_calls_from_a_step_to_the_first_draw(
    monkeypatch, num_seeds
):
    listed = [Call(*entry) for entry in ENTRY.findall(PAGE.read_text())]
    assert calls_to_the_first_draw(monkeypatch, num_seeds) == listed


def test_the_path_is_short(monkeypatch):
    calls = calls_to_the_first_draw(monkeypatch, num_seeds=2)
    assert calls[0].function == "train_step"
    assert len(calls) <= MAX_CALLS
    assert len(modules_of(calls)) <= MAX_MODULES
    names = [call.function for call in calls]
    of_training = calls[: names.index("play")]
    assert len(of_training) <= MAX_CALLS_OF_TRAINING
    assert len(modules_of(of_training)) <= MAX_MODULES_OF_TRAINING


def test_only_calls_of_the_library_count():
    stacks = []

    def value(params):
        stacks.append(calls_on_the_stack())
        return tf.constant(0.0)

    assert calls_on_the_stack() == []
    dice_tf.objectives.FunctionObjective([value])([[]])
    file = "dice_tf/objectives/objective.py"
    assert stacks[0][0] == Call("__call__", file)
    assert "value" not in {call.function for call in stacks[0]}

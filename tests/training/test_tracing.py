"""Each function is traced once, however long the training."""

import collections

import keras
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.learners import Naive
from tests.toys import ASYMMETRIC, tabular_policies


@pytest.fixture
def traced(monkeypatch):
    """The names of all graphs that functions have been traced to."""
    graph, names = tf.__internal__.FuncGraph, []
    construct = graph.__init__

    def counted(self, name, *arguments, **options):
        # Each `fit` has a data set of its own.
        if not name.startswith("Dataset"):
            names.append(name)
        construct(self, name, *arguments, **options)

    monkeypatch.setattr(graph, "__init__", counted)
    return names


class CountTraces(keras.callbacks.Callback):
    """Counts the graphs there are after each epoch."""

    def __init__(self, names):
        super().__init__()
        self.names, self.counts = names, []

    def on_epoch_end(self, epoch, logs=None):
        self.counts.append(len(self.names))


class Counting(dice_tf.Trainer):
    """Counts how often its step is traced."""

    traces = 0

    def train_step(self, data):
        self.traces += 1
        return super().train_step(data)


def build_trainer(kind):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    arguments, options, learner = {}, {}, Naive()
    if kind == "critics":
        critics = [dice_tf.critics.tabular_critic(game, i) for i in range(2)]
        arguments = {"baseline": "critic", "critics": critics}
        options = {"num_seeds": 2}
    if kind == "models":
        learner = dice_tf.opponent_models.OpponentModelling(
            Naive(),
            [None, dice_tf.policies.tabular(game, 1)],
            learning_rate=keras.optimizers.schedules.CosineDecay(0.1, 10),
            num_steps=1,
        )
    if kind == "in turn":
        options = {"updates": "alternating"}
    objective = dice_tf.objectives.DiCEObjective(
        game, tabular_policies(game), 0.9, 4, **arguments
    )
    trainer = Counting(objective, [learner, Naive()], **options)
    trainer.compile(["sgd", "adam"], jit_compile=False)
    return trainer


@pytest.mark.parametrize(
    ("kind", "episodes"), [("critics", None), ("models", 8), ("in turn", None)]
)
def test_nothing_is_traced_twice(kind, episodes, traced):
    """With matches against opponents, in closed form and played."""
    trainer = build_trainer(kind)
    count = CountTraces(traced)
    arguments = {
        "steps_per_epoch": 2,
        "verbose": 0,
        "callbacks": [count],
        "validation_opponents": {
            "tit_for_tat": dice_tf.policies.tit_for_tat,
            "random": dice_tf.policies.random,
        },
        "validation_batch_size": episodes,
    }
    trainer.fit(epochs=3, **arguments)
    trainer.fit(epochs=4, initial_epoch=3, **arguments)
    assert len(set(count.counts)) == 1 and len(count.counts) == 4
    assert trainer.traces == 1
    names = collections.Counter(traced)
    assert names["play" if episodes else "match"] == 1

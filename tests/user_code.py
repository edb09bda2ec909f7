"""Programs as users write them, which the type checker reads like theirs.

`tests/test_types.py` runs them. What the checker must refuse says so by a
`type: ignore`: the checker reports one that is not needed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, assert_type

import keras
import numpy as np
import tensorflow as tf

import dice_tf
from dice_tf import evaluation, games, learners, objectives, seeds


class CommonGood(learners.Learner):
    """Ascends the sum of all values."""

    def step(
        self,
        objective: objectives.Objective,
        params: Sequence[list[tf.Tensor]],
        player_id: int,
        seed: seeds.Seed | None,
        state: Any,
    ) -> learners.LearnerStep:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(params[player_id])
            good = tf.add_n(objective(params, seed))
        gradients = tape.gradient(good, params[player_id])
        return learners.LearnerStep(gradients, state)


class Guess(games.Game):
    """Both see a number, and earn the share of it that their action names."""

    num_players = 2
    num_actions = (2, 2)
    observation_shapes = ((1,), (1,))
    episode_length = 3
    dtype = tf.float32

    def reset(
        self, seed: seeds.Seed, batch_size: int
    ) -> tuple[tf.Tensor, games.TimeStep]:
        number = seeds.uniform(seed, [batch_size], self.dtype)
        return number, self._time_step(number, [tf.zeros_like(number)] * 2)

    def step(
        self, state: tf.Tensor, actions: tuple[tf.Tensor, ...], seed: seeds.Seed
    ) -> tuple[tf.Tensor, games.TimeStep]:
        rewards = [tf.cast(action, self.dtype) * state for action in actions]
        number = seeds.uniform(seed, state.shape, self.dtype)
        return number, self._time_step(number, rewards)

    def _time_step(
        self, number: tf.Tensor, rewards: Sequence[tf.Tensor]
    ) -> games.TimeStep:
        return games.TimeStep(
            (number[:, tf.newaxis],) * self.num_players,
            tuple(rewards),
            tf.ones_like(number),
        )


def train_and_export(folder: Path) -> np.ndarray:
    """Does what README's program does, and returns the curves."""
    game = dice_tf.games.iterated_prisoners_dilemma(episode_length=4)
    assert_type(game, games.FiniteGame)
    assert_type(game.num_actions, tuple[int, ...])
    policies = [
        dice_tf.policies.tabular(game, player_id) for player_id in range(2)
    ]
    objective = dice_tf.objectives.DiCEObjective(
        game,
        policies,
        discount=0.96,
        batch_size=8,
        baseline="bellman_values",
        lambda_=0.9,
        tau=0.0,
    )
    assert_type(objective.discount, float)
    learner = dice_tf.learners.LOLADiCE(
        num_lookaheads=1, inner_learning_rate=1.5
    )
    trainer = dice_tf.Trainer(
        objective,
        learners=[learner, None],
        num_seeds=2,
        seed=2**40,
        entropy_coefficient=[0.1, 0.0],
        max_gradient_norm=[1.0, None],
    )
    trainer.compile(optimizer=keras.optimizers.SGD(3.0), jit_compile=False)
    trainer.fit(
        epochs=1,
        steps_per_epoch=2,
        verbose=0,
        callbacks=[dice_tf.callbacks.Checkpoint(folder / "checkpoints")],
        validation_opponents={"itself": policies},
    )
    assert_type(trainer.diverged_runs, tuple[int, ...])
    dice_tf.export.export_policy(policies[0], folder / "policy")
    return trainer.curves


def make_learners() -> list[learners.Learner]:
    """Returns learners, with the arguments that they take."""
    rates = (0.5, 1.0)
    naive = learners.Naive()
    return [
        naive,
        learners.ActorCritic(),
        learners.AdvantageAlignment(),
        learners.COLA(rates, hidden_units=[8]),
        learners.HOLA(3, inner_learning_rate=rates),
        learners.LOLA(0.5),
        learners.LOLADiCE(2, inner_learning_rate=rates),
        learners.Mixture([(0.5, naive), (0.5, CommonGood())]),
        learners.OutputSpace(learners.LOLADiCE(inner_learning_rate=1.5)),
        learners.SOS(rates, a=0.5, b=0.1),
    ]


def learn_in_games_and_functions() -> list[float]:
    """Takes one step of a learner and objectives that are not ours."""
    game = Guess()
    dice_tf.check_game(game)
    policies = [dice_tf.policies.mlp(game, i) for i in range(2)]
    sampled = objectives.DiCEObjective(game, policies, batch_size=4)
    function = objectives.FunctionObjective(
        [lambda params: -tf.square(params[0][0] - params[1][0])] * 2
    )
    seed = seeds.make_seed(7)
    by_function = CommonGood().gradient(
        function, [[tf.constant(1.0)], [tf.constant(2.0)]], 0
    )
    by_play = CommonGood().gradient(sampled, sampled.initial_params(), 0, seed)
    return [float(tf.norm(x)) for x in [*by_function, *by_play]]


def evaluate() -> evaluation.TournamentResult:
    """Evaluates strategies in all ways."""
    game = dice_tf.games.iterated_prisoners_dilemma(4)
    policies = [
        dice_tf.policies.tit_for_tat(game, 0),
        dice_tf.policies.random(game, 1),
    ]
    match = evaluation.play_match(
        game, policies, batch_size=8, seed=seeds.make_seed(1)
    )
    assert_type(match, evaluation.MatchResult)
    evaluation.exact_match(game, policies, episode_length=None)
    response = evaluation.best_response(game, [None, policies[1]], 0)
    assert_type(response.value, float)
    return evaluation.tournament(
        game,
        {
            "tit_for_tat": dice_tf.policies.tit_for_tat,
            "some": policies,
            "always_defect": dice_tf.policies.always_defect,
        },
        seed=(0, 1),
    )


def what_the_checker_refuses() -> None:
    """Is not called. Each line has one mistake."""
    game = Guess()
    policies = [dice_tf.policies.mlp(game, i) for i in range(2)]
    objective = objectives.DiCEObjective(game, policies, batch_size=4)
    dice_tf.Trainer(game, [None, None])  # type: ignore[arg-type]
    dice_tf.Trainer(objective, [learners.Naive])  # type: ignore[list-item]
    dice_tf.Trainer(objective, [None, None], seeds=2)  # type: ignore[call-arg]
    learners.LOLADiCE(num_lookaheads="1")  # type: ignore[arg-type]
    objectives.ExactObjective(game, policies)  # type: ignore[arg-type]
    evaluation.best_response(game, policies, 0)  # type: ignore[arg-type]

"""Learners in the compiled, vectorised step of the trainer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf import learners
from dice_tf.inner_optimizers import Adam, ClipByGlobalNorm
from tests.toys import ASYMMETRIC, exact_objective, random_params

pytestmark = pytest.mark.own_process

LINE_UPS = {
    "taylor": lambda: [learners.SOS(0.3), learners.LOLA(0.3)],
    "look_ahead": lambda: [
        learners.LookAhead(0.3),
        learners.LOLAFullGradient(0.3),
    ],
    "memory": lambda: [
        learners.LOLADiCE(
            2,
            learners.FittedRates(0.3),
            ClipByGlobalNorm(0.5, Adam(epsilon=0.1)),
            num_differentiated=1,
            carry_slots=True,
        ),
        learners.SOS(learners.FittedRates(0.3)),
    ],
    "jacobians": lambda: [
        learners.CompetitiveGradientDescent(0.3),
        learners.LocalSymplecticSurgery(0.1),
    ],
    "products": lambda: [
        learners.Consensus(0.3),
        learners.SymplecticGradientAdjustment(),
    ],
    "proximal": lambda: [
        learners.POLA(
            2,
            0.3,
            0.5,
            num_lookaheads=1,
            inner_learning_rate=0.3,
            inner_penalty=0.2,
        ),
        learners.POLA(1, 0.3, 0.5),
    ],
    "proximal memory": lambda: [
        learners.POLA(
            2, 0.3, 0.5, inner_learning_rate=learners.FittedRates(0.3)
        ),
        learners.HOLA(1, learners.FittedRates(0.3)),
    ],
    "closed form and mixture": lambda: [
        learners.LOQA(),
        learners.Mixture(
            [
                (0.6, learners.LOLADiCE(1, 0.3, carry_slots=True)),
                (0.4, learners.LOLA(learners.FittedRates(0.3))),
            ]
        ),
    ],
    # At a radius of 0 nothing is drawn: trainers have other seeds.
    "learned updates": lambda: [
        learners.COLA(
            learners.FittedRates(0.3),
            hidden_units=(2,),
            radius=0.0,
            batch_size=2,
            num_steps=2,
            learning_rate=keras.optimizers.schedules.ExponentialDecay(
                0.1, 1, 0.5
            ),
        ),
        learners.Naive(),
    ],
    "ahead": lambda: [learners.HOLA(2, 0.3), learners.Extragradient(0.3)],
}
RATE, NUM_STEPS, NUM_SEEDS = 0.1, 2, 2


def step_by_step(objective, line_up, params):
    """The parameters after simultaneous steps, eagerly."""
    params = [
        [tf.constant(x) for x in player_params] for player_params in params
    ]
    states = [learner.init(params) for learner in line_up]
    for _ in range(NUM_STEPS):
        results = [
            learner.step(objective, params, i, tf.constant([1, 2]), states[i])
            for i, learner in enumerate(line_up)
        ]
        states = [result.state for result in results]
        params = [
            [
                x + RATE * d
                for x, d in zip(player_params, result.direction, strict=True)
            ]
            for player_params, result in zip(params, results, strict=True)
        ]
    return params


@pytest.mark.parametrize(
    "name, jit_compile",
    [*((name, True) for name in LINE_UPS), ("memory", False)],
)
def test_a_compiled_step_of_many_runs_is_that_of_each(name, jit_compile):
    objective = exact_objective(ASYMMETRIC, 0.9, 3)
    starts = [
        random_params(objective.policies, seed) for seed in range(NUM_SEEDS)
    ]
    trainer = dice_tf.Trainer(
        objective, LINE_UPS[name](), num_seeds=NUM_SEEDS, initial_params=starts
    )
    trainer.compile(
        optimizer=keras.optimizers.SGD(RATE), jit_compile=jit_compile
    )
    trainer.fit(steps_per_epoch=NUM_STEPS, verbose=0)
    for run, start in enumerate(starts):
        expected = step_by_step(objective, LINE_UPS[name](), start)
        for player, player_params in zip(
            trainer.players, expected, strict=True
        ):
            np.testing.assert_allclose(
                player.params[0][run], player_params[0], rtol=1e-6, atol=1e-7
            )


def test_a_sampled_step_can_be_compiled():
    """Two learners that play afresh where others lead, in one trainer."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    policies = [dice_tf.policies.tabular(game, i) for i in range(2)]
    objective = dice_tf.objectives.DiCEObjective(game, policies, 0.9, 8)
    trainer = dice_tf.Trainer(
        objective, [learners.HOLA(1, 0.3), learners.SOS(0.3)], num_seeds=2
    )
    trainer.compile(optimizer=keras.optimizers.SGD(RATE))
    trainer.fit(steps_per_epoch=2, verbose=0)
    assert np.all(np.isfinite(trainer.curves))
    assert trainer.curves.shape == (2, 2, 2)


def test_a_step_of_learners_by_advantages_can_be_compiled():
    """With critics of actions and slow copies of them, as without XLA."""

    def curves(jit_compile):
        game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
        critics = [
            dice_tf.critics.tabular_critic(game, i, action_values=True)
            for i in range(2)
        ]
        objective = dice_tf.objectives.DiCEObjective(
            game,
            [dice_tf.policies.tabular(game, i) for i in range(2)],
            0.9,
            8,
            "critic",
            critics,
            critic_td_lambda=0.0,
            critic_target_momentum=0.9,
        )
        line_up = [learners.AdvantageAlignment(), learners.LOQA()]
        trainer = dice_tf.Trainer(objective, line_up, num_seeds=2)
        trainer.compile(
            keras.optimizers.SGD(1.0),
            critic_optimizer=keras.optimizers.SGD(0.5),
            jit_compile=jit_compile,
        )
        trainer.fit(steps_per_epoch=3, verbose=0)
        return trainer.curves

    found = curves(jit_compile=True)
    np.testing.assert_allclose(found, curves(jit_compile=False), atol=1e-5)
    assert np.all(found[0] != found[2])

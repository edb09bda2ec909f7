"""Whether learners find reciprocity in the contribution game of the POLA paper.

Two players; who contributes pays 1, and all contributions, times a factor, are
shared. A player sees one-hot what each of the two did last: contribute,
nothing, or that it is the start. Its policy is a network of 16 hidden units.
The setting is that of Figure 3 of Zhao et al. 2022.
"""

import itertools
from typing import NamedTuple

import keras
import numpy as np

import dice_tf

FACTOR = 1.33
DISCOUNT = 0.96
# The return of a round in which both contribute.
COOPERATIVE_RETURN = FACTOR - 1.0

_HIDDEN_UNITS = 16
# The length of the game, although values have an infinite horizon.
_SOME_LENGTH = 150
# A run counts with at least this reciprocity and share of that return.
_RECIPROCITY = 0.5
_SHARE = 0.9


def contribution_game() -> dice_tf.games.FiniteGame:
    """Returns the game; action 0 is to contribute."""
    payoffs = [[FACTOR - 1.0, FACTOR / 2 - 1.0], [FACTOR / 2, 0.0]]
    game = dice_tf.games.iterated_matrix_game(
        [payoffs, np.transpose(payoffs)], _SOME_LENGTH
    )
    return dice_tf.games.FiniteGame(
        game.rewards,
        game.transitions,
        game.initial,
        episode_length=_SOME_LENGTH,
        # One row per state, in the order in which each player sees them.
        observations=[seen @ observations() for seen in game.observations],
    )


def observations() -> np.ndarray:
    """Returns what a player sees after CC, CD, DC, DD and at the start.

    Returns:
      `[5, 6]`: its own last action, then that of the opponent, each one-hot
      over contribute, nothing and start.
    """
    pairs = [*itertools.product(range(2), range(2)), (2, 2)]
    return np.reshape(np.eye(3)[pairs], [5, 6])


def network() -> keras.Model:
    """Returns a policy whose weights are drawn as PyTorch draws them."""
    layers = [keras.Input([6])]
    for inputs, units, activation in (
        (6, _HIDDEN_UNITS, "tanh"),
        (_HIDDEN_UNITS, 1, None),
    ):
        bound = inputs**-0.5
        uniform = keras.initializers.RandomUniform
        layers.append(
            keras.layers.Dense(
                units,
                activation,
                kernel_initializer=uniform(-bound, bound),
                bias_initializer=uniform(-bound, bound),
            )
        )
    return keras.Sequential(layers)


class ReciprocitySettings(NamedTuple):
    """How both players of a training learn, with plain SGD.

    Attributes:
      learner: `pola` or `lola_dice_1_lookahead`.
      num_iterations: number of updates.
      learning_rate: of the updates.
      inner_learning_rate: of the step that is imagined.
      num_outer_steps: of `pola`, in each update.
      outer_learning_rate: of each outer step of `pola`.
      outer_penalty: of `pola`, the weight of the divergence from the policy
        before the update.
      seed: of the first run.
      num_seeds: number of runs.
    """

    learner: str
    num_iterations: int
    learning_rate: float
    inner_learning_rate: float
    num_outer_steps: int | None = None
    outer_learning_rate: float | None = None
    outer_penalty: float | None = None
    seed: int = 0
    num_seeds: int = 20


# LOLA has the rates of the paper's repository for this factor, and the best of
# eleven pairs that were tried on runs from other seeds.
TRAININGS = {
    "pola": ReciprocitySettings("pola", 2, 1.0, 0.25, 200, 0.02, 0.5),
    "lola_dice_1_lookahead, rates of the paper": ReciprocitySettings(
        "lola_dice_1_lookahead", 100, 0.05, 0.4
    ),
    "lola_dice_1_lookahead, rates chosen here": ReciprocitySettings(
        "lola_dice_1_lookahead", 100, 0.05, 0.25
    ),
}


class TrainedPairs(NamedTuple):
    """Policies and returns of trained pairs, one entry per run.

    Attributes:
      cooperation: `[num_runs, 2, 5]`, each player's probability of
        contributing after CC, CD, DC, DD (its own action first), at the start.
      returns: `[num_runs]`, the mean return of the two against each other.
    """

    cooperation: np.ndarray
    returns: np.ndarray

    @property
    def reciprocity(self) -> np.ndarray:
        """P(C after C) - P(C after D) of the opponent, `[num_runs]`.

        It is the mean over the player's own last action, of the player that
        reciprocates less.
        """
        cc, cd, dc, dd, _ = np.moveaxis(self.cooperation, 2, 0)
        return np.min((cc - cd + dc - dd) / 2, axis=1)

    @property
    def share(self) -> np.ndarray:
        """The share of the cooperative return, `[num_runs]`."""
        return self.returns / COOPERATIVE_RETURN

    @property
    def are_reciprocal(self) -> np.ndarray:
        """Whether both reciprocate and earn from it, `[num_runs]`."""
        return (self.reciprocity >= _RECIPROCITY) & (self.share >= _SHARE)


def train(
    settings: ReciprocitySettings, jit_compile: bool = True
) -> TrainedPairs:
    """Trains all runs as one program, which XLA compiles unless told not to."""
    objective = dice_tf.objectives.ExactObjective(
        contribution_game(),
        [network(), network()],
        discount=DISCOUNT,
        episode_length=None,
    )
    learner = _learner(settings)
    trainer = dice_tf.Trainer(
        objective,
        [learner, learner],
        num_seeds=settings.num_seeds,
        seed=settings.seed,
        initial_params="random",
    )
    trainer.compile(
        optimizer=keras.optimizers.SGD(settings.learning_rate),
        jit_compile=jit_compile,
    )
    trainer.fit(steps_per_epoch=settings.num_iterations, verbose=0)
    return _trained_pairs(trainer)


def _learner(settings: ReciprocitySettings) -> dice_tf.learners.Learner:
    if settings.learner != "pola":
        return dice_tf.learners.LOLADiCE(1, settings.inner_learning_rate)
    return dice_tf.learners.POLA(
        num_outer_steps=settings.num_outer_steps,
        outer_learning_rate=settings.outer_learning_rate,
        outer_penalty=settings.outer_penalty,
        num_lookaheads=1,
        inner_learning_rate=settings.inner_learning_rate,
    )


def _trained_pairs(trainer: dice_tf.Trainer) -> TrainedPairs:
    policies = trainer.objective.policies
    game = trainer.objective.game
    cooperation, returns = [], []
    for run in range(trainer.num_seeds):
        trainer.load_run(run)
        log_odds = [
            np.ravel(policy(observations().astype(np.float32)))
            for policy in policies
        ]
        cooperation.append(1.0 / (1.0 + np.exp(-np.array(log_odds))))
        match = dice_tf.evaluation.exact_match(
            game, policies, discount=DISCOUNT, episode_length=None
        )
        returns.append(np.mean(match.mean))
    return TrainedPairs(np.array(cooperation), np.array(returns))

"""Orders 1 to 3 on random Markov decision processes: the figure of Loaded DiCE.

As in the experiment that the paper's authors released, a derivative of the
next order is the gradient of *one* element of the last, the one of the first
action in the first state: 20 numbers at each order, where whole third
derivatives have 8000. Logits are from N(0, 1), one per state and action.

Two things differ. The paper has one process with an infinite horizon,
bootstrapped with its exact values after the last step. Here there are several,
with a finite horizon and the exact values of what is left of the episode.
Neither has a bias then.
"""

import numpy as np

import dice_tf

from ..results.check_list import Check, at_least, at_most
from .derivative_estimates import (
    DerivativeEstimates,
    ExactDerivatives,
    correlation,
    dice,
    dice_with_values,
    loaded_dice,
)
from .tabular_problem import TabularProblem
from .verification_sizes import Sizes

DISCOUNT = 0.95
_NUM_STATES, _NUM_ACTIONS = 5, 4
_LARGEST_SEED = 2**31 - 1

NO_BASELINE = "DiCE, no baseline"
ANY_ORDER = "DiCE, any-order baseline"
LOADED = "Loaded DiCE, tau = 0"
ESTIMATORS = {
    NO_BASELINE: dice(),
    ANY_ORDER: dice_with_values(),
    LOADED: loaded_dice(lambda_=1.0, tau=0.0),
    # LVC in the paper: it forgets all but the present action.
    "Loaded DiCE, lambda = 0": loaded_dice(lambda_=0.0, tau=1.0),
}
# Twenty numbers of pure noise correlate by +-0.23 with any others; a mean
# over 25 estimates, of five processes, stays within about 0.1 of 0. Three
# times that is still far from what the other estimators must reach.
_NEAR_ZERO = 0.3


def random_mdp(
    generator: np.random.Generator,
    num_states: int,
    num_actions: int,
    episode_length: int,
    dtype: str = "float32",
) -> dice_tf.games.FiniteGame:
    """Draws a process, as a game of one player, as in the Loaded DiCE paper.

    From each state each action leads to a random set of states: those whose
    uniform number is above a threshold that is uniform itself, or a single one
    if there are none. Their probabilities are uniform numbers, normalised.
    Every state has a reward, whatever the action, from N(50, 10^2): estimators
    without a baseline cannot cope with an offset like this. The first state is
    uniform.
    """
    shape = [num_states, num_actions, num_states]
    thresholds = generator.uniform(size=[num_states, num_actions, 1])
    is_open = generator.uniform(size=shape) > thresholds
    one_of_all = np.eye(num_states)[
        generator.integers(num_states, size=[num_states, num_actions])
    ]
    is_closed = ~is_open.any(axis=-1, keepdims=True)
    mask = np.where(is_closed, one_of_all, is_open)
    # Above 0, so that a row with one way out has a positive sum.
    moves = mask * generator.uniform(1e-6, 1.0, size=shape)
    rewards = 10.0 * (generator.normal(size=num_states) + 5.0)
    return dice_tf.games.FiniteGame(
        np.tile(rewards[np.newaxis, :, np.newaxis], [1, 1, num_actions]),
        moves / moves.sum(axis=-1, keepdims=True),
        np.full(num_states, 1.0 / num_states),
        episode_length=episode_length,
        dtype=dtype,
    )


def random_process(seed: list[int], length: int) -> TabularProblem:
    """Returns a process of 5 states and 4 actions."""
    return TabularProblem(
        lambda dtype: random_mdp(
            np.random.default_rng(seed),
            _NUM_STATES,
            _NUM_ACTIONS,
            length,
            dtype,
        ),
        DISCOUNT,
    )


def orders(sizes: Sizes, seed: int) -> dict[str, np.ndarray]:
    """Correlates derivatives of orders 1 to 3 with the exact ones.

    Returns:
      By estimator, `[3, num_batch_sizes, num_processes * num_repetitions]`.
    """
    estimates = None
    rows = []
    for number in range(sizes.num_processes):
        problem = random_process([seed, 5, number], sizes.process_length)
        if estimates is None:
            # One compiled function serves all processes.
            estimates = [
                DerivativeEstimates(problem, estimator, sizes.jit_compile)
                for estimator in ESTIMATORS.values()
            ]
        generator = np.random.default_rng([seed, 6, number])
        theta = generator.normal(size=problem.num_logits)
        directions = np.eye(len(theta))[[0, 0]]
        exact = ExactDerivatives(problem).along(theta, directions)
        for batch_size in sizes.process_batch_sizes:
            for _ in range(sizes.process_repetitions):
                key = int(generator.integers(_LARGEST_SEED))
                episodes = problem.sample(theta, batch_size, key)
                for estimate in estimates:
                    found = estimate.along(theta, episodes, directions)
                    rows.append(list(map(correlation, found, exact)))
    num_batches = len(sizes.process_batch_sizes)
    table = np.reshape(
        rows, (sizes.num_processes, num_batches, -1, len(estimates), 3)
    )
    table = table.transpose(3, 4, 1, 0, 2)
    table = table.reshape(len(estimates), 3, num_batches, -1)
    return dict(zip(ESTIMATORS, table, strict=True))


def check_orders(results: dict[str, np.ndarray]) -> list[Check]:
    """Requires at the largest batch what the paper's figure shows."""

    def mean(name: str, order: int) -> tuple[str, float]:
        text = f"random MDPs, order {order}, {name}: correlation"
        return text, float(results[name][order - 1, -1].mean())

    text, value = mean(NO_BASELINE, 2)
    return [
        at_most(f"{text}, absolute", abs(value), _NEAR_ZERO),
        at_least(*mean(ANY_ORDER, 2), 0.85),
        at_least(*mean(LOADED, 2), 0.97),
        at_least(*mean(LOADED, 3), 0.8),
    ]

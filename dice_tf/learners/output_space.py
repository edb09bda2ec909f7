"""Steps in the outputs of policies instead of their parameters."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dice_tf.checks import check_number, check_whole_number
from dice_tf.games.finite import FiniteGame
from dice_tf.learners.history_jacobians import history_jacobian
from dice_tf.learners.learner import (
    Learner,
    LearnerStep,
    check_learner,
    check_step,
)
from dice_tf.models.seat_models import Weights
from dice_tf.objectives.advantages import Advantages
from dice_tf.objectives.objective import (
    Objective,
    Params,
    Play,
    discount_of,
)
from dice_tf.objectives.tape_places import current_place
from dice_tf.objectives.wrapper import ObjectiveWrapper
from dice_tf.play.actors import Actor
from dice_tf.play.exact_values import solve
from dice_tf.play.trajectories import Trajectory, player_steps
from dice_tf.seeds import Seed

# Of a play, from which histories of a policy with memory are taken.
_NUM_EPISODES = 16
# What a mean square of a Jacobian is at least: it must not be divided by 0.
_TINY = 1e-12


class OutputSpace(Learner):
    """Lets a learner move the outputs of policies instead of parameters.

    A gradient step in the parameters of a network moves all of its outputs at
    once, by `J J^T` times their gradient, where `J` is the Jacobian of the
    outputs in the parameters. How far it moves them depends on the size of
    the network and changes while it learns. A learner that looks ahead relies
    on steps of a known size.

    This learner gives each player other coordinates: the changes `u_j` of the
    outputs of its policy, one for each observation and output. To first order
    the smallest change of the parameters makes them,

      `theta_j(u_j) = theta_j + J_j^T (J_j J_j^T + c I)^-1 u_j`,

    with `J_j` taken once, at the `theta_j` that the step starts from. The
    wrapped learner sees the objective as a function of all `u_j`, which are 0
    at the start, and what it returns is mapped back in the same way. Its
    steps, and all steps that it imagines, are then those of a table of outputs.
    For gradient ascent this is the Gauss-Newton step
    `theta_j + a (J_j^T J_j)^+ dV_j/dtheta_j`: natural gradient ascent for a
    metric that measures all outputs alike. For a table, where `J_j` is the
    identity, it is the wrapped learner, whose steps damping makes slightly
    smaller.

    In a `FiniteGame` the observations are all that the seat can see, each
    once. A policy with memory puts out something else after each history:
    there is one change for each state that it may see next, of the mean over
    the histories that were played. In other games the observations are some
    that were played, spread evenly over the steps of the trajectory.

    Args:
      learner: a learner that remembers nothing from step to step. A learner
        that fits models of its opponents goes around:
        `OpponentModelling(OutputSpace(learner), models)`.
      damping: `c` as a share of the mean square norm of the rows of `J_j`. It
        keeps the outputs that the parameters hardly move from being moved far.
      num_observations: number of observations of a game that is not a
        `FiniteGame`.

    Raises:
      TypeError: if `learner` is not a `Learner`.
      ValueError: if another argument is out of its range. In a step: if the
        objective has no policies, or if a policy has memory in a game that is
        not a `FiniteGame` while several runs are vectorised; in `init`: if the
        learner remembers anything.

    Example:
      >>> learner = dice_tf.learners.OutputSpace(
      ...     dice_tf.learners.LOLADiCE(inner_learning_rate=1.5)
      ... )
      >>> direction = learner.gradient(objective, params, 0, seed)

    References:
      Zhang, Martens and Grosse 2019 (Fast Convergence of Natural Gradient
      Descent for Over-Parameterized Neural Networks), for the step with the
      Gram matrix `J J^T`.
    """

    def __init__(
        self,
        learner: Learner,
        *,
        damping: float = 0.01,
        num_observations: int = 64,
    ):
        self.learner = check_learner(learner)
        self.damping = check_number("damping", damping, 0.0)
        self.num_observations = check_whole_number(
            "num_observations", num_observations, 1
        )

    def init(self, params: Params) -> Any:
        state = self.learner.init(params)
        if tf.nest.flatten(state):
            raise ValueError(
                f"`learner` ({type(self.learner).__name__}) remembers tensors "
                "like the parameters from step to step, which OutputSpace "
                "replaces by other coordinates in every step. Leave out "
                "`carry_slots` and `InnerRates`; a learner that models its "
                "opponents goes around: "
                "OpponentModelling(OutputSpace(learner), models)."
            )
        return state

    def hoisted(self, states: Any) -> Learner:
        return OutputSpace(
            self.learner.hoisted(states),
            damping=self.damping,
            num_observations=self.num_observations,
        )

    def step(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Seed | None,
        state: Any,
    ) -> LearnerStep:
        params = check_step(objective, params, player_id)
        if not params[player_id]:
            return LearnerStep([], state)
        if not objective.actors:
            raise ValueError(
                "OutputSpace needs the objective of a game, whose policies "
                "have outputs, such as dice_tf.objectives.DiCEObjective. "
                f"Received a {type(objective).__name__}."
            )
        maps = objective.once(
            lambda: self._output_maps(objective, params, seed),
            [seed, *tf.nest.flatten(params)],
            ("output maps", self.damping, self.num_observations),
        )
        outputs = [[output_map.zeros()] for output_map in maps]
        moved = OutputObjective(objective, params, maps, outputs)
        direction, state = self.learner.step(
            moved, outputs, player_id, seed, state
        )
        return LearnerStep(maps[player_id].moves(direction[0]), state)

    def _output_maps(
        self, objective: Objective, params: Params, seed: Seed | None
    ) -> list["OutputMap"]:
        """Returns the map of each player at the parameters of a step."""
        is_finite = isinstance(objective.game, FiniteGame)
        have_memory = any(actor.has_memory for actor in objective.actors)
        if have_memory and not is_finite and current_place().num_loops:
            raise ValueError(
                "A policy of the objective has memory, and TensorFlow cannot "
                "vectorise a pass over time twice: over the outputs of a "
                "policy, and over several runs. Train one run (num_seeds=1), "
                "or use the learner without OutputSpace."
            )
        trajectory = None
        if have_memory or not is_finite:
            trajectory = objective.play(params, seed).trajectory
        weights = objective.player_weights(params)
        return [
            OutputMap(
                self._jacobian(objective, weights, trajectory, player_id),
                params[player_id],
                self.damping,
            )
            for player_id in range(objective.num_players)
        ]

    def _jacobian(
        self,
        objective: Objective,
        weights: Sequence[Weights],
        trajectory: Trajectory | None,
        player_id: int,
    ) -> tf.Tensor:
        """Returns the Jacobian of a player's outputs, see `OutputMap`."""
        actor, player_weights = objective.actors[player_id], weights[player_id]
        game = objective.game
        if (
            isinstance(game, FiniteGame)
            and actor.has_memory
            and player_weights.params
        ):
            # A finite game with memory was played.
            return history_jacobian(
                game,
                actor,
                player_weights,
                trajectory,  # type: ignore[arg-type]
                player_id,
                discount=discount_of(objective),
                num_episodes=_NUM_EPISODES,
            )
        with tf.GradientTape(
            persistent=True, watch_accessed_variables=False
        ) as tape:
            tape.watch(player_weights.params)
            if isinstance(game, FiniteGame):
                observations = tf.constant(
                    game.observations[player_id], game.dtype
                )
                outputs = actor.model(player_weights, observations)
            else:
                # Another game was played.
                steps = player_steps(trajectory, player_id)  # type: ignore[arg-type]
                outputs = played_outputs(
                    actor,
                    player_weights,
                    steps.observations,
                    self.num_observations,
                )
            outputs = tf.reshape(outputs, [-1])
        if not player_weights.params:
            return tf.zeros([outputs.shape[0], 0], outputs.dtype)
        blocks = tape.jacobian(
            outputs,
            player_weights.params,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
            # Eagerly, vectorising would trace a graph for every call.
            experimental_use_pfor=not tf.executing_eagerly(),
        )
        size = outputs.shape[0]
        return tf.concat([tf.reshape(x, [size, -1]) for x in blocks], axis=1)


def played_outputs(
    actor: Actor, weights: Weights, observations: tf.Tensor, num_rows: int
) -> tf.Tensor:
    """Returns a policy's outputs for some of the observations of a play.

    They are spread evenly over steps and episodes. A policy with memory sees
    whole episodes, as few as are needed.

    Args:
      actor: the player's actor.
      weights: its weights.
      observations: `[T, B, ...]`.
      num_rows: number of observations.

    Returns:
      `[num_rows, num_outputs]`, or fewer rows if there are fewer observations.
    """
    length, batch_size = observations.shape[:2]
    if actor.has_memory:
        batch_size = min(batch_size, -(-num_rows // length))
        outputs = actor.model(weights, observations[:, :batch_size])
        return tf.gather(
            tf.reshape(outputs, [length * batch_size, -1]),
            _spread(num_rows, length * batch_size),
        )
    flat = tf.reshape(observations, [-1, *observations.shape[2:]])
    rows = tf.gather(flat, _spread(num_rows, length * batch_size))
    return actor.model(weights, rows)


def _spread(num: int, size: int) -> np.ndarray:
    """Returns `num` of the numbers below `size`, evenly spread."""
    return np.linspace(0, size - 1, min(num, size)).round().astype(np.int32)


class OutputMap:
    """Changes of a policy's outputs as changes of its parameters.

    `u -> J^T (J J^T + c I)^-1 u`, where c is a share of the mean of the
    diagonal of `J J^T`.

    Args:
      jacobian: J, `[num_outputs, num_params]`.
      params: list of tensors, with `num_params` numbers in all.
      damping: the share.
    """

    def __init__(
        self, jacobian: tf.Tensor, params: list[tf.Tensor], damping: float
    ):
        self._shapes = [parameter.shape for parameter in params]
        self._size = jacobian.shape[0]
        self._dtype = jacobian.dtype
        if not params:
            return
        gram = tf.matmul(jacobian, jacobian, transpose_b=True)
        scale = tf.maximum(tf.linalg.trace(gram) / self._size, _TINY)
        gram += damping * scale * tf.eye(self._size, dtype=gram.dtype)
        self._matrix = tf.transpose(solve(gram, jacobian))

    def zeros(self) -> tf.Tensor:
        """Returns the change of outputs that changes nothing."""
        return tf.zeros([self._size], self._dtype)

    def moves(self, change: tf.Tensor) -> list[tf.Tensor]:
        """Returns the change of the parameters, tensors like them.

        Args:
          change: `[num_outputs]`, of the outputs; differentiable.
        """
        if not self._shapes:
            return []
        moves = tf.linalg.matvec(self._matrix, change)
        sizes = [shape.num_elements() for shape in self._shapes]
        return [
            tf.reshape(part, shape)
            for part, shape in zip(
                tf.split(moves, sizes), self._shapes, strict=True
            )
        ]


class OutputObjective(ObjectiveWrapper):
    """An objective as a function of changes of the policies' outputs.

    Args:
      objective: the objective.
      start: one list of tensors per player, the parameters that are changed.
      maps: one `OutputMap` per player.
      unchanged: one list of a tensor per player, the changes of 0 that the
        learner starts from. With these tensors the objective is evaluated at
        `start` itself, so that the play of it is shared.
    """

    def __init__(
        self,
        objective: Objective,
        start: Params,
        maps: Sequence[OutputMap],
        unchanged: Params,
    ):
        super().__init__(objective)
        self._start = start
        self._maps = maps
        self._unchanged = unchanged

    def _params(self, changes: Params) -> list[list[tf.Tensor]]:
        """Returns the parameters that given changes of outputs lead to."""
        params = [
            [
                parameter + move
                for parameter, move in zip(
                    player_params, output_map.moves(*change), strict=True
                )
            ]
            for player_params, output_map, change in zip(
                self._start, self._maps, changes, strict=True
            )
        ]
        is_start = all(
            change[0] is none[0]
            for change, none in zip(changes, self._unchanged, strict=True)
        )
        if is_start:
            self.objective.share_play(params, self._start)
        return params

    def _values(
        self, params: Params, seed: Seed | None, state: Any
    ) -> tuple[tf.Tensor, ...]:
        return self.objective(self._params(params), seed, state)

    def _divergences(
        self, params: Params, anchor: Params, seed: Seed | None, state: Any
    ) -> tuple[tf.Tensor, ...]:
        return self.objective.divergences(
            self._params(params), self._params(anchor), seed, state
        )

    def _advantages(
        self, params: Params, seed: Seed | None, state: Any
    ) -> Advantages:
        return self.objective.advantages(self._params(params), seed, state)

    def play(
        self, params: Params, seed: Seed | None, state: Any = None
    ) -> Play:
        return self.objective.play(self._params(params), seed, state)

    def player_weights(
        self, params: Params, state: Any = None
    ) -> list[Weights]:
        return self.objective.player_weights(self._params(params), state)

"""A learner against partners, which take the seats of its opponents."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import check_number, check_whole_number
from dice_tf.learners.derivatives import weighted_sum
from dice_tf.learners.learner import (
    FittedModel,
    Learner,
    LearnerStep,
    Situation,
    as_params,
    check_learner,
    check_state,
    check_step,
)
from dice_tf.objectives.objective import Objective, Params
from dice_tf.objectives.tasks import mean_of
from dice_tf.partners.fixed_policies import FixedPolicies
from dice_tf.partners.source import DrawnPartners, as_pool
from dice_tf.replicas import num_replicas
from dice_tf.seeds import (
    Seed,
    child_seeds,
    num_runs_of,
    private_seed,
    split_seed,
    uniform,
)

# Sums of probabilities such as 0.7 + 0.2 + 0.1 are 1 up to rounding.
_ROUNDING = 1e-9


class PartnersState(NamedTuple):
    """What `AgainstPartners` remembers, with the learner it wraps.

    Attributes:
      pool: for each source of partners what it remembers.
      learner: state of the wrapped learner.
      count: int32 scalar, number of iterations made.
    """

    pool: list[Any]
    learner: Any
    count: tf.Tensor


class AgainstPartners(Learner):
    """Learns against partners in place of the opponents.

    With `d(x)` the direction of the wrapped learner if x takes the other seats,
    it moves along

      `sum_m p_m d(fixed policies m) + (1 - sum_m p_m) mean_k d(x_k)`,

    where the sum is over the `FixedPolicies` of the pool, and the `num_draws`
    sets of partners `x_k` are drawn from the other sources: each source with
    its probability, and what remains for the opponents as they are. Which ones
    are drawn is a function of the step's seed and of what the sources
    remember. Reported returns, entropies and critics stay those of the real
    players.

    In a graph, the sets are a vectorised axis. It gives way to a loop, whose
    program grows with `num_draws`, for several runs, policies with memory,
    groups of episodes, and on several replicas.

    With a pool that holds nothing, or one source of probability 0, it moves as
    the wrapped learner does.

    Args:
      learner: the learner that moves. It may remember something (slots, rates,
        models of opponents) only if it makes one step in each iteration: with
        one draw, or one `FixedPolicies` of probability 1.
      pool: pairs of a probability and a `PartnerSource`.
      num_draws: number of sets of partners in each iteration.

    Raises:
      TypeError: if an argument is of another type.
      ValueError: if a probability is not in [0, 1], or their sum is above 1;
        when training starts, if the learner remembers something and would make
        several steps; in a step, if a partner does not fit its seat.

    Example:
      >>> learner = dice_tf.partners.AgainstPartners(
      ...     dice_tf.learners.LOLADiCE(1, 1.5),
      ...     [(0.5, dice_tf.partners.PastSelves(100, push_every=10))],
      ...     num_draws=4,
      ... )
      >>> trainer = dice_tf.Trainer(objective, learners=[learner, learner])

    References:
      Aghajohari et al. 2024 (LOQA) for past selves; Meulemans et al. 2025
      (Multi-agent cooperation through learning-aware policy gradients) for a
      pool in which some partners are naive learners.
    """

    def __init__(
        self, learner: Learner, pool: Sequence[Any], *, num_draws: int = 1
    ):
        self.learner = check_learner(learner)
        pairs = as_pool(pool)
        self.probabilities = tuple(
            check_number(f"pool[{i}][0]", probability, 0.0, 1.0)
            for i, (probability, _) in enumerate(pairs)
        )
        self.sources = tuple(source for _, source in pairs)
        self.num_draws = check_whole_number("num_draws", num_draws, 1, 2**16)
        total = sum(self.probabilities)
        if total > 1.0 + _ROUNDING:
            raise ValueError(
                "`pool` must hold probabilities whose sum is at most 1; the "
                f"rest is that of the opponents. Received: {total:g}."
            )
        self.metric_names = learner.metric_names

    def init(self, params: Params) -> PartnersState:
        params = as_params(params)
        pool = [source.init(params) for source in self.sources]
        against = params
        if self._fixed and not self._rest:
            number, source = self._fixed[0]
            against = source.params_of(params, pool[number])
        learner_state = self.learner.init(against)
        if tf.nest.flatten(learner_state) and self._num_steps > 1:
            raise ValueError(
                f"{type(self.learner).__name__} remembers something from "
                f"step to step, and would make {self._num_steps} steps in "
                "each iteration. Use one draw without FixedPolicies, or one "
                "FixedPolicies of probability 1."
            )
        return PartnersState(pool, learner_state, tf.zeros([], tf.int32))

    def metrics(self, state: PartnersState) -> tuple[tf.Tensor, ...]:
        check_state(state, PartnersState)
        return self.learner.metrics(state.learner)

    def fitted_models(self, state: PartnersState) -> list[FittedModel]:
        check_state(state, PartnersState)
        return self.learner.fitted_models(state.learner)

    def hoisted(self, states: PartnersState) -> "AgainstPartners":
        check_state(states, PartnersState, "states")
        hoisted = copy.copy(self)
        hoisted.learner = self.learner.hoisted(states.learner)
        return hoisted

    def step(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Seed | None,
        state: PartnersState,
    ) -> LearnerStep:
        params = check_step(objective, params, player_id)
        check_state(state, PartnersState)
        seeds = [seed] * (len(self._fixed) + 1)
        apart = None
        if seed is not None:
            apart = private_seed(private_seed(seed))
            if self._num_steps > 1:
                seeds = split_seed(seed, len(seeds))
        situation = Situation(objective, params, player_id, apart)
        terms, learner_state = [], state.learner
        for (number, source), step_seed in zip(
            self._fixed, seeds, strict=False
        ):
            direction, learner_state = self.learner.step(
                source.seated(objective, player_id),
                source.params_of(params, state.pool[number]),
                player_id,
                step_seed,
                state.learner,
            )
            terms.append((self.probabilities[number], direction))
        if self._rest:
            direction, learner_state = self._drawn_step(
                situation, seeds[-1], state
            )
            terms.append((self._rest, direction))
        pool = [
            source.advanced(source_state, situation, state.count)
            for source, source_state in zip(
                self.sources, state.pool, strict=True
            )
        ]
        return LearnerStep(
            terms[0][1] if len(terms) == 1 else weighted_sum(*terms),
            PartnersState(pool, learner_state, state.count + 1),
        )

    @property
    def _fixed(self) -> list[tuple[int, FixedPolicies]]:
        """The sources whose policies play in every iteration, numbered."""
        return [
            (number, source)
            for number, source in enumerate(self.sources)
            if isinstance(source, FixedPolicies) and self.probabilities[number]
        ]

    @property
    def _rest(self) -> float:
        """Probability of the partners that are drawn, and of the opponents."""
        fixed = (self.probabilities[number] for number, _ in self._fixed)
        rest = 1.0 - sum(fixed)
        return rest if rest > _ROUNDING else 0.0

    @property
    def _num_steps(self) -> int:
        """Number of steps of the wrapped learner in each iteration."""
        return len(self._fixed) + (self.num_draws if self._rest else 0)

    def _drawn_step(
        self, situation: Situation, seed: Seed | None, state: PartnersState
    ) -> LearnerStep:
        """Returns the mean step against the partners that are drawn."""
        objective, params, player_id, _ = situation
        sets = self._draw(situation, state)

        def step(source: Objective, number: Any, seed: Any) -> LearnerStep:
            partners = [
                [tf.gather(x, number) for x in partner] for partner in sets
            ]
            partners[player_id] = params[player_id]
            arguments = source, partners, player_id, seed, state.learner
            return LearnerStep(*self.learner.step(*arguments))

        if self.num_draws == 1:
            return step(objective, 0, seed)
        seed_of = _child_seeds(seed, self.num_draws)
        tapes_inside = objective.tapes_are_inside

        def direction(number: Any) -> list[tf.Tensor]:
            # In a map, tapes are opened in another place than around it.
            bound = objective.bind(tapes_inside=tapes_inside)
            return step(bound, number, seed_of(number)).direction

        if _is_one_by_one(objective, seed):
            mean = mean_of(list(map(direction, range(self.num_draws))))
        else:
            directions = tf.vectorized_map(direction, tf.range(self.num_draws))
            mean = [tf.reduce_mean(x, axis=0) for x in directions]
        return LearnerStep(mean, state.learner)

    def _draw(
        self, situation: Situation, state: PartnersState
    ) -> list[list[tf.Tensor]]:
        """Returns the parameters of all sets, tensors `[num_draws, ...]`."""
        sets = [
            [tf.repeat(x[tf.newaxis], self.num_draws, axis=0) for x in player]
            for player in situation.params
        ]
        drawn = [
            (number, source)
            for number, source in enumerate(self.sources)
            if isinstance(source, DrawnPartners) and self.probabilities[number]
        ]
        if drawn and situation.seed is None:
            raise ValueError(
                "`seed` must be an int32 tensor of shape [2]: partners are "
                "drawn by it. Received: None."
            )
        if not drawn:
            return sets
        which, noise = tf.unstack(uniform(situation.seed, [2, self.num_draws]))
        low = 0.0
        for number, source in drawn:
            high = low + self.probabilities[number] / self._rest
            is_taken = (which >= low) & (which < high)
            low = high
            partners = source.drawn(
                state.pool[number], situation, state.count, noise
            )
            for seat, partner in enumerate(partners):
                if partner:
                    sets[seat] = [
                        tf.where(_like(is_taken, x), x, y)
                        for x, y in zip(partner, sets[seat], strict=True)
                    ]
        return sets


def _child_seeds(seed: Seed | None, num: int) -> Callable[[Any], Any]:
    """Returns a function from the number of a set to its seed, if any."""
    return (lambda number: None) if seed is None else child_seeds(seed, num)


def _is_one_by_one(objective: Objective, seed: Seed | None) -> bool:
    """Returns whether sets of partners must be evaluated in a loop.

    TensorFlow cannot vectorise a sum over replicas, nor the loop of a play
    over runs and sets at once.
    """
    return (
        tf.executing_eagerly()
        or objective.has_memory
        or objective.num_groups > 1
        or num_replicas() > 1
        or (seed is not None and num_runs_of(seed) > 1)
    )


def _like(condition: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Returns `[D]` as `[D, 1, ...]`, of the rank of a tensor."""
    return tf.reshape(condition, [-1] + [1] * (x.shape.rank - 1))

"""Advantage Alignment and the actor-critic, against their definitions."""

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf
from dice_tf.learners import ActorCritic, AdvantageAlignment, Naive
from dice_tf.objectives import DiCEObjective, SurrogateObjective
from tests import oracles
from tests.learners import advantage_oracles
from tests.learners.settings import vector
from tests.recurrent import gru_policies, small_game
from tests.toys import (
    ASYMMETRIC,
    THREE_PLAYERS,
    EndsEarly,
    NaNBehindTheEnd,
    random_params,
    tabular_policies,
)

GAMMA, TAU, SEED = 0.9, 0.6, (1, 2)
FORMS = ("discounted", "averaged")


def make_game(payoffs=ASYMMETRIC, length=4):
    return dice_tf.games.iterated_matrix_game(payoffs, length, dtype="float64")


def with_critics(game, **options):
    """An objective with tables of wrong values."""
    critics = [
        dice_tf.critics.tabular_critic(game, i) for i in range(game.num_players)
    ]
    for critic, weights in zip(critics, random_params(critics, 8), strict=True):
        critic.set_weights(weights)
    return SurrogateObjective(
        game,
        tabular_policies(game),
        GAMMA,
        6,
        "critic",
        critics,
        tau=TAU,
        **options,
    )


@functools.cache
def case(name):
    """An objective, its parameters, and what it played."""
    payoffs = THREE_PLAYERS if name.startswith("3") else ASYMMETRIC
    game = make_game(payoffs, 3 if name.startswith("3") else 4)
    if "ends early" in name:
        game = EndsEarly(game)
    if "critics" in name:
        objective = with_critics(game)
    else:
        policies = tabular_policies(game)
        objective = DiCEObjective(game, policies, GAMMA, 6, None)
    params = random_params(objective.policies, 3)
    return objective, params, objective.play(params, SEED).trajectory


CASES = [
    f"{count}, {values}"
    for count, values in itertools.product("23", ("no values", "critics"))
]
CASES += ["2, critics, ends early", "2, no values, ends early"]


def values_of(objective, trajectory):
    """What the critics say, or zeros, `[N, T, B]`."""
    if not objective.critics:
        return np.array([np.zeros(x.shape) for x in trajectory.rewards])
    return np.array(
        [
            (seen.numpy() @ critic.network.get_weights()[0])[..., 0]
            for critic, seen in zip(
                objective.critics, trajectory.observations, strict=True
            )
        ]
    )


def expected_direction(name, player_id, credit):
    objective, params, trajectory = case(name)
    return advantage_oracles.direction(
        trajectory,
        params[player_id][0],
        player_id,
        values_of(objective, trajectory),
        gamma=GAMMA,
        tau=TAU if objective.critics else 1.0,
        credit=credit,
    )


# --- The definition ---------------------------------------------------------


@pytest.mark.parametrize("past", FORMS)
@pytest.mark.parametrize("name", CASES)
def test_the_direction_is_that_of_the_definition(name, past):
    objective, params, _ = case(name)
    learner = AdvantageAlignment(0.7, past=past)
    for i in range(objective.num_players):
        expected = expected_direction(
            name,
            i,
            lambda A, i=i: advantage_oracles.aligned(A, i, GAMMA, 0.7, past),
        )
        (found,) = learner.gradient(objective, params, i, SEED)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_the_actor_critic_is_that_of_the_definition(name):
    objective, params, trajectory = case(name)
    if "ends early" in name:
        assert np.any(trajectory.discounts.numpy()[:-2] == 0.0)
    for i in range(objective.num_players):
        expected = expected_direction(name, i, lambda A, i=i: A[i])
        (found,) = ActorCritic().gradient(objective, params, i, SEED)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


# --- The entropy bonus --------------------------------------------------------


def with_bonus(learner, objective, params, i):
    """The direction, plus 0.3 times the gradient of the entropy."""
    params = [list(map(tf.constant, player)) for player in params]
    with tf.GradientTape() as tape:
        tape.watch(params[i])
        entropy = objective.play(params, SEED).entropies[i]
    bonus = tape.gradient(entropy, params[i])
    direction = learner.gradient(objective, params, i, SEED)
    return [x + 0.3 * y for x, y in zip(direction, bonus, strict=True)]


@pytest.mark.parametrize("name", [*CASES, "2, networks"])
def test_the_entropy_bonus_is_added_to_the_direction(name):
    if name == "2, networks":
        game = dice_tf.games.CoinGame(3, dtype="float64")
        policies = [
            dice_tf.policies.mlp(game, i, hidden_units=(3,)) for i in range(2)
        ]
        objective = DiCEObjective(game, policies, GAMMA, 4, None)
        params = objective.initial_params()
    else:
        objective, params, _ = case(name)
    learner = AdvantageAlignment(0.7)
    complete = learner.with_entropy(0.3)
    for i in range(objective.num_players):
        expected = with_bonus(learner, objective, params, i)
        found = complete.gradient(objective, params, i, SEED)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


class DoubledDirection(ActorCritic):
    def direction(self, situation):
        return [2.0 * x for x in super().direction(situation)]


class DoubledStep(AdvantageAlignment):
    def step(self, *arguments):
        step = super().step(*arguments)
        return step._replace(direction=[2.0 * x for x in step.direction])


@pytest.mark.parametrize("derived", [DoubledDirection, DoubledStep])
def test_a_trainer_adds_the_bonus_to_what_derived_classes_return(derived):
    objective, params, _ = case("2, critics")

    def moved(learner, coefficient):
        trainer = dice_tf.Trainer(
            objective,
            [learner, None],
            initial_params=[params],
            entropy_coefficient=coefficient,
        )
        trainer.compile(
            keras.optimizers.SGD(1.0), critic_optimizer="sgd", run_eagerly=True
        )
        trainer.fit(verbose=0)
        return trainer.players[0].params[0].numpy()[0]

    base = derived.__base__()
    bonus = moved(base, 0.5) - moved(base, 0.0)
    found = moved(derived(), 0.5) - moved(derived(), 0.0)
    assert np.max(np.abs(bonus)) > 1e-3
    np.testing.assert_allclose(found, bonus, rtol=1e-9)


def test_the_entropy_bonus_of_a_family_is_the_mean_of_that_of_its_tasks():
    objective, params, _ = case("2, no values")
    family = dice_tf.objectives.FiniteTasks([objective, objective])
    expected = with_bonus(ActorCritic(), family, params, 0)
    found = ActorCritic().with_entropy(0.3).gradient(family, params, 0, SEED)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_the_entropy_takes_no_pass_through_the_policy_of_its_own():
    game = dice_tf.games.CoinGame(2)
    policies = [dice_tf.policies.mlp(game, i) for i in range(2)]
    objective = DiCEObjective(game, policies, GAMMA, 4, None)

    def num_products(learner):
        def direction(params):
            return learner.gradient(objective, params, 0, SEED)

        graph = tf.function(direction, autograph=False).get_concrete_function(
            objective.initial_params()
        )
        kinds = [op.type for op in graph.graph.get_operations()]
        return kinds.count("MatMul")

    plain, complete = ActorCritic(), ActorCritic().with_entropy(0.1)
    assert 0 < num_products(complete) == num_products(plain)


@functools.cache
def all_plays(length=3):
    """Every play of the asymmetric game `[n, T, 2]`."""
    joints = oracles.joint_actions((2, 2))
    return np.array(list(itertools.product(joints, repeat=length)))


def credited_scores(thetas, past):
    """Of each play its chance and the direction of player 0 it gives."""
    chances, directions = [], []
    for play in all_plays():
        chance, grads, rewards = 1.0, [], []
        previous = None
        for joint in play:
            rows = [oracles.observation(previous, i, (2, 2)) for i in (0, 1)]
            for i in (0, 1):
                chance *= oracles.policy(thetas[i])[rows[i], joint[i]]
            grads.append(advantage_oracles.scores(thetas[0], rows[0], joint[0]))
            rewards.append(ASYMMETRIC[:, joint[0], joint[1]])
            previous = list(joint)
        rewards = np.array(rewards).T
        A = np.array(
            [
                advantage_oracles.generalized_advantages(r, 0.0 * r, GAMMA, 1.0)
                for r in rewards
            ]
        )
        credit = advantage_oracles.aligned(A, 0, GAMMA, 1.0, past)
        chances.append(chance)
        directions.append(np.einsum("t,toa->o", credit, np.array(grads)) / 3)
    return np.array(chances), np.array(directions)


@pytest.mark.parametrize("past", FORMS)
def test_sampled_directions_average_to_the_sum_over_all_plays(past):
    batch_size = 40_000
    game = make_game(length=3)
    objective = DiCEObjective(
        game, tabular_policies(game), GAMMA, batch_size, None
    )
    params = random_params(objective.policies, 3)
    chances, directions = credited_scores([x[0] for x in params], past)
    assert np.sum(chances) == pytest.approx(1.0)
    mean = chances @ directions
    deviation = np.sqrt(chances @ (directions - mean) ** 2)
    learner = AdvantageAlignment(1.0, past=past)
    found = vector(learner.gradient(objective, params, 0, SEED))
    errors = (found - mean) / (deviation / np.sqrt(batch_size))
    assert np.max(np.abs(errors)) < 3.5


# --- What it reduces to -----------------------------------------------------


@pytest.mark.parametrize("past", FORMS)
def test_with_weight_0_it_is_the_actor_critic(past):
    objective, params, _ = case("2, critics")
    learner = AdvantageAlignment(0.0, past=past)
    found, expected, shaped = (
        vector(rule.gradient(objective, params, 0, SEED))
        for rule in (learner, ActorCritic(), AdvantageAlignment(past=past))
    )
    np.testing.assert_array_equal(found, expected)
    assert np.max(np.abs(shaped - expected)) > 1e-3


@pytest.mark.parametrize("baseline", [None, "leave_one_out", "state_values"])
def test_without_discount_the_actor_critic_is_naive(baseline):
    """All steps count the same; the value is their sum, not their mean."""
    game = make_game()
    objective = DiCEObjective(game, tabular_policies(game), 1.0, 6, baseline)
    params = random_params(objective.policies, 3)
    (found,) = ActorCritic().gradient(objective, params, 0, SEED)
    (naive,) = Naive().gradient(objective, params, 0, SEED)
    np.testing.assert_allclose(4 * found, naive, atol=1e-12)


def test_means_of_other_episodes_are_a_baseline_for_unequal_lengths():
    """They go on when the episode itself has ended: else there is a bias."""
    game = EndsEarly(make_game())
    objective = SurrogateObjective(game, tabular_policies(game), 1.0, 6)
    params = random_params(objective.policies, 3)
    played = objective.advantages(params, SEED)
    running = oracles.discount_weights(played.trajectory.discounts.numpy())
    rewards = np.where(running, played.trajectory.rewards[0], 0.0)
    centred = np.cumsum(
        (rewards - oracles.leave_one_out_mean(rewards))[::-1], axis=0
    )[::-1]
    np.testing.assert_allclose(
        played.advantages[0], np.where(running, centred, 0.0), atol=1e-12
    )


def test_a_player_alone_is_an_actor_critic():
    game = dice_tf.games.iterated_matrix_game([[1.0, -0.5]], 3, dtype="float64")
    objective = DiCEObjective(game, tabular_policies(game), GAMMA, 6, None)
    params = random_params(objective.policies, 3)
    (found,) = AdvantageAlignment().gradient(objective, params, 0, SEED)
    (expected,) = ActorCritic().gradient(objective, params, 0, SEED)
    np.testing.assert_array_equal(found, expected)


def test_on_a_family_it_is_the_mean_over_the_tasks():
    objectives = [case("2, no values")[0]] * 2
    family = dice_tf.objectives.FiniteTasks(objectives)
    params = case("2, no values")[1]
    learner = AdvantageAlignment()
    seeds = []
    family.average(lambda task, seed: seeds.append(seed) or tf.zeros([]), SEED)
    each = [
        vector(learner.gradient(task, params, 0, seed))
        for task, seed in zip(objectives, seeds, strict=True)
    ]
    found = vector(learner.gradient(family, params, 0, SEED))
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-12)


# --- What is held constant, and what does not count -------------------------


def test_nothing_but_log_probabilities_is_differentiable():
    """Neither in policies nor in critics."""
    objective, params, _ = case("2, critics")
    params = [[tf.constant(x) for x in own] for own in params]
    state = objective.initial_state()
    critics = [weights.params for weights in state.critics]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([params, critics])
        played = objective.advantages(params, SEED, state)
        constants = [*played.advantages, *played.values, *played.rewards]
    for constant in constants:
        assert (
            tape.gradient(constant, [params, critics]) == [[[None], [None]]] * 2
        )
    for i, log_probs in enumerate(played.log_probs):
        found = tape.gradient(log_probs, [params[i], critics, params[1 - i]])
        assert found[0][0] is not None
        assert found[1:] == [[[None], [None]], [None]]


@pytest.mark.parametrize("values", ["critics", "others"])
def test_what_is_behind_the_end_does_not_count(values):
    def build(kind):
        game = kind(make_game())
        if values == "critics":
            return with_critics(game)
        return DiCEObjective(game, tabular_policies(game), GAMMA, 6)

    params = random_params(build(EndsEarly).policies, 3)
    played = build(NaNBehindTheEnd).advantages(params, SEED)
    behind = oracles.discount_weights(played.trajectory.discounts.numpy()) == 0
    assert np.any(behind)
    for numbers in (
        *played.advantages,
        *played.values,
        *played.rewards,
        *played.log_probs,
        played.step_weights,
    ):
        np.testing.assert_array_equal(numbers.numpy()[behind], 0.0)
    found, expected = (
        vector(AdvantageAlignment().gradient(build(kind), params, 1, SEED))
        for kind in (NaNBehindTheEnd, EndsEarly)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_bound_objective_plays_and_evaluates_its_critics_once(monkeypatch):
    objective, params, _ = case("2, critics")
    params = [[tf.constant(x) for x in own] for own in params]
    calls = []
    kind = type(objective.critics[0])
    value = kind.__call__
    monkeypatch.setattr(
        kind, "__call__", lambda *args: calls.append(1) or value(*args)
    )
    bound, seed = objective.bind(), tf.constant(SEED)
    first = bound.advantages(params, seed)
    second = bound.advantages(params, seed)
    assert len(calls) == 2 and first.advantages is second.advantages
    assert bound.advantages(params, tf.constant([3, 4])) is not first
    assert len(calls) == 4


# --- Other policies, and training -------------------------------------------


def test_policies_with_memory_are_credited_step_by_step():
    """Their log-probabilities, each with the credit of its step."""
    game = small_game()
    objective = DiCEObjective(game, gru_policies(game), GAMMA, 4)
    params = [
        [tf.constant(x) for x in own] for own in objective.initial_params()
    ]
    played = objective.advantages(params, SEED)
    credit = np.zeros(played.advantages[0].shape)
    for b in range(credit.shape[1]):
        A = np.array([x.numpy()[:, b] for x in played.advantages])
        credit[:, b] = advantage_oracles.aligned(A, 0, GAMMA, 1.0, FORMS[0])
    with tf.GradientTape() as tape:
        tape.watch(params[0])
        log_probs = dice_tf.play.player_log_probs(
            objective.actors[0],
            objective.player_weights(params)[0],
            played.trajectory,
            0,
        )
        value = tf.reduce_mean(log_probs * credit)
    expected = tape.gradient(value, params[0])
    found = AdvantageAlignment().gradient(objective, params, 0, SEED)
    np.testing.assert_allclose(vector(found), vector(expected), rtol=1e-9)


def fitted(trainer, num_steps, **options):
    trainer.compile(jit_compile=False, **options)
    trainer.fit(steps_per_epoch=num_steps, verbose=0)
    return trainer.curves


@pytest.mark.parametrize("num_seeds", [1, 2])
def test_a_trainer_adds_the_entropy_bonus_once(num_seeds):
    class Apart(AdvantageAlignment):
        """Leaves the bonus to the trainer."""

        def with_entropy(self, coefficient):
            return None

    def moved(learner):
        game = make_game()
        trainer = dice_tf.Trainer(
            DiCEObjective(game, tabular_policies(game), GAMMA, 6),
            [learner] * 2,
            num_seeds=num_seeds,
            initial_params="random",
            entropy_coefficient=0.3,
        )
        fitted(trainer, 2, optimizer=keras.optimizers.SGD(0.5))
        return [player.params[0].numpy() for player in trainer.players]

    found, expected = moved(AdvantageAlignment(0.7)), moved(Apart(0.7))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_it_improves_with_continuous_actions():
    """In a Cournot duopoly, where linear policies answer what they saw."""
    game = dice_tf.games.RepeatedCournot(5, dtype="float64")
    policies = [
        dice_tf.policies.with_head(
            keras.Sequential(
                [
                    keras.Input((2,), dtype="float64"),
                    keras.layers.Dense(1, "tanh", dtype="float64"),
                ]
            ),
            lambda outputs: tfp.distributions.Normal(outputs[..., 0], 0.2),
        )
        for _ in range(2)
    ]
    critics = [
        dice_tf.critics.mlp_critic(game, i, hidden_units=(4,)) for i in (0, 1)
    ]
    objective = DiCEObjective(
        game, policies, GAMMA, 64, "critic", critics, tau=0.9
    )
    trainer = dice_tf.Trainer(objective, [AdvantageAlignment(0.5)] * 2)
    curves = fitted(trainer, 60, optimizer=keras.optimizers.SGD(0.1))
    assert np.all(np.isfinite(curves))
    assert np.all(curves[-5:].mean(0) > curves[0] + 0.3)


def test_runs_are_those_of_single_trainers_in_a_mixed_line_up():
    def curves(seed, num_seeds):
        trainer = dice_tf.Trainer(
            with_critics(make_game()),
            [AdvantageAlignment(0.5, past="averaged"), ActorCritic()],
            num_seeds=num_seeds,
            seed=seed,
            initial_params="random",
        )
        return fitted(trainer, 4, optimizer=keras.optimizers.SGD(0.5))

    found = curves(5, 2)
    assert np.all(np.isfinite(found))
    np.testing.assert_allclose(curves(6, 1)[:, 0], found[:, 1], rtol=1e-9)


# --- Errors -----------------------------------------------------------------


def test_an_objective_that_does_not_play_is_refused():
    policies = tabular_policies(make_game())
    objective = dice_tf.objectives.ExactObjective(make_game(), policies, GAMMA)
    params = objective.initial_params()
    with pytest.raises(ValueError, match="ExactObjective does not play"):
        ActorCritic().gradient(objective, params, 0)


def test_bad_arguments_are_refused():
    objective, params, _ = case("2, critics")
    with pytest.raises(ValueError, match="`x` must have the shape of"):
        objective.advantages(params, SEED).mean([1.0, 2.0])
    with pytest.raises(ValueError, match="`weight`"):
        AdvantageAlignment(-1.0)
    with pytest.raises(ValueError, match="`past`"):
        AdvantageAlignment(past="recent")

"""Learning against partners: past selves, fixed policies, naive learners.

Oracles are the wrapped learner, called with the parameters of one partner, and
buffers that are lists.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.callbacks import Checkpoint
from dice_tf.learners import FittedRates, LOLADiCE, Naive
from dice_tf.objectives import DiCEObjective, ExactObjective, FunctionObjective
from dice_tf.partners import (
    AgainstPartners,
    FixedPolicies,
    NaiveLearners,
    PastSelves,
)
from dice_tf.seeds import make_seed, private_seed, split_seed, uniform
from dice_tf.training.fingerprints import fingerprint
from tests.toys import ASYMMETRIC, Plain, random_params, tabular_policies

pytestmark = pytest.mark.own_process

GAME = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
SEED = tf.constant(make_seed(3))


@functools.cache
def exact():
    return ExactObjective(GAME, tabular_policies(GAME), 0.9)


@functools.cache
def sampled():
    return DiCEObjective(GAME, tabular_policies(GAME), 0.9, batch_size=4)


def params_of(seed, objective=None):
    values = random_params((objective or exact()).policies, seed)
    return [[tf.constant(x) for x in player] for player in values]


def bot(seed=4):
    """A network in seat 1, of another architecture than the policy there."""
    policy = dice_tf.policies.mlp(GAME, 1, hidden_units=[3])
    policy.set_weights(random_params([policy], seed)[0])
    return policy


def product():
    """Player 0 wants to go where its partner is: `V_0 = x y`, `V_1 = y`."""
    return FunctionObjective(
        [
            lambda params: tf.reduce_sum(params[0][0] * params[1][0]),
            lambda params: tf.reduce_sum(params[1][0]),
        ]
    )


def places(x, y):
    return [[tf.constant([x], tf.float64)], [tf.constant([y], tf.float64)]]


def noise_of(seed, num_draws=1):
    apart = private_seed(private_seed(seed))
    return uniform(apart, [2, num_draws]).numpy()


def assert_close(found, expected, rtol=1e-12):
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=rtol)


# --- Fixed policies ---------------------------------------------------------


@pytest.mark.parametrize("build", [exact, sampled])
@pytest.mark.parametrize("learner", [Naive(), LOLADiCE(2, 0.7)])
@pytest.mark.parametrize(
    "make_bot", [bot, lambda: dice_tf.policies.tit_for_tat(GAME, 1)]
)
def test_one_fixed_policy_is_like_a_frozen_seat(build, learner, make_bot):
    """With the same seed, and bit by bit."""
    policy, objective, params = make_bot(), build(), params_of(1)
    pool = [(1.0, FixedPolicies([None, policy]))]
    found = AgainstPartners(learner, pool).gradient(objective, params, 0, SEED)
    frozen = objective.with_policies([objective.policies[0], policy])
    params[1] = frozen.initial_params()[1]
    expected = learner.gradient(frozen, params, 0, SEED)
    np.testing.assert_array_equal(found[0], expected[0])


def test_training_against_a_fixed_policy_is_that_beside_a_frozen_seat():
    policy, ends = bot(), []
    learner = Naive()
    against = AgainstPartners(learner, [(1.0, FixedPolicies([None, policy]))])
    first = dice_tf.policies.tabular(GAME, 0)
    for policies, learners in (
        ([first, dice_tf.policies.tabular(GAME, 1)], [against, Naive()]),
        ([first, policy], [learner, None]),
    ):
        objective = DiCEObjective(GAME, policies, 0.9, batch_size=4)
        first.set_weights([np.ones([5, 1])])
        trainer = trainer_of(objective, learners)
        fit(trainer, 2)
        ends.append(first.get_weights()[0])
    np.testing.assert_allclose(*ends, rtol=1e-12)
    assert np.abs(ends[0] - 1.0).max() > 1e-3


def test_probabilities_weigh_fixed_policies_and_opponents():
    bots, params = [bot(4), bot(5)], params_of(1)
    pool = [
        (p, FixedPolicies([None, b]))
        for p, b in zip((0.3, 0.2), bots, strict=True)
    ]
    learner = LOLADiCE(1, 0.7)
    found = AgainstPartners(learner, pool).gradient(exact(), params, 0)
    expected = 0.5 * learner.gradient(exact(), params, 0)[0]
    for probability, policy in zip((0.3, 0.2), bots, strict=True):
        seated = exact().with_policies([exact().policies[0], policy])
        line_up = [params[0], seated.initial_params()[1]]
        direction = learner.gradient(seated, line_up, 0)[0]
        expected += probability * direction
    np.testing.assert_allclose(found[0], expected, rtol=1e-12)


def test_each_fixed_policy_plays_with_a_seed_of_its_own():
    policy, params = bot(), params_of(1)
    pool = [(0.5, FixedPolicies([None, policy]))] * 2
    found = AgainstPartners(Naive(), pool).gradient(sampled(), params, 0, SEED)[
        0
    ]
    seated = sampled().with_policies([sampled().policies[0], policy])
    line_up = [params[0], seated.initial_params()[1]]
    seeds = split_seed(SEED, 3)
    terms = [Naive().gradient(seated, line_up, 0, s)[0] for s in seeds[:2]]
    np.testing.assert_allclose(found, 0.5 * (terms[0] + terms[1]), rtol=1e-12)
    assert np.abs(terms[0] - terms[1]).max() > 1e-3


def test_a_fixed_policy_keeps_the_weights_that_it_had():
    policy, params = bot(), params_of(1)
    learner = AgainstPartners(Naive(), [(1.0, FixedPolicies([None, policy]))])
    state = learner.init(params)
    before = learner.step(exact(), params, 0, None, state).direction
    policy.set_weights([2.0 * x for x in policy.get_weights()])
    after = learner.step(exact(), params, 0, None, state).direction
    np.testing.assert_array_equal(before[0], after[0])


# --- Past selves ------------------------------------------------------------


@pytest.mark.parametrize("capacity, push_every", [(1, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("seats", [None, [1]])
def test_past_selves_are_drawn_from_a_ring_buffer(capacity, push_every, seats):
    """The oracle is a list of what was pushed."""
    source = PastSelves(capacity, push_every=push_every, seats=seats)
    learner = AgainstPartners(Naive(), [(1.0, source)])
    state = learner.init(places(0.0, 0.0))
    pushed, used = [], set()
    for iteration in range(12):
        now = 100.0 + iteration
        params = places(iteration, now)
        seed = tf.constant(make_seed(iteration))
        direction, state = learner.step(product(), params, 0, seed, state)
        held = pushed[-capacity:] or [now]
        # The ring is not in order of age.
        if len(pushed) > capacity:
            start = len(pushed) % capacity
            held = held[-start:] + held[:-start] if start else held
        index = int(noise_of(seed)[1, 0] * len(held))
        assert float(direction[0][0]) == held[index]
        used.add(held[index])
        if iteration % push_every == 0:
            pushed.append(now)
    assert len(used) > 2 or capacity == 1
    assert len(state.pool[0][0]) == (1 if seats is None else 0)


def test_an_empty_buffer_means_the_opponents_as_they_are():
    params = params_of(1)
    learner = AgainstPartners(LOLADiCE(1, 0.7), [(1.0, PastSelves(3))])
    found = learner.gradient(sampled(), params, 0, SEED)
    expected = LOLADiCE(1, 0.7).gradient(sampled(), params, 0, SEED)
    assert_close(found, expected)


def test_all_partners_of_a_set_are_of_one_time():
    """V_0 tells the partners of seats 1 and 2 apart."""
    objective = FunctionObjective(
        [
            lambda params: tf.reduce_sum(
                params[0][0] * tf.concat([params[1][0], params[2][0]], 0)
            ),
        ]
        + [lambda params: tf.reduce_sum(params[1][0])] * 2
    )
    learner = AgainstPartners(Naive(), [(1.0, PastSelves(8))])

    def at(time):
        values = [[0.0, 0.0], [time], [time + 0.5]]
        return [[tf.constant(x, tf.float64)] for x in values]

    state = learner.init(at(0.0))
    times = set()
    for iteration in range(8):
        seed = tf.constant(make_seed(iteration))
        arguments = objective, at(float(iteration)), 0, seed, state
        direction, state = learner.step(*arguments)
        first, second = direction[0].numpy()
        assert second == first + 0.5
        times.add(first)
    assert len(times) > 2


def test_sources_and_times_are_drawn_with_their_probabilities():
    """A quarter past selves, half naive learners, a quarter opponents."""
    num_draws = 4000
    pool = [(0.25, PastSelves(2)), (0.5, NaiveLearners(0.0))]
    learner = AgainstPartners(Naive(), pool, num_draws=num_draws)
    state = learner.init(places(0.0, 1.0))
    step = tf.function(
        lambda seed, y, state: learner.step(
            product(), places(0.0, 0.0)[:1] + [[y]], 0, seed, state
        ),
        autograph=False,
    )
    for iteration, place in enumerate((10.0, 100.0, 1000.0)):
        seed = tf.constant(make_seed(iteration))
        y = tf.constant([place], tf.float64)
        direction, state = step(seed, y, state)
    which, noise = noise_of(seed, num_draws)
    past = np.where(noise < 0.5, 10.0, 100.0)
    expected = np.where(which < 0.25, past, np.where(which < 0.75, 1.0, 1000.0))
    np.testing.assert_allclose(direction[0][0], expected.mean(), rtol=1e-12)
    shares = np.mean(expected[:, None] == [10.0, 100.0, 1.0, 1000.0], axis=0)
    error = 4.0 * np.sqrt(0.25 / num_draws)
    np.testing.assert_allclose(shares, [1 / 8, 1 / 8, 1 / 2, 1 / 4], atol=error)


@pytest.mark.parametrize("hides_states", [False, True])
def test_sets_that_are_one_program_are_those_of_a_loop(hides_states):
    """Eagerly there is a loop, in a graph a map."""
    game = Plain(GAME) if hides_states else GAME
    objective = DiCEObjective(game, tabular_policies(game), 0.9, batch_size=4)
    inner = Naive() if hides_states else LOLADiCE(1, 0.7)
    learner = AgainstPartners(inner, [(0.7, PastSelves(3))], num_draws=3)
    params = [params_of(i) for i in range(3)]
    state = learner.init(params[0])
    for i in range(2):
        state = learner.step(objective, params[i], 0, SEED, state).state
    arguments = objective, params[2], 0

    @tf.function(autograph=False)
    def step(seed):
        # As a trainer does, so that objectives use their shorter formulas.
        bound = objective.bind(tapes_inside=True)
        return learner.step(bound, params[2], 0, seed, state)

    seed = tf.constant(make_seed(11))
    mapped, looped = step(seed), learner.step(*arguments, seed, state)
    assert_close(mapped.direction, looped.direction)
    which, noise = noise_of(seed, 3)
    directions = []
    for number, child in enumerate(split_seed(split_seed(seed, 1)[0], 3)):
        line_up = list(params[2])
        if which[number] < 0.7:
            line_up[1] = params[int(noise[number] * 2)][1]
        directions.append(inner.gradient(objective, line_up, 0, child)[0])
    np.testing.assert_allclose(
        looped.direction[0], np.mean(directions, axis=0), rtol=1e-12
    )
    assert 0 < np.sum(which < 0.7) < 3


def test_a_program_does_not_grow_with_the_number_of_draws():
    sizes = []
    for num_draws in (2, 5):
        learner = AgainstPartners(
            Naive(), [(0.7, PastSelves(3))], num_draws=num_draws
        )
        params = params_of(0)
        step = tf.function(
            functools.partial(learner.step, sampled(), params, 0),
            autograph=False,
        )
        graph = step.get_concrete_function(SEED, learner.init(params)).graph
        sizes.append(len(graph.get_operations()))
    # Splitting a seed in more of them takes a few more.
    assert sizes[1] - sizes[0] < 10


# --- Naive learners ---------------------------------------------------------


@pytest.mark.parametrize("restart_every", [None, 2])
def test_naive_learners_ascend_their_own_values(restart_every):
    source = NaiveLearners(0.4, restart_every=restart_every)
    learner = AgainstPartners(LOLADiCE(1, 0.7), [(1.0, source)])
    partner = params_of(0)[1]
    state = learner.init(params_of(0))
    for iteration in range(4):
        params = params_of(iteration + 1)
        if restart_every and iteration % restart_every == 0:
            partner = params[1]
        line_up = [params[0], partner]
        found, state = learner.step(exact(), params, 0, SEED, state)
        expected = LOLADiCE(1, 0.7).gradient(exact(), line_up, 0)
        assert_close(found, expected)
        gradient = Naive().gradient(exact(), line_up, 1)
        partner = [partner[0] + 0.4 * gradient[0]]
        assert_close(state.pool[0][1], partner)


def test_naive_learners_of_one_set_learn_beside_each_other():
    payoffs = np.random.default_rng(5).normal(size=(3, 2, 2, 2))
    game = dice_tf.games.iterated_matrix_game(payoffs, 2, dtype="float64")
    objective = ExactObjective(game, tabular_policies(game), 0.9)
    learner = AgainstPartners(Naive(), [(1.0, NaiveLearners(0.4))])
    params = params_of(1, objective)
    state = learner.step(objective, params, 1, SEED, learner.init(params)).state
    for seat in (0, 2):
        gradient = Naive().gradient(objective, params, seat)[0]
        np.testing.assert_allclose(
            state.pool[0][seat][0], params[seat][0] + 0.4 * gradient
        )


# --- Training ---------------------------------------------------------------


def trainer_of(objective, learners, **options):
    trainer = dice_tf.Trainer(objective, learners, **options)
    trainer.compile(keras.optimizers.Adam(0.1), jit_compile=False)
    return trainer


def fit(trainer, steps, **arguments):
    return trainer.fit(steps_per_epoch=steps, verbose=0, **arguments)


def past_trainer(num_seeds=1, capacity=3, shared=False, seed=0):
    """Exact values, since tracing a play takes long: partners are drawn."""
    policies = tabular_policies(GAME)
    if shared:
        policies = policies[:1] * 2
    objective = ExactObjective(GAME, policies, 0.9)
    pool = [
        (0.6, PastSelves(capacity, push_every=2)),
        (0.2, NaiveLearners(0.4, restart_every=3)),
        (0.1, FixedPolicies([None, dice_tf.policies.tit_for_tat(GAME, 1)])),
    ]
    return trainer_of(
        objective,
        [
            AgainstPartners(Naive(), pool, num_draws=2),
            AgainstPartners(LOLADiCE(1, 0.5), pool[:2]),
        ],
        num_seeds=num_seeds,
        seed=seed,
        initial_params="random",
    )


def test_runs_are_those_that_a_trainer_of_one_run_makes():
    together = past_trainer(num_seeds=2)
    fit(together, 4)
    for run in range(2):
        alone = past_trainer(seed=run)
        fit(alone, 4)
        for one, two in zip(
            together.take_snapshot().values[1:],
            alone.take_snapshot().values[1:],
            strict=True,
        ):
            if one.shape[:1] == (2,) and one.shape[1:] == two.shape[1:]:
                np.testing.assert_allclose(one[run], two[0], rtol=1e-9)
        np.testing.assert_allclose(
            together.curves[:, run], alone.curves[:, 0], rtol=1e-6
        )


@pytest.mark.parametrize("shared", [False, True])
def test_interrupted_trainings_end_in_the_same_bytes(tmp_path, shared):
    """The buffer is a part of the checkpoint, in shared seats, too."""
    whole = past_trainer(2, shared=shared)
    fit(whole, 1, epochs=7)
    for epoch in (1, 2, 5, 7):
        part = past_trainer(2, shared=shared)
        checkpoint = Checkpoint(tmp_path / "checkpoint", keep=True)
        fit(part, 1, epochs=epoch, callbacks=[checkpoint])
    expected, found = whole.take_snapshot(), part.take_snapshot()
    assert expected.curves.tobytes() == found.curves.tobytes()
    for one, two in zip(expected.values, found.values, strict=True):
        assert one.tobytes() == two.tobytes()
    buffer = whole.players[0].state().learner_state.pool[0][1][0].numpy()
    assert len(np.unique(buffer, axis=1)[0]) == 3
    assert np.abs(np.diff(buffer, axis=1)).min() > 0.0


def test_trainers_share_a_program_if_their_partners_are_alike():
    keys = [
        fingerprint(past_trainer(capacity=capacity, seed=seed)._step).key
        for capacity, seed in ((3, 0), (3, 1), (4, 0))
    ]
    assert keys[0] == keys[1]
    assert keys[0] != keys[2]


def test_a_checkpoint_with_a_buffer_of_another_size_is_refused(tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint", keep=True)
    checkpoint.save(past_trainer(), 1)
    message = (
        r"is that of another training: `variables.player_0/learner_state_0` "
        r"is 'float64 \[1, 3, 5, 1\]' there and 'float64 \[1, 4, 5, 1\]' here"
    )
    with pytest.raises(ValueError, match=message):
        checkpoint.restore(past_trainer(capacity=4))


def test_a_learner_with_memory_makes_one_step():
    rates = FittedRates(1.0)
    fixed = FixedPolicies([None, bot()])
    for pool, options in (
        ([(0.5, PastSelves(2))], {}),
        ([(1.0, fixed), (0.0, PastSelves(2))], {}),
    ):
        learner = AgainstPartners(LOLADiCE(1, rates), pool, **options)
        params = params_of(1)
        state = learner.init(params)
        state = learner.step(sampled(), params, 0, SEED, state).state
        assert tf.nest.flatten(state.learner)
    for pool, options in (
        ([], {"num_draws": 2}),
        ([(0.5, fixed)], {}),
    ):
        learner = AgainstPartners(LOLADiCE(1, rates), pool, **options)
        with pytest.raises(ValueError, match="would make 2 steps in each"):
            learner.init(params_of(1))


def test_what_is_measured_inside_is_logged():
    measured = dice_tf.diagnostics.MeasuredShaping(LOLADiCE(1, 0.5))
    learner = AgainstPartners(measured, [(0.5, PastSelves(2))])
    assert learner.metric_names == ("shaping_share",)
    outside = dice_tf.diagnostics.MeasuredShaping(
        AgainstPartners(LOLADiCE(1, 0.5), [(0.5, PastSelves(2))])
    )
    for choice in (learner, outside):
        logs = fit(trainer_of(exact(), [choice, None]), 1).history
        assert 1e-6 < logs["player_0/shaping_share"][0] < np.inf


def test_models_of_opponents_are_fitted_inside():
    model = dice_tf.policies.tabular(GAME, 1)
    modelling = dice_tf.opponent_models.OpponentModelling(
        Naive(), [None, model], num_steps=1
    )
    learner = AgainstPartners(modelling, [(0.5, PastSelves(2))])
    state = learner.init(params_of(1))
    (fitted,) = learner.fitted_models(state)
    assert fitted.model is model
    trainer = trainer_of(sampled(), [learner, None])
    assert "player_0/model/return" in fit(trainer, 1).history


# --- What is refused --------------------------------------------------------


@pytest.mark.parametrize("probability", [-0.1, 1.1, np.nan, np.inf])
def test_probabilities_are_in_the_unit_interval(probability):
    with pytest.raises(ValueError, match=r"`pool\[0\]\[0\]`"):
        AgainstPartners(Naive(), [(probability, PastSelves(1))])


def test_the_sum_of_probabilities_is_at_most_1():
    pool = [(0.7, PastSelves(1)), (0.4, PastSelves(1))]
    with pytest.raises(ValueError, match="sum is at most 1.*Received: 1.1"):
        AgainstPartners(Naive(), pool)
    AgainstPartners(Naive(), [(0.1, PastSelves(1))] * 10)


@pytest.mark.parametrize(
    "pool", [None, PastSelves(1), [PastSelves(1)], [(0.5, Naive())], [(0.5,)]]
)
def test_a_pool_is_a_list_of_pairs(pool):
    with pytest.raises(TypeError, match="`pool` must be a list of pairs"):
        AgainstPartners(Naive(), pool)


def test_a_draw_needs_a_seed():
    learner = AgainstPartners(Naive(), [(0.5, PastSelves(1))])
    with pytest.raises(ValueError, match="`seed` must be an int32 tensor"):
        learner.gradient(exact(), params_of(1), 0)


def test_a_partner_that_does_not_fit_its_seat_is_refused():
    game = dice_tf.games.iterated_matrix_game(np.zeros((2, 3, 3)), 2)
    policy = dice_tf.policies.tabular(game, 1)
    learner = AgainstPartners(Naive(), [(1.0, FixedPolicies([None, policy]))])
    with pytest.raises(ValueError, match=r"`policies\[1\]` .* must take obs"):
        learner.gradient(exact(), params_of(1), 0)
    with pytest.raises(ValueError, match=r"`policies\[1\]` of partners must"):
        learner.gradient(exact(), params_of(1), 1)
    learner = AgainstPartners(
        Naive(), [(1.0, FixedPolicies([None, bot(), None]))]
    )
    with pytest.raises(ValueError, match="each of 2 players. Received 3"):
        learner.init(params_of(1))
    learner = AgainstPartners(Naive(), [(1.0, PastSelves(2, seats=[2]))])
    with pytest.raises(ValueError, match="player_id"):
        learner.init(params_of(1))


@pytest.mark.parametrize("source", [PastSelves(2), NaiveLearners(0.1)])
def test_a_state_of_other_shapes_is_refused(source):
    learner = AgainstPartners(Naive(), [(0.5, source)])
    state = learner.init(places(1.0, [2.0, 3.0]))
    with pytest.raises(ValueError, match=r"`params\[1\]` must hold tensors of"):
        learner.step(product(), places(1.0, 2.0), 0, SEED, state)


def test_fixed_policies_are_models_with_finite_weights():
    with pytest.raises(TypeError, match="`policies` must be a list with one"):
        FixedPolicies([None, "tit_for_tat"])
    with pytest.raises(ValueError, match="at least one policy"):
        FixedPolicies([None, None])
    unbuilt = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"`policies\[1\]`.*no weights yet"):
        FixedPolicies([None, unbuilt])
    policy = bot()
    policy.set_weights([np.nan * x for x in policy.get_weights()])
    with pytest.raises(ValueError, match=r"`policies\[1\]`.*must give finite"):
        FixedPolicies([None, policy])


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: PastSelves(0), "`capacity` must be"),
        (lambda: PastSelves(1, push_every=0), "`push_every` must be"),
        (lambda: PastSelves(1, seats=[-1]), "`seats` must be"),
        (lambda: NaiveLearners(-1.0), "`learning_rate` must be"),
        (lambda: NaiveLearners(0.1, restart_every=0), "`restart_every` must"),
        (
            lambda: AgainstPartners(Naive(), [], num_draws=0),
            "`num_draws` must be",
        ),
    ],
)
def test_numbers_are_in_their_range(build, message):
    with pytest.raises(ValueError, match=message):
        build()
    with pytest.raises(TypeError, match="`seats` must be a list of the seats"):
        PastSelves(1, seats=[])
    with pytest.raises(TypeError, match="`learner` must be a dice_tf"):
        AgainstPartners(None, [])

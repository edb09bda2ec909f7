"""Which part of a direction shapes, for every learner on every objective."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.diagnostics import MeasuredShaping, shaping_share
from dice_tf.learners import (
    COLA,
    HOLA,
    LOLA,
    LOQA,
    MAML,
    POLA,
    SOS,
    ActorCritic,
    AdvantageAlignment,
    CompetitiveGradientDescent,
    Consensus,
    Extragradient,
    LocalSymplecticSurgery,
    LOLADiCE,
    LOLAFullGradient,
    LookAhead,
    Mixture,
    Naive,
    OutputSpace,
    SymplecticGradientAdjustment,
)
from dice_tf.objectives import (
    DiCEObjective,
    ExactObjective,
    FiniteTasks,
    FunctionObjective,
    SampledTasks,
    SurrogateObjective,
)
from dice_tf.opponent_models import OpponentModelling
from dice_tf.seeds import split_seed, uniform
from tests.learners import oracles
from tests.learners.settings import make, vector
from tests.learners.test_closed_forms import CASES, RATES, TAKE_RATES
from tests.recurrent import gru_policies, small_game
from tests.toys import (
    ASYMMETRIC,
    exact_objective,
    random_params,
    tabular_policies,
)

RATE = 0.4
# Every learner; whether it shapes; whether it needs the whole Jacobian.
LEARNERS = {
    "naive": (Naive(), False, False),
    "actor_critic": (ActorCritic(), False, False),
    "advantage_alignment": (AdvantageAlignment(), True, False),
    # It shapes, but by no derivative of a value: tests/learners/test_loqa.py.
    "loqa": (LOQA(), False, False),
    "look_ahead": (LookAhead(RATE), False, False),
    "lola": (LOLA(RATE), True, False),
    "lola_full_gradient": (LOLAFullGradient(RATE), True, False),
    "sos": (SOS(RATE), True, False),
    "sos_0": (SOS(RATE, p=0.0), False, False),
    "lola_dice_1": (LOLADiCE(1, RATE), True, False),
    "lola_dice_2": (LOLADiCE(2, RATE), True, False),
    "hola_2": (HOLA(2, RATE), True, False),
    # Its networks are fitted anew, by another loss, with opponents held still.
    "cola": (
        COLA(RATE, batch_size=2, num_steps=2, learning_rate=0.1),
        True,
        False,
    ),
    "pola": (
        POLA(
            2,
            0.1,
            1.0,
            num_lookaheads=1,
            inner_learning_rate=RATE,
            inner_penalty=0.5,
        ),
        True,
        False,
    ),
    "maml": (MAML(1, RATE), False, False),
    "mixture": (
        Mixture([(0.6, LOLADiCE(1, RATE)), (0.4, Naive())]),
        True,
        False,
    ),
    "extragradient": (Extragradient(RATE), False, False),
    "consensus": (Consensus(RATE), True, False),
    "symplectic": (SymplecticGradientAdjustment(RATE), True, False),
    "competitive": (CompetitiveGradientDescent(RATE), True, True),
    "locally_stable": (LocalSymplecticSurgery(), True, True),
    "output_space": (
        OutputSpace(LOLADiCE(1, RATE), num_observations=6),
        True,
        False,
    ),
}
OBJECTIVES = ("exact", "sampled", "recurrent")
# Learners that need play, and those that need exact values: on sampled play
# LOQA needs critics.
PLAYING = ("actor_critic", "advantage_alignment")
CALCULATING = ("loqa", "cola")
PAIRS = [
    (name, kind)
    for name in LEARNERS
    for kind in OBJECTIVES
    if name not in (*CALCULATING, *PLAYING)
    or (kind == "exact") == (name in CALCULATING)
]


def test_every_learner_of_the_library_is_here():
    names = {type(learner).__name__ for learner, _, _ in LEARNERS.values()}
    abstract = {"Learner", "LearnerStep", "InnerRates"}
    public = {
        name
        for name in dice_tf.learners.__all__
        if isinstance(getattr(dice_tf.learners, name), type)
        and issubclass(
            getattr(dice_tf.learners, name), dice_tf.learners.Learner
        )
    }
    assert names == public - abstract


@functools.cache
def objective_of(kind):
    if kind == "recurrent":
        game = small_game()
        return DiCEObjective(game, gru_policies(game, 1), 0.9, 4)
    if kind == "exact":
        objective = exact_objective(ASYMMETRIC, 0.9, 3)
    else:
        game = dice_tf.games.iterated_matrix_game(
            ASYMMETRIC, 3, dtype="float64"
        )
        objective = DiCEObjective(game, tabular_policies(game), 0.9, 8)
    params = random_params(objective.policies, 3)
    for policy, weights in zip(objective.policies, params, strict=True):
        policy.set_weights(weights)
    return objective


@pytest.fixture
def eager():
    """Small as the games are, tracing a graph takes longer than the play."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name, kind", PAIRS)
def test_every_learner_has_a_share_on_every_objective(name, kind):
    """It is 0 for learners that do not shape: the directions are the same.

    `MeasuredShaping` finds the share of a step, with the same play.
    """
    learner, shapes, _ = LEARNERS[name]
    objective, seed = objective_of(kind), (1, 2)
    measure = functools.partial(
        shaping_share, learner, objective, 0, num_repetitions=1, seed=seed
    )
    measured = MeasuredShaping(learner)
    params = objective.initial_params()
    step = functools.partial(
        measured.step, objective.bind(), params, 0, split_seed(seed, 1)[0]
    )
    found = measure()
    if shapes:
        assert 1e-9 < found.share < np.inf
    else:
        assert found.share == 0.0
    share = float(step(measured.init(params)).state.share)
    assert share == pytest.approx(found.share, rel=1e-6)


# --- Closed forms -----------------------------------------------------------


def held_still(at, i):
    """Derivatives of a game in which opponents take theta_i for a constant."""
    G = [list(row) for row in at.G]
    H = [[list(row) for row in rows] for rows in at.H]
    for j in at.others(i):
        G[j][i] = np.zeros_like(G[j][i])
        for k in at.players:
            H[j][i][k] = np.zeros_like(H[j][i][k])
            H[j][k][i] = np.zeros_like(H[j][k][i])
    return oracles.Derivatives(G, H)


@functools.cache
def setting_of(name):
    return make(name)


def measure_at(setting, learner, player_id):
    return shaping_share(
        learner,
        setting.objective,
        player_id,
        params=setting.params,
        num_repetitions=1,
    )


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "game, player_id",
    [("quadratic_2", 0), ("quadratic_3", 1), ("matrix_2", 1), ("matrix_3", 2)],
)
@pytest.mark.parametrize("name", CASES)
def test_both_directions_are_those_of_the_definition(name, game, player_id):
    """The formulas of the papers, with the opponents' derivatives taken out."""
    setting = setting_of(game)
    rates = RATES[: len(setting.params)]
    build, oracle = CASES[name]
    learner = build(rates) if name in TAKE_RATES else build()
    found = measure_at(setting, learner, player_id)
    direction = oracle(setting.at, player_id, rates)
    still = oracle(held_still(setting.at, player_id), player_id, rates)
    tolerance = 1e-10 if game.startswith("quadratic") else 2e-6
    options = {"rtol": tolerance, "atol": tolerance}
    np.testing.assert_allclose(vector(found.direction), direction, **options)
    np.testing.assert_allclose(vector(found.held_constant), still, **options)
    share = np.linalg.norm(direction - still) / np.linalg.norm(direction)
    assert found.share == pytest.approx(share, rel=1e-5, abs=1e-12)


def chi(at, i, rates):
    """The shaping term of LOLA, equation 2 of Letcher et al. 2019."""
    return sum(rates[j] * at.H[j][j][i].T @ at.G[i][j] for j in at.others(i))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_the_share_of_sos_is_p_times_the_shaping_term(p):
    setting = setting_of("quadratic_3")
    found = measure_at(setting, SOS(RATES, p=p), 1)
    term = p * np.linalg.norm(chi(setting.at, 1, RATES))
    expected = term / np.linalg.norm(vector(found.direction))
    assert found.share == pytest.approx(expected, rel=1e-10)
    assert (found.share > 0) == (p > 0)


@pytest.mark.usefixtures("eager")
def test_opponents_that_are_held_still_do_not_shape_in_turn():
    """HOLA(2) of a quadratic game, step by step."""
    setting = setting_of("quadratic_2")
    Q, r = setting.oracle.Q, setting.oracle.r
    mine, theirs, rate = slice(0, 2), slice(2, 5), 0.4
    moved = setting.theta.copy()
    moved[mine] += rate * setting.at.G[0][0]
    reached = setting.theta.copy()
    reached[theirs] += rate * (Q[1] @ moved + r[1])[theirs]
    found = measure_at(setting, HOLA(2, rate), 0)
    expected = (Q[0] @ reached + r[0])[mine]
    np.testing.assert_allclose(
        vector(found.held_constant), expected, rtol=1e-10
    )


# --- Families of tasks, models of opponents, and training -------------------


def family_of(kind):
    """Two tasks, and parameters to adapt from."""
    if kind == "finite":
        first = objective_of("exact")
        game = dice_tf.games.iterated_matrix_game(
            2 * ASYMMETRIC, 3, dtype="float64"
        )
        family = FiniteTasks([first, ExactObjective(game, first.policies, 0.9)])
        return family, family.initial_params()
    family = SampledTasks(
        lambda goal: FunctionObjective(
            [lambda params: -tf.reduce_sum((params[0][0] - goal) ** 4)]
        ),
        lambda seed, num_tasks: uniform(seed, [num_tasks, 2], tf.float64),
        num_tasks=2,
    )
    return family, [[tf.constant([0.3, 1.4], tf.float64)]]


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("kind", ["finite", "sampled"])
def test_maml_on_a_family_adapts_to_each_task(kind):
    family, params = family_of(kind)
    # What the first repetition draws from.
    learner, seed = MAML(1, 0.3), split_seed((1, 2), 1)[0]
    found = shaping_share(
        learner, family, 0, params=params, num_repetitions=1, seed=(1, 2)
    )
    assert found.share == 0.0
    # To each of the tasks, and not to their mean.
    expected = learner.gradient(family, params, 0, seed)[0]
    np.testing.assert_allclose(found.held_constant[0], expected, rtol=1e-9)
    of_the_mean = learner.gradient(MeanTask(family), params, 0, seed)[0]
    assert np.abs(of_the_mean - expected).max() > 1e-3


class MeanTask(dice_tf.objectives.Objective):
    """A family that is taken for one task."""

    def __init__(self, family):
        self.family = family
        self.num_players = family.num_players

    def _values(self, params, seed, state):
        return self.family(params, seed, state)


@pytest.mark.usefixtures("eager")
def test_a_learner_with_models_of_its_opponents_has_a_share():
    objective = objective_of("sampled")
    model = dice_tf.policies.tabular(objective.game, 1)
    for inner, shapes in ((LOLADiCE(1, RATE), True), (LookAhead(RATE), False)):
        learner = OpponentModelling(inner, [None, model], num_steps=1)
        found = shaping_share(learner, objective, 0, num_repetitions=2)
        assert np.all((found.shares > 1e-4) == shapes)
        # The play, and so the models, are the same.
        if not shapes:
            np.testing.assert_array_equal(found.shares, [0.0, 0.0])


@pytest.mark.usefixtures("eager")
def test_it_works_with_models_that_have_memory():
    objective = objective_of("recurrent")
    model = gru_policies(objective.game, 1)[1]
    learner = OpponentModelling(LOLADiCE(1, RATE), [None, model], num_steps=1)
    found = shaping_share(learner, objective, 0, num_repetitions=1)
    assert found.share > 1e-5


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_a_trainer_logs_the_share_of_its_learners(kind):
    """Of all learners on exact values; of those with memory of three."""
    objective = objective_of(kind)
    names = [name for name, fits in PAIRS if fits == kind]
    if kind != "exact":
        names = ["lola_dice_1", "look_ahead", "advantage_alignment"]
    for name in names:
        learner, shapes, _ = LEARNERS[name]
        trainer = dice_tf.Trainer(objective, [MeasuredShaping(learner), None])
        trainer.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
        logs = trainer.fit(verbose=0).history
        (share,) = logs["player_0/shaping_share"]
        assert (share > 1e-6) == shapes, name


def test_a_trainer_logs_the_share_beside_what_is_measured_inside():
    objective = objective_of("sampled")
    models = [None, dice_tf.policies.tabular(objective.game, 1)]
    learner = OpponentModelling(LOLADiCE(1, RATE), models, num_steps=1)
    trainer = dice_tf.Trainer(objective, [MeasuredShaping(learner), None])
    trainer.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    logs = trainer.fit(verbose=0).history
    assert logs["player_0/shaping_share"][0] > 1e-4
    assert "player_0/model/return" in logs


@pytest.mark.usefixtures("eager")
def test_the_surrogate_leaves_no_shaping_term_to_a_model_of_opponents():
    game = objective_of("sampled").game
    objective = SurrogateObjective(game, tabular_policies(game), 0.9, 8)
    models = [None, dice_tf.policies.tabular(game, 1)]
    learner = OpponentModelling(LOLADiCE(1, RATE), models, num_steps=1)
    assert shaping_share(learner, objective, 0, num_repetitions=1).share == 0.0


def test_a_player_without_parameters_has_no_share():
    game = objective_of("exact").game
    policies = [
        dice_tf.policies.tit_for_tat(game, 0),
        dice_tf.policies.tabular(game, 1),
    ]
    objective = ExactObjective(game, policies, 0.9)
    found = shaping_share(Naive(), objective, 0, num_repetitions=2)
    assert found.direction == []
    assert found.share == 0.0
    learner, params = MeasuredShaping(Naive()), objective.initial_params()
    step = learner.step(objective, params, 0, None, learner.init(params))
    assert step.state.share == 0.0

"""The trainer.

Compiling a step takes seconds, so that tests share what they train, and use
the cheapest objective that shows what they claim.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf import Trainer
from dice_tf.learners import Learner, LearnerStep, LOLADiCE, Naive
from dice_tf.objectives import DiCEObjective, ExactObjective, FunctionObjective
from dice_tf.policies import initial_params
from tests import oracles
from tests.toys import (
    ASYMMETRIC,
    exact_objective,
    random_params,
    tabular_policies,
)

pytestmark = pytest.mark.own_process


def fit(trainer, steps=1, epochs=1, **arguments):
    return trainer.fit(
        steps_per_epoch=steps, epochs=epochs, verbose=0, **arguments
    )


def sgd(rate=0.1):
    return keras.optimizers.SGD(rate)


def params_of(trainer, run=0):
    """All players' parameters of one run, as arrays."""
    return [
        [variable.numpy()[run] for variable in player.params]
        for player in trainer.players
    ]


def sampled_objective(length=3, batch_size=8, **arguments):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, length)
    return DiCEObjective(
        game, tabular_policies(game), 0.9, batch_size, **arguments
    )


# V_0 = -(x - 1)^2 + x y, V_1 = -2 (y + 1)^2 - x y, and what they are traced.
TRACES = []


def quadratic_objective():
    def first(params):
        TRACES.append("traced")
        x, y = params[0][0], params[1][0]
        return -((x - 1.0) ** 2) + x * y

    def second(params):
        x, y = params[0][0], params[1][0]
        return -2.0 * (y + 1.0) ** 2 - x * y

    return FunctionObjective([first, second])


def quadratic_values(x, y):
    return -((x - 1) ** 2) + x * y, -2 * (y + 1) ** 2 - x * y


STARTS = [[[0.5], [0.2]], [[-1.0], [2.0]], [[3.0], [-0.7]]]


def quadratic_trainer(num_seeds=3, learners=None, compiled=True, **arguments):
    trainer = Trainer(
        quadratic_objective(),
        learners or [Naive(), Naive()],
        num_seeds=num_seeds,
        initial_params=np.float32(STARTS[:num_seeds]),
        **arguments,
    )
    if compiled:
        trainer.compile(sgd(), jit_compile=False)
    return trainer


# --- One step ---------------------------------------------------------------


@pytest.fixture(scope="module")
def one_step():
    """One step of different players, with a bonus and clipping, two runs."""
    objective = exact_objective(ASYMMETRIC, 0.9, 3)
    starts = [random_params(objective.policies, run) for run in range(2)]
    trainer = Trainer(
        objective,
        [LOLADiCE(1, 1.5), Naive()],
        num_seeds=2,
        initial_params=starts,
        entropy_coefficient=(0.3, 0.0),
        max_gradient_norm=(None, 0.05),
    )
    trainer.compile([sgd(0.5), sgd(2.0)], jit_compile=False)
    history = fit(trainer)
    return objective, starts, trainer, history


def directions_of(objective, start):
    """What the learners alone would do, and the gradients of entropies."""
    params = [[tf.constant(arrays[0])] for arrays in start]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(params)
        play = objective.play(params, None)
    bonuses = [
        tape.gradient(play.entropies[i], params[i][0]).numpy() for i in range(2)
    ]
    learners = (LOLADiCE(1, 1.5), Naive())
    directions = [
        learners[i].gradient(objective, params, i)[0].numpy() for i in range(2)
    ]
    return directions, bonuses, play


def test_all_players_move_from_one_snapshot(one_step):
    """By a rate times the direction of each learner, where all began."""
    objective, starts, trainer, _ = one_step
    for run, start in enumerate(starts):
        directions, bonuses, _ = directions_of(objective, start)
        moved = params_of(trainer, run)
        # The entropy of player 0 is added to its value.
        expected = start[0][0] + 0.5 * (directions[0] + 0.3 * bonuses[0])
        np.testing.assert_allclose(moved[0][0], expected, atol=1e-7)
        assert np.abs(bonuses[0]).max() > 1e-2
        # The direction of player 1 is clipped, each run by itself.
        norm = np.linalg.norm(directions[1])
        assert norm > 0.05
        expected = start[1][0] + 2.0 * 0.05 * directions[1] / norm
        np.testing.assert_allclose(moved[1][0], expected, atol=1e-7)


def test_players_move_one_after_the_other_if_asked_to():
    """Each from where those before it have moved to; reported is the start."""
    trainer = quadratic_trainer(
        2, [Naive(), LOLADiCE(1, 0.3)], compiled=False, updates="alternating"
    )
    trainer.compile([sgd(0.1), sgd(0.2)], jit_compile=False)
    fit(trainer)
    objective = quadratic_objective()
    for run in range(2):
        params = [[tf.constant(x)] for x in np.float32(STARTS[run])]
        params = [[arrays[0][0]] for arrays in params]
        np.testing.assert_allclose(
            trainer.curves[0, run],
            quadratic_values(*(float(arrays[0]) for arrays in params)),
            rtol=1e-5,
        )
        for player_id, (learner, rate) in enumerate(
            [(Naive(), 0.1), (LOLADiCE(1, 0.3), 0.2)]
        ):
            (direction,) = learner.gradient(objective, params, player_id)
            params[player_id] = [params[player_id][0] + rate * direction]
        np.testing.assert_allclose(
            [arrays[0] for arrays in params_of(trainer, run)],
            [float(arrays[0]) for arrays in params],
            rtol=1e-5,
        )


def test_each_turn_is_played_anew():
    """With the same numbers the second player would see the first's noise."""

    class Remembers(Naive):
        def __init__(self):
            self.seeds = []

        def step(self, objective, params, player_id, seed, state):
            self.seeds.append(tuple(np.asarray(seed)))
            return super().step(objective, params, player_id, seed, state)

    learners = [Remembers(), Remembers()]
    trainer = quadratic_trainer(
        1, learners, compiled=False, updates="alternating"
    )
    trainer.compile([sgd(), sgd()], jit_compile=False, run_eagerly=True)
    fit(trainer, steps=3)
    seeds = learners[0].seeds + learners[1].seeds
    assert len(seeds) == 6 == len(set(seeds))


def test_turns_need_an_optimizer_each():
    with pytest.raises(ValueError, match="`updates` must be one of 'simult"):
        quadratic_trainer(1, updates="random")
    with pytest.raises(ValueError, match="a list with one optimiser per"):
        quadratic_trainer(1, updates="alternating")


def test_an_epoch_is_a_whole_number_of_calls():
    trainer = quadratic_trainer(1, compiled=False)
    trainer.compile(sgd(), steps_per_execution=4)
    with pytest.raises(ValueError, match="multiple of steps_per_execution=4"):
        fit(trainer, steps=6)
    assert trainer.iterations == 0


def test_scalars_are_means_over_runs_before_the_step(one_step):
    objective, starts, _, history = one_step
    found = {name: values[0] for name, values in history.history.items()}
    results = [directions_of(objective, start) for start in starts]
    for i in range(2):
        returns = [0.1 * float(play.values[i]) for _, _, play in results]
        entropies = [float(play.entropies[i]) for _, _, play in results]
        norms = [
            np.linalg.norm(directions[i] + (0.3 * bonus[i] if i == 0 else 0.0))
            for directions, bonus, _ in results
        ]
        for name, expected in (
            ("return", returns),
            ("entropy", entropies),
            ("gradient_norm", norms),
        ):
            np.testing.assert_allclose(
                found.pop(f"player_{i}/{name}"), np.mean(expected), rtol=1e-5
            )
    values = [play.values for _, _, play in results]
    np.testing.assert_allclose(
        found.pop("joint/return"), 0.1 * np.mean(values), rtol=1e-5
    )
    np.testing.assert_allclose(
        found.pop("loss"), -0.1 * np.mean(values), rtol=1e-5
    )
    assert found == {}


def test_a_direction_below_its_maximum_is_not_clipped():
    trainer = quadratic_trainer(1, max_gradient_norm=1e3)
    fit(trainer)
    x, y = 0.5, 0.2
    expected = x + 0.1 * (-2 * (x - 1) + y), y + 0.1 * (-4 * (y + 1) - x)
    np.testing.assert_allclose(
        np.ravel(params_of(trainer)), expected, rtol=1e-6
    )


def test_a_maximum_of_0_stops_a_player():
    trainer = quadratic_trainer(1, max_gradient_norm=(0.0, None))
    fit(trainer, 2)
    assert params_of(trainer)[0][0] == np.float32(0.5)
    assert params_of(trainer)[1][0] != np.float32(0.2)


# --- Curves, logs and epochs ------------------------------------------------


@pytest.fixture(scope="module")
def quadratic_run():
    trainer = quadratic_trainer()
    traces = len(TRACES)
    counts = []

    class CountTraces(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            counts.append(len(TRACES) - traces)

    history = fit(trainer, 4, 3, callbacks=[CountTraces()])
    again = fit(trainer, 4, 5, initial_epoch=3, callbacks=[CountTraces()])
    return trainer, history, again, counts


def test_curves_hold_every_iteration_run_and_player(quadratic_run):
    trainer = quadratic_run[0]
    assert trainer.iterations == 20
    assert trainer.curves.shape == (20, 3, 2)
    for run in range(3):
        x, y = STARTS[run][0][0], STARTS[run][1][0]
        for iteration in range(20):
            # Of the players before their update.
            np.testing.assert_allclose(
                trainer.curves[iteration, run],
                quadratic_values(x, y),
                rtol=1e-4,
                atol=1e-4,
            )
            x, y = (
                x + 0.1 * (-2 * (x - 1) + y),
                y + 0.1 * (-4 * (y + 1) - x),
            )


def test_history_holds_means_over_steps_and_runs(quadratic_run):
    trainer, history, again, _ = quadratic_run
    assert history.epoch == [0, 1, 2] and again.epoch == [3, 4]
    curves = trainer.curves.reshape(5, 4, 3, 2)
    joint = history.history["joint/return"] + again.history["joint/return"]
    np.testing.assert_allclose(joint, curves.mean(axis=(1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(
        history.history["player_1/return"],
        curves[:3, ..., 1].mean(axis=(1, 2)),
        rtol=1e-5,
    )


def test_nothing_is_traced_again_after_the_first_epoch(quadratic_run):
    counts = quadratic_run[-1]
    assert counts[0] > 0 and set(counts) == {counts[0]}


def test_callbacks_work_as_they_do_in_keras(tmp_path):
    trainer = quadratic_trainer()
    checkpoint = str(tmp_path / "{epoch}.weights.h5")
    history = fit(
        trainer,
        2,
        20,
        callbacks=[
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.ModelCheckpoint(checkpoint, save_weights_only=True),
            keras.callbacks.EarlyStopping(
                "joint/return", mode="max", patience=2, min_delta=1e3
            ),
        ],
    )
    assert history.epoch == [0, 1, 2]
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert len(lines) == 4 and "joint/return" in lines[0]
    other = quadratic_trainer()
    other.load_weights(tmp_path / "2.weights.h5")
    np.testing.assert_array_equal(other.curves, trainer.curves[:4])


def test_steps_per_execution_and_eager_steps_change_nothing(quadratic_run):
    expected = quadratic_run[0].curves[:4]
    several = quadratic_trainer(compiled=False)
    several.compile(sgd(), jit_compile=False, steps_per_execution=2)
    eager = quadratic_trainer(compiled=False)
    eager.compile(sgd(), run_eagerly=True)
    for trainer in (several, eager):
        fit(trainer, 4)
        np.testing.assert_allclose(trainer.curves, expected, rtol=1e-5)


# --- Runs and seeds ---------------------------------------------------------

RUNS = 10


@functools.cache
def sampled_runs(num_seeds, seed, jit_compile, steps_per_execution=1):
    objective = sampled_objective()
    trainer = Trainer(
        objective,
        [LOLADiCE(1, 0.5), Naive()],
        num_seeds=num_seeds,
        seed=seed,
        initial_params="random",
    )
    trainer.compile(
        sgd(0.3),
        jit_compile=jit_compile,
        steps_per_execution=steps_per_execution,
    )
    history = fit(trainer, RUNS)
    return trainer, objective, history


def test_a_run_is_the_same_whatever_the_number_of_runs():
    """Vectorised or alone, compiled by XLA or not."""
    three = sampled_runs(3, 11, False)[0]
    five = sampled_runs(5, 10, False)[0]
    alone = sampled_runs(1, 12, True)[0]
    np.testing.assert_allclose(
        three.curves, five.curves[:, 1:4], rtol=0, atol=1e-5
    )
    np.testing.assert_allclose(
        alone.curves, five.curves[:, 2:3], rtol=0, atol=1e-5
    )
    for arrays, others in zip(
        params_of(alone), params_of(five, 2), strict=True
    ):
        np.testing.assert_allclose(arrays[0], others[0], rtol=0, atol=1e-5)
    # The runs are not copies of one.
    assert np.all(np.std(five.curves, axis=1) > 0)


def test_one_program_of_several_steps_makes_the_same_steps():
    """Each with the seed of its iteration, in each of the runs."""
    one, _, expected = sampled_runs(3, 11, False)
    trainer, objective, history = sampled_runs(3, 11, True, 5)
    assert trainer.steps_per_program == 5
    assert trainer.iterations == RUNS
    np.testing.assert_allclose(trainer.curves, one.curves, rtol=0, atol=1e-5)
    for run in range(3):
        for arrays, other in zip(
            params_of(trainer, run), params_of(one, run), strict=True
        ):
            np.testing.assert_allclose(arrays[0], other[0], rtol=0, atol=1e-5)
    for name, values in expected.history.items():
        np.testing.assert_allclose(history.history[name], values, atol=1e-4)
    np.testing.assert_array_equal(
        objective.policies[0].get_weights()[0], params_of(trainer, 0)[0][0]
    )


def test_the_same_seed_gives_the_same_curves_twice():
    first = sampled_runs(1, 12, True)[0]
    second = sampled_runs.__wrapped__(1, 12, True)[0]
    np.testing.assert_array_equal(first.curves, second.curves)


def runs_in_turns(num_seeds, seed):
    trainer = Trainer(
        sampled_objective(),
        [Naive(), Naive()],
        num_seeds=num_seeds,
        seed=seed,
        initial_params="random",
        updates="alternating",
    )
    trainer.compile([sgd(), sgd()], jit_compile=False)
    fit(trainer, 3)
    return trainer


@pytest.mark.parametrize("seed", [2**31 - 1, 2**127 + 5])
def test_seeds_are_whole_numbers_of_any_size(seed):
    """Run 1 of a seed is the run of the next number, in all that is drawn."""
    pair = runs_in_turns(2, seed)
    alone = [runs_in_turns(1, seed), runs_in_turns(1, seed + 1)]
    for run, trainer in enumerate(alone):
        np.testing.assert_allclose(
            pair.curves[:, run], trainer.curves[:, 0], atol=1e-5
        )
    opponents = {"random": dice_tf.policies.random}
    found = pair.evaluate(opponents, batch_size=64)
    matches = [x.evaluate(opponents, batch_size=64) for x in alone]
    for name, value in found.items():
        assert matches[0][name] != matches[1][name]
        expected = np.mean([returns[name] for returns in matches])
        np.testing.assert_allclose(value, expected, atol=1e-5)
    lines = []
    pair.summary(print_fn=lines.append)
    assert f"2 runs (seeds {seed} to {seed + 1})" in lines[0]


def test_runs_start_from_parameters_drawn_from_their_seed():
    objective = sampled_objective()
    frozen = objective.policies[1].get_weights()
    trainer = Trainer(objective, [Naive(), None], num_seeds=3, seed=20)
    for run in range(3):
        params = params_of(trainer, run)
        expected = initial_params(objective.policies[0], [20 + run, 0])
        np.testing.assert_array_equal(params[0][0], expected[0])
        # A frozen player keeps its own.
        np.testing.assert_array_equal(params[1][0], frozen[0])


def test_a_single_run_starts_from_the_current_parameters():
    objective = sampled_objective()
    current = [policy.get_weights() for policy in objective.policies]
    trainer = Trainer(objective, [Naive(), Naive()])
    for arrays, expected in zip(params_of(trainer), current, strict=True):
        np.testing.assert_array_equal(arrays[0], expected[0])


def test_policies_hold_and_follow_the_run_that_was_loaded():
    trainer, objective, _ = sampled_runs(3, 11, False)
    for run in (0, 2, 1):
        trainer.load_run(run)
        for policy, arrays in zip(
            objective.policies, params_of(trainer, run), strict=True
        ):
            np.testing.assert_array_equal(policy.get_weights()[0], arrays[0])
    before = objective.policies[0].get_weights()[0]
    fit(trainer, RUNS + 1, RUNS + 2, initial_epoch=RUNS + 1)
    after = objective.policies[0].get_weights()[0]
    np.testing.assert_array_equal(after, params_of(trainer, 1)[0][0])
    assert np.any(before != after)


def test_at_first_the_policies_hold_the_first_run():
    objective = sampled_objective()
    trainer = Trainer(objective, [Naive(), Naive()], num_seeds=3)
    for policy, arrays in zip(
        objective.policies, params_of(trainer), strict=True
    ):
        np.testing.assert_array_equal(policy.get_weights()[0], arrays[0])


# --- Players that differ ----------------------------------------------------


@pytest.mark.parametrize("optimizer", ["shared", "list"])
def test_a_frozen_player_stands_still(optimizer):
    trainer = quadratic_trainer(2, [Naive(), None], compiled=False)
    trainer.compile(
        sgd() if optimizer == "shared" else [sgd(), None], jit_compile=False
    )
    fit(trainer, 3)
    moved, frozen = trainer.players
    assert np.all(moved.params[0].numpy() != np.float32([[0.5], [-1.0]]))
    np.testing.assert_array_equal(
        frozen.params[0].numpy().ravel(), np.float32([0.2, 2.0])
    )


def test_each_player_may_have_an_optimizer_of_its_own():
    trainer = quadratic_trainer(1, compiled=False)
    trainer.compile([sgd(0.1), keras.optimizers.Adam(0.2)], jit_compile=False)
    fit(trainer)
    x, y = 0.5, 0.2
    (first,), (second,) = params_of(trainer)
    np.testing.assert_allclose(first, x + 0.1 * (-2 * (x - 1) + y), rtol=1e-6)
    # The first step of Adam is of the length of its rate.
    np.testing.assert_allclose(second, y - 0.2, atol=1e-5)


class Slowing(Learner):
    """Ascends its own gradient, divided by the number of steps made."""

    def init(self, params):
        return {"count": tf.zeros([])}

    def step(self, objective, params, player_id, seed, state):
        count = state["count"] + 1.0
        (gradient,) = Naive().gradient(objective, params, player_id, seed)
        return LearnerStep([gradient / count], {"count": count})


@pytest.mark.parametrize("num_seeds", [1, 3])
def test_a_learner_remembers_from_step_to_step(num_seeds):
    trainer = quadratic_trainer(num_seeds, [Slowing(), Slowing()])
    fit(trainer, 3)
    for run in range(num_seeds):
        x, y = STARTS[run][0][0], STARTS[run][1][0]
        for count in (1, 2, 3):
            x, y = (
                x + 0.1 * (-2 * (x - 1) + y) / count,
                y + 0.1 * (-4 * (y + 1) - x) / count,
            )
        found = np.ravel(params_of(trainer, run))
        np.testing.assert_allclose(found, [x, y], rtol=1e-5)


def test_parameters_keep_their_dtype():
    trainer = Trainer(
        quadratic_objective(),
        [LOLADiCE(1, 0.2), Naive()],
        initial_params=[[[np.float64(0.5)], [np.float64(0.2)]]],
    )
    trainer.compile(sgd(), jit_compile=False)
    fit(trainer)
    assert params_of(trainer)[0][0].dtype == np.float64


# --- Saving -----------------------------------------------------------------


def adam_trainer():
    objective = sampled_objective(2)
    trainer = Trainer(objective, [Naive(), None], num_seeds=2, seed=5)
    trainer.compile(keras.optimizers.Adam(0.1), jit_compile=False)
    return trainer


def test_training_continues_from_saved_weights_as_if_never_interrupted(
    tmp_path,
):
    """Parameters, optimiser, curves and random numbers, bit by bit."""
    path = tmp_path / "trainer.weights.h5"
    trainer = adam_trainer()
    fit(trainer, 3)
    trainer.save_weights(path)
    at_save = params_of(trainer, 1)
    fit(trainer, 3, 2, initial_epoch=1)

    restored = adam_trainer()
    restored.load_run(1)
    restored.load_weights(path)
    assert restored.iterations == 3
    np.testing.assert_array_equal(restored.curves, trainer.curves[:3])
    policy = restored.objective.policies[0]
    np.testing.assert_array_equal(policy.get_weights()[0], at_save[0][0])
    fit(restored, 3, 2, initial_epoch=1)
    np.testing.assert_array_equal(restored.curves, trainer.curves)
    for run in range(2):
        for arrays, other in zip(
            params_of(restored, run), params_of(trainer, run), strict=True
        ):
            np.testing.assert_array_equal(arrays[0], other[0])


# --- Critics ----------------------------------------------------------------


def test_critics_learn_the_values_of_the_policies():
    """With players that stand still: the mean value of each visited state."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 4)
    policies = tabular_policies(game)
    # Else they start from what others have left of Keras' own generator.
    for policy, start in zip(policies, random_params(policies, 3), strict=True):
        policy.set_weights(start)
    critics = [dice_tf.critics.tabular_critic(game, i) for i in range(2)]
    objective = DiCEObjective(
        game, policies, 0.9, 256, baseline="critic", critics=critics
    )
    trainer = Trainer(objective, [Naive(), Naive()])
    trainer.compile(
        sgd(0.0),
        critic_optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.InverseTimeDecay(0.5, 10, 1.0)
        ),
        jit_compile=False,
    )
    fit(trainer, 80)
    thetas = [policy.get_weights()[0] for policy in policies]
    visits = oracles.state_distributions(thetas, (2, 2), 4)
    values = np.array(
        [oracles.state_values(ASYMMETRIC, thetas, 0.9, 4 - t) for t in range(4)]
    )
    expected = np.sum(visits[..., np.newaxis] * values, axis=0)
    expected /= visits.sum(axis=0)[:, np.newaxis]
    joints = [*oracles.joint_actions((2, 2)), None]
    for i, player in enumerate(trainer.players):
        rows = [oracles.observation(joint, i, (2, 2)) for joint in joints]
        found = player.critic_params[0].numpy()[0, rows, 0]
        assert np.abs(expected[:, i]).max() > 0.5
        np.testing.assert_allclose(found, expected[:, i], atol=0.15)


# --- Policies of the user ---------------------------------------------------


@keras.saving.register_keras_serializable("tests.trainer")
class Subclassed(keras.Model):
    def __init__(self, units=8, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = keras.layers.Dense(units, activation="tanh")
        self.out = keras.layers.Dense(2)

    def call(self, observations):
        return self.out(self.hidden(observations))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def functional_model():
    observation = keras.Input((5,))
    hidden = keras.layers.Dense(8, activation="relu")(observation)
    skip = keras.layers.Concatenate()([hidden, observation])
    return keras.Model(observation, keras.layers.Dense(1)(skip))


@pytest.mark.parametrize("num_seeds", [1, 2])
@pytest.mark.parametrize("build", [functional_model, Subclassed])
def test_a_model_of_the_user_learns(build, num_seeds):
    """To defect, in the prisoner's dilemma, on one that cooperates."""
    game = dice_tf.games.iterated_prisoners_dilemma(3)
    policies = [build(), dice_tf.policies.always_cooperate(game, 1)]
    objective = DiCEObjective(game, policies, 0.9, 32)
    trainer = Trainer(objective, [Naive(), None], num_seeds=num_seeds)
    trainer.compile(keras.optimizers.Adam(0.1), jit_compile=False)
    fit(trainer, 25)
    # The best return is 0, (1 - .9^3) times the highest payoff.
    best, worst = 0.0, -(1 - 0.9**3)
    returns = trainer.curves[..., 0]
    assert np.all(returns[0] < 0.8 * best + 0.2 * worst)
    assert np.all(returns[-3:].mean(axis=0) > 0.9 * best + 0.1 * worst)


# --- Bad input --------------------------------------------------------------


def build(**changes):
    arguments = {
        "objective": sampled_objective(),
        "learners": [Naive(), Naive()],
        **changes,
    }
    return Trainer(**arguments)


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"objective": None}, TypeError, "`objective` must be a dice_tf.objec"),
        ({"learners": Naive()}, TypeError, "`learners` must be a list with on"),
        ({"learners": [Naive()]}, ValueError, "`learners` must have one entry"),
        (
            {"learners": [Naive(), "naive"]},
            TypeError,
            "`learners` must hold dice_tf.learners.Learner objects",
        ),
        ({"num_seeds": 0}, ValueError, "`num_seeds` must be at least 1"),
        ({"num_seeds": 2.0}, TypeError, "`num_seeds` must be a whole number"),
        ({"seed": -1}, ValueError, "`seed` must be at least 0"),
        (
            {"entropy_coefficient": -0.1},
            ValueError,
            "`entropy_coefficient` must be finite and at least 0",
        ),
        (
            {"entropy_coefficient": [0.1]},
            ValueError,
            "`entropy_coefficient` must have one entry for each of 2",
        ),
        (
            {"max_gradient_norm": "1"},
            TypeError,
            "`max_gradient_norm` must be a number",
        ),
        (
            {"initial_params": "zeros"},
            ValueError,
            "`initial_params` must be 'current', 'random' or one list",
        ),
        (
            {"initial_params": [[[], []]] * 2},
            ValueError,
            "`initial_params` must have one entry per run, 1. Received 2",
        ),
        (
            {"initial_params": [[[np.zeros((5, 1))], [np.zeros((4, 1))]]]},
            ValueError,
            r"like the policies' trainable variables: .* Received:.*\(4, 1\)",
        ),
        (
            {"initial_params": [[[np.zeros((5, 1))]]]},
            ValueError,
            "for 2 players. Received",
        ),
        (
            {"objective": quadratic_objective()},
            ValueError,
            "must be given for a FunctionObjective, which has no policies",
        ),
        (
            {
                "objective": quadratic_objective(),
                "initial_params": [[[1.0]]],
            },
            ValueError,
            "for 2 players. Received",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        build(**changes)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"epochs": 0}, ValueError, "`epochs` must be at least 1"),
        ({"steps_per_epoch": 0}, ValueError, "`steps_per_epoch` must be at le"),
        ({"steps_per_epoch": 1.5}, TypeError, "`steps_per_epoch` must be a wh"),
        ({"initial_epoch": -1}, ValueError, "`initial_epoch` must be at least"),
    ],
)
def test_lengths_that_make_no_sense_are_refused(arguments, error, message):
    trainer = quadratic_trainer(1)
    with pytest.raises(error, match=message):
        trainer.fit(**arguments)


def test_a_run_that_does_not_exist_is_refused():
    trainer = quadratic_trainer(3)
    with pytest.raises(ValueError, match="`run` must be below the number of r"):
        trainer.load_run(3)
    with pytest.raises(ValueError, match="`run` must be at least 0"):
        trainer.load_run(-1)


def test_the_objective_of_a_trainer_may_be_exact_and_infinite():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 1)
    objective = ExactObjective(game, tabular_policies(game), 0.9, None)
    trainer = Trainer(objective, [Naive(), Naive()])
    trainer.compile(sgd(0.0), jit_compile=False)
    fit(trainer)
    expected = [0.1 * float(v) for v in objective(objective.initial_params())]
    np.testing.assert_allclose(trainer.curves[0, 0], expected, rtol=1e-5)

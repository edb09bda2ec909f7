"""Trainers of one shape share a program, and nothing else."""

import copy
import gc
import threading
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.training import programs
from dice_tf.training.fingerprints import fingerprint
from dice_tf.training.loaded_code import LoadedCode
from tests.graphs import canonical
from tests.training.variants import (
    DIFFERENT,
    make_trainer,
    with_learner,
    with_optimizer,
)

pytestmark = pytest.mark.own_process

QUICK = {"hidden_units": ()}
SHARING = {
    "sampled": {"arguments": {}, "policy": QUICK},
    "runs": {"arguments": {}, "policy": QUICK, "num_seeds": 2},
    "critics": DIFFERENT["critics"] | {"policy": QUICK},
    "fitted rates": DIFFERENT["fitted rates"],
    "schedule": DIFFERENT["schedule"],
    "averages": DIFFERENT["averages"],
    "in turn": DIFFERENT["in turn"],
    "frozen": DIFFERENT["frozen"],
    "compiled steps": {
        "objective": dice_tf.objectives.ExactObjective,
        "policy": QUICK,
        **DIFFERENT["compiled steps"],
    },
}


@pytest.fixture(autouse=True)
def shared(monkeypatch):
    """The programs of the process, none of which are there yet."""
    shared = programs.Programs()
    monkeypatch.setattr("dice_tf.trainer.shared_program", shared.of)
    # The fixture itself has replaced a function.
    shared._code.has_changed()
    return shared


def trained(steps=2, **options):
    """Trains, by default what is traced fast."""
    if not options.keys() & {"arguments", "with_critics", "compiled"}:
        exact = dice_tf.objectives.ExactObjective
        options = {"objective": exact, "policy": QUICK} | options
    trainer = make_trainer(**{"initial_params": "random"} | options)
    trainer.fit(steps_per_epoch=steps, verbose=0)
    return trainer


def state_of(trainer):
    """All that training changes, as bytes."""
    snapshot = trainer.take_snapshot()
    return [
        np.asarray(x).tobytes() for x in [*snapshot.values, snapshot.curves]
    ]


def alone(monkeypatch, steps=2, **options):
    """What `trained` gives in a process without other trainers."""
    with monkeypatch.context() as patch:
        fresh = programs.Programs()
        patch.setattr("dice_tf.trainer.shared_program", fresh.of)
        return trained(steps, **options)


@pytest.mark.parametrize("name", SHARING)
def test_trainers_of_one_shape_share_and_train_as_alone(
    shared, monkeypatch, name
):
    """To the last bit, whoever came first."""
    options = SHARING[name]
    first, second = (trained(seed=seed, **options) for seed in (0, 1))
    assert shared.num_traced == 1
    assert state_of(first) != state_of(second)
    assert state_of(second) == state_of(alone(monkeypatch, seed=1, **options))


def test_a_sweep_has_one_program(shared):
    """Over seeds of any size and rates of an optimiser."""
    for number in range(8):
        optimizer = with_optimizer(keras.optimizers.Adam, 0.1 * (1 + number))
        trained(1, seed=2**40 + number, **optimizer)
    assert shared.num_traced == 1


@pytest.mark.parametrize(
    "names",
    [
        ("default", "payoffs", "zero"),
        ("activation", "activation set later"),
        ("default", "entropy", "more entropy", "norm"),
        ("default", "first decay", "clipvalue", "SGD"),
        ("LOLA-DiCE", "inner rate", "set later"),
        ("frozen", "the other frozen"),
    ],
)
def test_trainers_that_differ_do_not_share(shared, monkeypatch, names):
    trainers = [trained(**DIFFERENT[name]) for name in names]
    assert shared.num_traced == len(names)
    # The last one would have had most programs to mistake for its own.
    expected = alone(monkeypatch, **DIFFERENT[names[-1]])
    assert state_of(trainers[-1]) == state_of(expected)


@pytest.mark.parametrize("name", ["default", "critics", "LOLA-DiCE", "runs"])
def test_equal_fingerprints_are_equal_graphs(name):
    graphs, keys = [], []
    for seed in (0, 1):
        step = make_trainer(seed=seed, **DIFFERENT[name])._step
        keys.append(fingerprint(step).key)
        traced = tf.function(step.make_iterations, autograph=False)
        graphs.append(canonical(traced.get_concrete_function().graph))
    assert keys[0] == keys[1]
    assert graphs[0] == graphs[1]


def test_graphs_that_differ_are_told_apart():
    graphs = [
        canonical(
            tf.function(
                make_trainer(**DIFFERENT[name])._step.make_iterations,
                autograph=False,
            )
            .get_concrete_function()
            .graph
        )
        for name in ("default", "discount")
    ]
    assert graphs[0] != graphs[1]


def test_trainers_take_turns(shared, monkeypatch):
    made = [trained(1, seed=seed) for seed in range(2)]
    for epoch in range(1, 3):
        for trainer in made:
            trainer.fit(initial_epoch=epoch, epochs=epoch + 1, verbose=0)
    assert shared.num_traced == 1
    for seed, trainer in enumerate(made):
        assert state_of(trainer) == state_of(trained(3, seed=seed))


def test_steps_of_one_execution_are_calls_of_one_program(shared):
    one = trained(6)
    options = {"jit_compile": False, "steps_per_execution": 3}
    exact = dice_tf.objectives.ExactObjective
    several = trained(6, objective=exact, policy=QUICK, compiled=options)
    assert state_of(several) == state_of(one)
    assert shared.num_traced == 1


def test_threads_share(shared, monkeypatch):
    found = {}

    def train(seed):
        found[seed] = state_of(trained(10, seed=seed))

    threads = [threading.Thread(target=train, args=[i]) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared.num_traced == 1
    for seed in range(3):
        assert found[seed] == state_of(trained(10, seed=seed))


def test_rates_of_optimizers_are_inputs(shared, monkeypatch):
    one = with_optimizer(keras.optimizers.Adam, 0.1)
    another = with_optimizer(keras.optimizers.Adam, 0.7)
    trained(**one)
    trainer = trained(**another)
    assert shared.num_traced == 1
    assert state_of(trainer) == state_of(alone(monkeypatch, **another))


class Begin(keras.callbacks.Callback):
    """Calls a function with the trainer when training begins."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def on_train_begin(self, logs=None):
        self.change(self.model)


@pytest.mark.parametrize("name", ["clipvalue", "schedule", "inner rates"])
def test_what_a_callback_changes_at_the_start_counts(shared, name):
    def change(trainer):
        if name == "clipvalue":
            trainer.optimizer.clipvalue = 1e-4
        elif name == "schedule":
            trainer.optimizer.learning_rate = (
                keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
            )
        else:
            rates = dice_tf.learners.LOLADiCE(1, 2.0).inner_rates
            trainer.learners[0].inner_rates = rates

    exact = {
        "objective": dice_tf.objectives.ExactObjective,
        "policy": QUICK,
        **with_learner(dice_tf.learners.LOLADiCE, 1, 0.5),
        **with_optimizer(keras.optimizers.SGD, 0.1),
    }
    plain, begun, before = (make_trainer(**exact) for _ in range(3))
    change(before)
    plain.fit(steps_per_epoch=2, verbose=0)
    begun.fit(steps_per_epoch=2, verbose=0, callbacks=[Begin(change)])
    before.fit(steps_per_epoch=2, verbose=0)
    assert state_of(begun) == state_of(before)
    assert state_of(begun) != state_of(plain)
    assert shared.num_traced == 2


def test_training_for_no_epoch_traces_nothing(shared):
    trainer = make_trainer()
    trainer.fit(epochs=2, initial_epoch=2, verbose=0)
    assert shared.num_traced == 0


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_program_holds_no_trainer_policy_or_variable(shared, jit_compile):
    options = {
        "with_critics": True,
        "policy": QUICK,
        "compiled": {"jit_compile": jit_compile},
    }
    trainer = trained(**options)
    variables = [trainer.players[0].params[0], trainer._curves.variable]
    references = [
        weakref.ref(thing)
        for thing in (
            trainer,
            trainer.objective,
            *trainer.objective.policies,
            trainer.learners[0],
            trainer.optimizer,
            trainer._step,
            *variables,
            variables[0].value,
            # What keeps the memory of a variable.
            variables[0].value.handle,
            variables[1].handle,
        )
    ]
    del trainer, variables
    gc.collect()
    assert [reference() for reference in references] == [None] * len(references)
    trained(**options)
    assert shared.num_traced == 1


def test_the_oldest_programs_are_forgotten(shared, monkeypatch):
    monkeypatch.setattr(programs, "_MOST_PROGRAMS", 2)
    shared._code.has_changed()
    lengths = (3, 4, 3, 5, 3, 4)
    traced = []
    for length in lengths:
        trained(game={"episode_length": length})
        traced.append(shared.num_traced)
        assert len(shared._programs) <= 2
    assert traced == [1, 2, 2, 3, 3, 4]


def test_a_trainer_outlives_its_program(shared, monkeypatch):
    trainer = trained()
    shared._programs.clear()
    gc.collect()
    trainer.fit(initial_epoch=1, epochs=2, verbose=0)
    expected = alone(monkeypatch)
    expected.fit(initial_epoch=1, epochs=2, verbose=0)
    assert state_of(trainer) == state_of(expected)


def test_what_happens_between_trainings_keeps_the_program(shared, tmp_path):
    first = trained()
    keras.backend.clear_session()
    second = trained()
    second.compile(keras.optimizers.Adam(0.2), jit_compile=False)
    second.fit(initial_epoch=1, epochs=2, verbose=0)
    path = tmp_path / "last.weights.h5"
    first.save_weights(path)
    resumed = trained()
    resumed.load_weights(path)
    for trainer in (first, resumed):
        trainer.fit(initial_epoch=1, epochs=3, steps_per_epoch=2, verbose=0)
    assert state_of(first) == state_of(resumed)
    assert shared.num_traced == 1


def test_an_optimizer_that_has_noted_weight_decay_shares(shared):
    adam = with_optimizer(keras.optimizers.AdamW, 0.1, weight_decay=0.1)
    trainer = trained(**adam)
    trainer.make_train_function(force=True)
    trainer.fit(initial_epoch=1, epochs=2, verbose=0)
    shared._programs.clear()
    trainer.make_train_function(force=True)
    trainer.fit(initial_epoch=2, epochs=3, verbose=0)
    assert shared.num_traced == 2
    assert len(shared._programs) == 1


def test_weights_that_are_set_on_a_policy_count(shared, monkeypatch):
    trained()
    trainers = [trained(), alone(monkeypatch)]
    for trainer in trainers:
        policy = trainer.objective.policies[0]
        policy.set_weights([0.5 * x for x in policy.get_weights()])
        trainer.fit(initial_epoch=1, epochs=2, verbose=0)
    assert state_of(trainers[0]) == state_of(trainers[1])


def test_copies_of_policies_share(shared):
    trainer = trained()
    policies = copy.deepcopy(trainer.objective.policies)
    objective = dice_tf.objectives.ExactObjective(
        trainer.objective.game, policies, discount=0.9
    )
    learners = [dice_tf.learners.Naive(), dice_tf.learners.Naive()]
    copied = dice_tf.Trainer(objective, learners)
    copied.compile(keras.optimizers.Adam(0.1), jit_compile=False)
    before = state_of(trainer)
    copied.fit(verbose=0)
    assert state_of(trainer) == before
    trainer.fit(initial_epoch=1, epochs=2, verbose=0)
    np.testing.assert_array_equal(copied.curves[0], trainer.curves[2])


def test_a_frozen_layer_is_another_program(shared):
    trainer = trained(policy={"hidden_units": (3,)})
    objective = trainer.objective
    objective.policies[0].layers[1].trainable = False
    learners = [dice_tf.learners.Naive(), dice_tf.learners.Naive()]
    frozen = dice_tf.Trainer(objective, learners)
    frozen.compile(keras.optimizers.Adam(0.1), jit_compile=False)
    frozen.fit(verbose=0)
    assert shared.num_traced == 2
    with pytest.raises(ValueError, match="has other trainable variables"):
        trainer.fit(verbose=0)


def test_a_method_that_was_replaced_is_used(shared, monkeypatch):
    """And is not, as soon as it is put back."""
    plain = state_of(trained())
    naive = dice_tf.learners.Naive
    with monkeypatch.context() as patch:
        patch.setattr(naive, "step", dice_tf.learners.LOLADiCE(1, 0.5).step)
        assert state_of(trained()) != plain
    assert state_of(trained()) == plain
    assert shared.num_traced == 2


@pytest.mark.parametrize("owner", [dice_tf.learners.Naive, tf])
def test_what_a_method_of_a_user_reads_counts(shared, monkeypatch, owner):
    """Nothing is shared while it stands in place of a function."""
    name = {tf: "stack"}.get(owner, "step")
    function = getattr(owner, name)
    calls = []

    def counted(*arguments, **options):
        calls.append(arguments)
        return function(*arguments, **options)

    with monkeypatch.context() as patch:
        # The first look at the code comes before.
        trained()
        patch.setattr(owner, name, counted)
        trained()
        num_calls = len(calls)
        trained()
    assert len(calls) == 2 * num_calls > 0
    assert shared.num_traced == 1
    trained()
    assert shared.num_traced == 2


def test_a_method_that_is_set_on_a_learner_is_used(shared):
    def halve(trainer):
        step = trainer.learners[0].step

        def halved(*arguments):
            direction, state = step(*arguments)
            return [0.5 * x for x in direction], state

        trainer.learners[0].step = halved

    sgd = with_optimizer(keras.optimizers.SGD, 0.1)
    plain, halved = trained(**sgd), trained(changed=halve, **sgd)
    assert state_of(plain) != state_of(halved)
    assert state_of(trained(**sgd)) == state_of(plain)
    assert shared.num_traced == 1


class OwnNaive(dice_tf.learners.Naive):
    """A learner of a user, which nothing shows to be what it is."""

    factor = 1.0

    def step(self, *arguments):
        direction, state = super().step(*arguments)
        return [OwnNaive.factor * x for x in direction], state


def test_what_a_user_wrote_has_a_program_of_its_own(shared, monkeypatch):
    options = {
        **with_learner(OwnNaive),
        **with_optimizer(keras.optimizers.SGD, 0.1),
    }
    one = trained(**options)
    monkeypatch.setattr(OwnNaive, "factor", 0.5)
    assert state_of(trained(**options)) != state_of(one)
    assert shared.num_traced == 0


class OwnTrainer(dice_tf.Trainer):
    """Counts how often its step is traced."""

    traces = 0

    def train_step(self, data):
        self.traces += 1
        return super().train_step(data)


def test_the_device_is_that_of_floats(monkeypatch):
    """TensorFlow may leave integers on the CPU in the scope of a GPU."""
    constant = tf.constant

    def of_gpu(value, *arguments, **options):
        if not isinstance(value, int):
            return constant(value, *arguments, **options)
        with tf.device("CPU:0"):
            return constant(value, *arguments, **options)

    trainer = make_trainer()
    monkeypatch.setattr(tf, "constant", of_gpu)
    with tf.device("CPU:1"):
        assert tf.constant(1).device.endswith("CPU:0")
        trainer.make_train_function()
        assert trainer._device.endswith("CPU:1")
        assert programs.surroundings()[1].endswith("CPU:1")


@pytest.mark.parametrize(("steps", "jit_compile"), [(1, True), (3, False)])
def test_a_step_that_was_replaced_is_not_shared(shared, steps, jit_compile):
    plain = trained(3)
    learners = [dice_tf.learners.Naive(), dice_tf.learners.Naive()]
    objective = make_trainer(
        objective=dice_tf.objectives.ExactObjective, policy=QUICK
    ).objective
    counting = OwnTrainer(objective, learners, initial_params="random")
    counting.compile(
        keras.optimizers.Adam(0.1),
        jit_compile=jit_compile,
        steps_per_execution=steps,
    )
    counting.fit(steps_per_epoch=3, verbose=0)
    assert counting.traces == 1
    assert shared.num_traced == 1
    np.testing.assert_allclose(counting.curves, plain.curves, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
def test_eager_training_uses_no_program(shared):
    exact = dice_tf.objectives.ExactObjective
    eager = trained(
        objective=exact, policy=QUICK, compiled={"run_eagerly": True}
    )
    assert shared.num_traced == 0
    np.testing.assert_allclose(eager.curves, trained().curves, atol=1e-5)
    trainer = trained()
    try:
        tf.config.run_functions_eagerly(True)
        calls = []
        update = trainer._updates.update_players
        trainer._updates.update_players = lambda seeds: (
            calls.append(seeds) or update(seeds)
        )
        trainer.fit(steps_per_epoch=3, verbose=0)
    finally:
        tf.config.run_functions_eagerly(False)
    assert len(calls) == 3
    assert shared.num_traced == 1


@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
def test_a_trainer_that_began_eagerly_shares_later(shared):
    exact = dice_tf.objectives.ExactObjective
    options = {"objective": exact, "policy": QUICK}
    trainer = make_trainer(**options, compiled={"jit_compile": True})
    tf.config.run_functions_eagerly(True)
    try:
        trainer.fit(verbose=0)
    finally:
        tf.config.run_functions_eagerly(False)
    assert shared.num_traced == 0
    trainer.fit(initial_epoch=1, epochs=2, verbose=0)
    assert shared.num_traced == 1
    (program,) = shared._programs.values()
    definition = program.call.__self__.graph.as_graph_def()
    assert "_XlaMustCompile" in str(definition)


def test_devices_and_settings_are_told_apart(shared):
    trained()
    before = programs.surroundings()
    assert programs.surroundings() == before
    with tf.device("CPU:1"):
        assert programs.surroundings() != before
        trained()
    assert shared.num_traced == 2
    trained()
    assert shared.num_traced == 2
    keras.config.set_epsilon(1e-5)
    try:
        assert programs.surroundings() != before
    finally:
        keras.config.set_epsilon(1e-7)
    assert programs.surroundings() == before


def test_a_program_with_a_state_of_its_own_is_not_shared(shared, monkeypatch):
    """TensorFlow would draw the numbers of both trainers from one stream."""
    updates = "dice_tf.training.training_step.PlayerUpdates.update_players"
    update = dice_tf.training.updates.PlayerUpdates.update_players

    def noisy(self, seeds):
        returns, scalars = update(self, seeds)
        return returns + tf.random.uniform([]), scalars

    # The first look at the code comes after.
    shared._code = LoadedCode()
    monkeypatch.setattr(updates, noisy)
    trained()
    trained()
    assert shared.num_traced == 2
    assert not shared._programs

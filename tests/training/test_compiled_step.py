"""A step of training stays on its device: nothing calls back to the host.

Which device that is, is not tested: it takes a GPU to see where TensorFlow
places what is around the compiled step.
"""

import re

import keras
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.training.iteration import IterationSeeds
from tests.graphs import operations_with_calls
from tests.toys import ASYMMETRIC

# What runs Python code in a graph, and what leaves an XLA program.
PYTHON_OPERATIONS = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
LEAVES_THE_DEVICE = r"stablehlo\.(?:custom_call|send|recv|infeed|outfeed)"


@pytest.fixture
def graphs(monkeypatch):
    """All graphs that functions are traced to."""
    kind, found = tf.__internal__.FuncGraph, []
    construct = kind.__init__

    def collect(self, *arguments, **options):
        construct(self, *arguments, **options)
        found.append(self)

    monkeypatch.setattr(kind, "__init__", collect)
    return found


def operations(graphs):
    return {op.type for graph in graphs for op in graph.get_operations()}


def build_trainer(learner, batch_size=4, **options):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 4)
    players = range(2)
    objective = dice_tf.objectives.DiCEObjective(
        game,
        [dice_tf.policies.tabular(game, i) for i in players],
        0.9,
        batch_size,
        baseline="critic",
        critics=[dice_tf.critics.tabular_critic(game, i) for i in players],
    )
    trainer = dice_tf.Trainer(objective, [learner, learner], **options)
    trainer.compile(
        [keras.optimizers.Adam(0.01) for _ in players],
        critic_optimizer=keras.optimizers.Adam(0.1),
    )
    return trainer


def test_no_python_code_runs_in_a_training(graphs):
    trainer = build_trainer(dice_tf.learners.Naive())
    # What it is traced to is the same without XLA.
    trainer.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    trainer.fit(verbose=0)
    assert "StatelessRandomUniformFullIntV2" in operations(graphs)
    assert not PYTHON_OPERATIONS & operations(graphs)


# Many numbers are drawn by a program of their own, as complex numbers.
@pytest.mark.parametrize(
    ("batch_size", "draws"),
    [(4, "StatelessRandomUniformFullIntV2"), (2**14, "Complex")],
)
@pytest.mark.parametrize("updates", ["simultaneous", "alternating"])
def test_noise_is_drawn_beside_the_program_and_not_in_it(
    graphs, updates, batch_size, draws
):
    """XLA on CPU would draw it anew for each consumer."""
    trainer = build_trainer(
        dice_tf.learners.Naive(), batch_size, updates=updates
    )
    trainer.fit(verbose=0)
    drawing, playing = [], []
    for graph in graphs:
        if draws in operations_with_calls(graph):
            drawing.append(graph)
        if {"While", "StatelessWhile"} & operations([graph]):
            playing.append(graph)
    assert drawing and playing
    assert not set(map(id, drawing)) & set(map(id, playing))


def test_python_code_in_a_graph_is_seen(graphs):
    @tf.function
    def double(x):
        return tf.py_function(lambda y: 2 * y, [x], tf.float32)

    double(tf.constant(1.0))
    assert PYTHON_OPERATIONS & operations(graphs)


def test_the_program_of_a_step_does_not_leave_the_device():
    trainer = build_trainer(dice_tf.learners.LOLADiCE(1, 0.3))

    @tf.function(jit_compile=True, autograph=False)
    def step(keys):
        return trainer._updates.update_players(IterationSeeds(keys, 1))

    keys = tf.constant([[0, 1]])
    program = step.experimental_get_compiler_ir(keys)(stage="stablehlo")
    assert "stablehlo.while" in program
    assert not re.findall(LEAVES_THE_DEVICE, program)


def test_a_call_out_of_a_program_is_seen():
    @tf.function(jit_compile=True)
    def spectrum(x):
        # Eigenvalues are what LAPACK is called for.
        return tf.linalg.eigh(x)[0]

    program = spectrum.experimental_get_compiler_ir(tf.eye(2))(
        stage="stablehlo"
    )
    assert re.findall(LEAVES_THE_DEVICE, program)

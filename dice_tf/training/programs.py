"""Programs that trainers share.

TensorFlow keeps whatever XLA has compiled until the process ends, under the
name of the traced function: nothing that Python can call removes it. Each new
program of a LOLA-DiCE trainer takes about 100 MiB and 5 s of CPU time. Trainers
whose steps differ in nothing but the values of variables therefore share one
program, which gets the variables of each as its inputs.
"""

import collections
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from dice_tf.training.fingerprints import NotComparableError, fingerprint
from dice_tf.training.loaded_code import LoadedCode
from dice_tf.training.training_step import TrainingStep

# Of each, there is a graph of some thousand operations.
_MOST_PROGRAMS = 32

# Operations whose state is not in a variable: Python code and generators.
_STATEFUL = re.compile(
    "PyFunc|EagerPyFunc|Random|Multinomial|ParameterizedTruncatedNormal"
)

Logs = dict[str, tf.Tensor]


class Program(NamedTuple):
    """A traced function, without the variables that it was traced with.

    Attributes:
      call: the function, from a list of tensors, its inputs, to the logs.
      inputs: for each input the number of the variable whose handle it is, or
        a constant.
    """

    call: Callable[[Sequence[tf.Tensor]], Logs]
    inputs: tuple[int | tf.Tensor, ...]

    def bind(self, variables: Sequence[tf.Variable]) -> Callable[[], Logs]:
        """Returns the program of a trainer with these variables."""
        inputs = [
            variables[source].handle if isinstance(source, int) else source
            for source in self.inputs
        ]
        return lambda: self.call(inputs)


class Programs:
    """The programs of this process, by what their trainers are.

    At most 32 are kept, those that were used last. None of them holds a
    trainer, policy or variable.

    Attributes:
      num_traced: number of programs that were traced until now.
    """

    def __init__(self) -> None:
        self.num_traced = 0
        self._programs: collections.OrderedDict[Any, Program] = (
            collections.OrderedDict()
        )
        self._code = LoadedCode()
        self._lock = threading.RLock()

    def of(self, step: TrainingStep) -> Callable[[], Logs]:
        """Returns a function that makes a step, as a graph.

        Its first call chooses the program, for the step as it is then, and
        later calls keep it. Callbacks of Keras may change the step before.

        A program is shared if the fingerprints of both steps are equal, so
        that all of these are: the game with its arrays, policies and critics
        with all layers, learners, objective, rules and optimisers, with all
        attributes; all shapes and dtypes; the number of iterations, and whether
        XLA compiles them. Rates of learners, entropy coefficients and norms
        are a part of it: as inputs, XLA would round differently. Seeds are
        not, and neither are the hyperparameters of optimisers that Keras keeps
        in variables, such as learning rates.

        If a fingerprint reaches code of a user, such as a game, layer, head or
        learner, the step has a program of its own. If a function of this
        library or of Keras was replaced, all programs are forgotten. Nothing is
        shared while code of a user is in its place.

        Args:
          step: the step.
        """
        function = tf.function(step.make_iterations, autograph=False)
        chosen: list[Callable[[], Logs]] = []

        def call() -> Logs:
            # What is traced then has no functions inside, as those of XLA.
            if tf.config.functions_run_eagerly():
                return function()
            if not chosen:
                chosen.append(self._choose(step, function))
            return chosen[0]()

        return call

    def _choose(
        self,
        step: TrainingStep,
        function: tf.types.experimental.PolymorphicFunction,
    ) -> Callable[[], Logs]:
        """Returns a shared program of a step, or else its function."""
        try:
            found = fingerprint(step)
        except NotComparableError:
            return function
        key = (found.key, surroundings())
        with self._lock:
            if self._code.has_changed():
                self._programs.clear()
            if self._code.is_foreign:
                return function
            program = self._programs.get(key)
            if program is None:
                program = self._trace(function, found.variables)
            if program is None:
                return function
            self._programs[key] = program
            self._programs.move_to_end(key)
            while len(self._programs) > _MOST_PROGRAMS:
                self._programs.popitem(last=False)
        return program.bind(found.variables)

    def _trace(
        self,
        function: tf.types.experimental.PolymorphicFunction,
        variables: Sequence[tf.Variable],
    ) -> Program | None:
        """Traces a function, or returns `None` if it reads other variables."""
        traced = function.get_concrete_function()
        self.num_traced += 1
        if _has_state(traced.graph):
            return None
        numbers = {
            id(variable.handle): number
            for number, variable in enumerate(variables)
        }
        inputs = []
        for captured in traced.captured_inputs:
            number = numbers.get(id(captured))
            if number is None and captured.dtype in (tf.resource, tf.variant):
                return None
            inputs.append(captured if number is None else number)
        _forget_captures(traced.inference_fn)
        return Program(traced.inference_fn.call_preflattened, tuple(inputs))


def surroundings() -> tuple[Any, ...]:
    """Returns what tracing depends on beside what is traced.

    A small graph shows scopes of XLA, and what TensorFlow adds to every
    operation to debug it.
    """
    probe = tf.function(tf.math.exp, autograph=False).get_concrete_function(
        tf.TensorSpec([2], tf.float32)
    )
    graph = probe.graph.as_graph_def().SerializeToString(deterministic=True)
    options = tf.config.optimizer.get_experimental_options()
    return (
        graph,
        # In the scope of a GPU, integers may stay on the CPU.
        tf.constant(0.0).device,
        keras.config.floatx(),
        keras.config.epsilon(),
        keras.config.image_data_format(),
        keras.config.dtype_policy().name,
        keras.config.is_flash_attention_enabled(),
        tf.config.optimizer.get_jit(),
        repr(sorted(options.items())),
        tf.config.experimental.tensor_float_32_execution_enabled(),
        tf.config.get_soft_device_placement(),
    )


def _forget_captures(function: Any) -> None:
    """Lets the variables go with which a function was traced.

    TensorFlow keeps functions inside of it, which XLA compiles, for gradients.
    """
    function.graph.function_captures.clear()
    # TensorFlow keeps a list of them until it is read again.
    list(function.graph.captures)
    for inner in function.children:
        _forget_captures(inner)


def _has_state(graph: tf.Graph) -> bool:
    """Returns whether operations hold Python objects or generators."""
    definition = graph.as_graph_def()
    nodes = [*definition.node]
    for function in definition.library.function:
        nodes += function.node_def
    return any(_STATEFUL.match(node.op) for node in nodes)


PROGRAMS = Programs()
# Remembers the code as it is before a user can replace any.
PROGRAMS._code.has_changed()


def shared_program(step: TrainingStep) -> Callable[[], Logs]:
    """Returns a function that makes a step, as a graph, see `Programs.of`."""
    return PROGRAMS.of(step)

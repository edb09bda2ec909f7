"""A pass over time whose derivatives of every order are passes over time.

The gradient of TensorFlow's own loops fails in two ways. Compiled by XLA on
CPU it can hang at some later call, and `tf.vectorized_map` cannot convert it.
`scan` therefore lets no tape see a loop, and has a custom gradient: the same
pass in reverse, over the vector-Jacobian product of the cell. That pass is a
`scan` again, and so on for every order. `plain_scan` is the reference.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dice_tf.checks import as_tensor, check_function, described
from dice_tf.kernels.finite_play import write_row
from dice_tf.kernels.vectorised_loops import of_each_run

# From parameters, the carry, and the inputs of one step to the carry that
# follows and the outputs of the step; each is a nest of tensors.
Cell = Callable[[Any, Any, Any], tuple[Any, Any]]
Tensors = Sequence[tf.Tensor]
# Tensors of more entries are not read as a whole where one entry will do.
_FEW_ENTRIES = 256


def scan(cell: Cell, params: Any, carry: Any, xs: Any) -> tuple[Any, Any]:
    """Applies a cell step by step, differentiably to any order.

    `carry_{t+1}, y_t = cell(params, carry_t, x_t)` for `t = 0, ..., T - 1`.

    Derivatives of every order are loops that no tape has recorded, so that XLA
    compiles them and `tf.vectorized_map` maps them. A pass keeps the carry
    before each step and no other intermediate results: the derivatives of a
    step compute it again. Eagerly it is a Python loop.

    Open the tapes inside of a function that `tf.vectorized_map` maps. To a tape
    around the map a scan is a loop of TensorFlow, since the map forgets every
    custom gradient: the derivatives are right and slow, and XLA may not be able
    to compile them.

    Args:
      cell: function from `params`, a carry and the inputs of one step to the
        carry that follows, like the one before, and the outputs of the step,
        a nest of tensors. Whatever is to be differentiated must come in through
        its arguments.
      params: nest of tensors that all steps share.
      carry: nest of tensors, before the first step.
      xs: nest of tensors `[T, ...]`, the inputs of all steps.

    Returns:
      The carry after the last step, and the outputs of all steps, `[T, ...]`.
      Both are differentiable to any order in the floating tensors of `params`,
      `carry` and `xs`.

    Raises:
      TypeError: if `cell` is not a function, or does not return two values.
      ValueError: if there are no steps; if the inputs differ in their number
        of steps; if the cell returns a carry of another structure, shape or
        dtype; if it reads a variable in a graph; or, where such a derivative
        is taken, if it reads a tensor without being given it or one of its
        operations has no derivative of that order.

    Example:
      >>> def cell(decay, total, x):
      ...     total = decay * total + x
      ...     return total, tf.square(total)
      >>> last, squares = dice_tf.scan(
      ...     cell, tf.constant(0.5), tf.constant(0.0), tf.constant([1.0, 2.0])
      ... )
      >>> float(last), squares.numpy().tolist()
      (2.5, [1.0, 6.25])
    """
    check_function("cell", cell, "a function of params, a carry and inputs", 3)
    nests = [
        tf.nest.map_structure(lambda x, name=name: as_tensor(name, x), nest)
        for name, nest in (("params", params), ("carry", carry), ("xs", xs))
    ]
    _check_lengths(nests[2])
    if tf.executing_eagerly():
        return plain_scan(cell, *nests)
    lists = [tf.nest.flatten(nest) for nest in nests]
    traced = _trace(cell, nests)
    passed = _scan(traced.cell, *lists, output_specs=traced.output_specs)
    results = [*passed.carry, *passed.outputs]
    marks = list(map(_not_given, _marks(traced.closed_over)))
    if marks:
        results = _guarded(results, marks)
    return (
        tf.nest.pack_sequence_as(nests[1], results[: len(lists[1])]),
        tf.nest.pack_sequence_as(traced.outputs, results[len(lists[1]) :]),
    )


def plain_scan(cell: Cell, params: Any, carry: Any, xs: Any) -> tuple[Any, Any]:
    """Returns what `scan` does, step by step; T must be known."""
    outputs = []
    for step in range(tf.nest.flatten(xs)[0].shape[0]):
        seen = tf.nest.map_structure(lambda x, step=step: x[step], xs)
        carry, output = _checked_step(cell, params, carry, seen)
        outputs.append(output)
    return carry, tf.nest.map_structure(lambda *rows: tf.stack(rows), *outputs)


class _Traced(NamedTuple):
    """A cell, as the passes use it.

    Attributes:
      cell: from lists of parameters, of the carry and of the inputs of a step
        to lists of the carry that follows and of the outputs.
      outputs: nest of what a step puts out, as symbols.
      output_specs: `tf.TensorSpec` of each.
      closed_over: tensors that the cell reads without being given them.
    """

    cell: Cell
    outputs: Any
    output_specs: list[tf.TensorSpec]
    closed_over: list[tf.Tensor]


class _Pass(NamedTuple):
    """What a pass over time computes.

    Attributes:
      carry: tensors, after the last step.
      before: tensors `[T, ...]`, the carry before each step.
      outputs: tensors `[T, ...]`.
    """

    carry: list[tf.Tensor]
    before: list[tf.Tensor]
    outputs: list[tf.Tensor]


def _trace(cell: Cell, nests: Sequence[Any]) -> _Traced:
    """Calls a cell once, beside the graph, and says what it does."""
    found = []

    def step(*lists: Tensors) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        packed = map(tf.nest.pack_sequence_as, nests, lists)
        carry, outputs = _checked_step(cell, *packed)
        found.append(outputs)
        return tf.nest.flatten(carry), tf.nest.flatten(outputs)

    params, carry, xs = [
        [tf.TensorSpec(x.shape, x.dtype) for x in tf.nest.flatten(nest)]
        for nest in nests
    ]
    rows = [tf.TensorSpec(x.shape[1:], x.dtype) for x in xs]
    function = tf.function(step, autograph=False)
    closed_over = function.get_concrete_function(
        params, carry, rows
    ).captured_inputs
    if any(x.dtype == tf.resource for x in closed_over):
        raise ValueError(
            "`cell` reads a variable, whose derivatives would be lost. Give "
            "the cell its value in `params`, such as "
            "tf.convert_to_tensor(variable)."
        )
    outputs = found[-1]
    specs = [tf.TensorSpec(x.shape, x.dtype) for x in tf.nest.flatten(outputs)]
    return _Traced(step, outputs, specs, closed_over)


def _scan(
    cell: Cell,
    params: Tensors,
    carry: Tensors,
    xs: Tensors,
    *,
    output_specs: Sequence[tf.TensorSpec],
    is_reversed: bool = False,
) -> _Pass:
    """Passes over time in a graph, with the custom gradient."""
    passed: list[_Pass] = []
    sizes_in = len(params), len(carry), len(xs)

    def loop(*inputs: tf.Tensor) -> list[tf.Tensor]:
        params_in, carry_in, xs_in = _split(inputs, *sizes_in)
        results = _loop(
            cell, params_in, carry_in, xs_in, output_specs, is_reversed
        )
        return [*results.carry, *results.before, *results.outputs]

    @tf.custom_gradient
    def run(*inputs: tf.Tensor) -> Any:
        def backward(*cotangents: tf.Tensor) -> list[tf.Tensor | None]:
            # Read the carries from the results of this function. Inside of it
            # they are constants, and second derivatives would lose a term.
            params_in, carry_in, xs_in = _split(inputs, *sizes_in)
            return _backward_pass(
                cell,
                params_in,
                carry_in,
                xs_in,
                passed[0].before,
                cotangents,
                is_reversed,
            )

        return _unseen(loop)(*inputs), backward

    results = run(*params, *carry, *xs)
    sizes = len(carry), len(carry), len(output_specs)
    passed.append(_Pass(*_split(results, *sizes)))
    return passed[0]


def _backward_pass(
    cell: Cell,
    params: Tensors,
    carry: Tensors,
    xs: Tensors,
    before: Tensors,
    cotangents: Tensors,
    was_reversed: bool,
) -> list[tf.Tensor | None]:
    """Returns the cotangent of each input of a pass.

    With the adjoint `a_{t+1}` of what `cell` returns at step t, it is

      `a_t, p_t, x_t = J_t^T (a_{t+1}, dy_t)`, plus the cotangent of the carry
      before step t; the parameters' is the sum of `p_t`.
    """
    num_outputs = len(cotangents) - 2 * len(carry)
    of_last, of_before, of_outputs = map(
        _floating, _split(cotangents, len(carry), len(carry), num_outputs)
    )
    num_carries = len(of_last)
    sizes = len(carry), len(xs), num_carries, len(of_outputs)

    def backward_cell(
        params: Tensors, state: Tensors, seen: Tensors
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        adjoints, sums = state[:num_carries], state[num_carries:]
        before, x, of_before, of_outputs = _split(seen, *sizes)
        to_params, to_carry, to_x = _products(
            cell, (params, before, x), [*adjoints, *of_outputs]
        )
        following = [*map(tf.add, to_carry, of_before)]
        return [*following, *map(tf.add, sums, to_params)], to_x

    passed = _scan(
        backward_cell,
        params,
        [*of_last, *map(tf.zeros_like, _floating(params))],
        [*before, *xs, *of_before, *of_outputs],
        output_specs=[
            tf.TensorSpec(x.shape[1:], x.dtype) for x in _floating(xs)
        ],
        is_reversed=not was_reversed,
    )
    found = [
        *passed.carry[num_carries:],
        *passed.carry[:num_carries],
        *passed.outputs,
    ]
    rest = iter(found)
    return [
        next(rest) if _is_floating(x) else None for x in (*params, *carry, *xs)
    ]


def _products(
    cell: Cell, inputs: Sequence[Tensors], cotangents: Tensors
) -> list[list[tf.Tensor]]:
    """Returns a vector-Jacobian product of one step.

    Args:
      cell: of lists.
      inputs: lists of parameters, of the carry and of the inputs of the step.
      cotangents: one tensor for each floating one that the cell returns.

    Returns:
      For each list of the inputs that of the cotangents of its floating ones.
    """
    sources = [_floating(tensors) for tensors in inputs]
    carry, outputs = cell(*inputs)
    flat_sources = tf.nest.flatten(sources)
    try:
        # Not by a tape: tapes do not record here, see `_unseen`.
        products = tf.gradients(
            _floating([*carry, *outputs]),
            flat_sources,
            grad_ys=list(cotangents),
            # What one of them was computed from may be another one.
            stop_gradients=flat_sources,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
    except LookupError as error:
        raise ValueError(
            "`cell` cannot be differentiated so often: TensorFlow has no "
            f"derivative of that order of one of its operations ({error})."
        ) from error
    # The derivative of a gather is not a tensor, but rows and their numbers.
    products = list(map(tf.convert_to_tensor, products))
    return _split(products, *map(len, sources))


def _unseen(function: Callable) -> Callable:
    """Returns a function of tensors whose operations no tape records.

    A loop that is built while tapes record keeps what its own gradient would
    need, in lists of tensors that `tf.vectorized_map` cannot convert. In
    TensorFlow's public interface, only `tf.recompute_grad` stops all tapes. Its
    gradient is not used: the function is called in a `tf.custom_gradient`.
    """
    return tf.recompute_grad(function)


def _loop(
    cell: Cell,
    params: Tensors,
    carry: Tensors,
    xs: Tensors,
    output_specs: Sequence[tf.TensorSpec],
    is_reversed: bool,
) -> _Pass:
    """Passes over time in a `tf.while_loop`, without derivatives."""
    length = xs[0].shape[0]
    if length is None:
        length = tf.shape(xs[0])[0]
    outputs = output_specs
    if not all(spec.shape.is_fully_defined() for spec in output_specs):
        # The first step tells the sizes that are not known yet.
        _, outputs = cell(params, carry, [x[0] for x in xs])
    start, *buffers = _for_each_run(length, xs[0], carry, outputs)

    def turn(
        count: tf.Tensor,
        carry: list[tf.Tensor],
        befores: list[tf.Tensor],
        rows: list[tf.Tensor],
    ) -> tuple[Any, ...]:
        step = length - 1 - count if is_reversed else count
        # In the graph of the loop: a tape does not see how the loop got what
        # stands outside.
        local = [tf.identity(x) for x in params]
        following, outputs = cell(local, carry, [x[step] for x in xs])
        return (
            count + 1,
            following,
            [
                write_row(b, step, row)
                for b, row in zip(befores, carry, strict=True)
            ],
            [
                write_row(b, step, row)
                for b, row in zip(rows, outputs, strict=True)
            ],
        )

    *_, carry, befores, rows = tf.while_loop(
        lambda count, *_: count < length,
        turn,
        (tf.constant(0), start, *buffers),
        maximum_iterations=length,
    )
    return _Pass(carry, befores, rows)


def _for_each_run(
    length: int | tf.Tensor,
    x: tf.Tensor,
    carry: Tensors,
    outputs: Sequence[tf.Tensor | tf.TensorSpec],
) -> tuple[list[tf.Tensor], ...]:
    """Returns the carry, and rows for the carry and outputs of each step.

    The inputs `x` differ by run, and so do these: see `of_each_run`. All rows
    are to be overwritten.
    """
    entry = tf.reshape(x, [-1])[0]

    def rows(like: tf.Tensor | tf.TensorSpec) -> tf.Tensor:
        shape = like.shape
        if not shape.is_fully_defined():
            shape = tf.shape(like)
        shape = tf.concat([[length], shape], axis=0)
        return tf.fill(shape, tf.cast(entry, like.dtype))

    return (
        of_each_run(carry, x),
        [rows(state) for state in carry],
        [rows(output) for output in outputs],
    )


def _guarded(results: Tensors, marks: Tensors) -> list[tf.Tensor]:
    """Returns results that a tape finds connected with marks.

    No result depends on the marks, and XLA drops them. A tape that asks for a
    derivative with respect to what a mark is made of finds an operation that
    has none and raises. It would have found no connection otherwise, and taken
    the derivative for 0.
    """
    guarded = tf.raw_ops.IdentityN(input=[*results, *marks])
    return guarded[: len(results)]


def _marks(tensors: Tensors) -> list[tf.Tensor]:
    """Returns numbers made of tensors by an operation without derivative.

    `tf.vectorized_map` can convert it, unlike `tf.raw_ops.PreventGradient`, and
    does not forget that it has none, unlike what a `tf.custom_gradient` says.
    """
    return [
        tf.truncatemod(_few_entries(x), tf.ones([], x.dtype))
        for x in tensors
        if x.dtype.is_floating
    ]


@tf.custom_gradient
def _not_given(mark: tf.Tensor) -> Any:
    """Returns a mark, or raises where its derivative is taken."""

    def backward(cotangent: tf.Tensor) -> tf.Tensor:
        raise ValueError(
            "`cell` reads a tensor without being given it, and a derivative "
            "with respect to that tensor would be lost. Give it to the cell in "
            "`params`. If it is a constant, make it a NumPy array. Received: "
            f"{described(cotangent)}."
        )

    return tf.identity(mark), backward


def _few_entries(x: tf.Tensor) -> tf.Tensor:
    """Returns a tensor, or one entry of it if it may be large."""
    if (x.shape.num_elements() or _FEW_ENTRIES) < _FEW_ENTRIES:
        return x
    return tf.reshape(x, [-1])[:1]


def _is_floating(x: tf.Tensor | tf.TensorSpec) -> bool:
    return x.dtype.is_floating or x.dtype.is_complex


def _floating(tensors: Tensors) -> list[tf.Tensor]:
    """Returns the tensors that derivatives exist for."""
    return [x for x in tensors if _is_floating(x)]


def _split(tensors: Tensors, *sizes: int) -> list[list[tf.Tensor]]:
    """Returns lists of these sizes, one after the other."""
    rest = iter(tensors)
    return [[next(rest) for _ in range(size)] for size in sizes]


def _check_lengths(xs: Any) -> None:
    """Raises if inputs are not of one number of steps, at least 1."""
    tensors = tf.nest.flatten(xs)
    has_steps = bool(tensors) and all(x.shape.rank != 0 for x in tensors)
    lengths = {x.shape[0] for x in tensors} if has_steps else set()
    if not has_steps or len(lengths - {None}) > 1:
        raise ValueError(
            "`xs` must be tensors [T, ...] with the same number T of steps. "
            f"Received: {described(xs)}."
        )
    if 0 in lengths:
        raise ValueError(
            "`xs` must have at least one step. Received a sequence of length "
            f"0: {described(xs)}."
        )


def _checked_step(
    cell: Cell, params: Any, carry: Any, seen: Any
) -> tuple[Any, Any]:
    """Returns what a cell does, or raises if its carry cannot go on."""
    returned = cell(params, carry, seen)
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        raise TypeError(
            "`cell` must return two values, the carry that follows and the "
            f"outputs of the step. Received: {described(returned)}."
        )
    following, outputs = [
        tf.nest.map_structure(lambda x: as_tensor("cell", x), nest)
        for nest in returned
    ]
    try:
        tf.nest.assert_same_structure(carry, following)
        follows = all(
            before.dtype == after.dtype
            and before.shape.is_compatible_with(after.shape)
            for before, after in zip(
                tf.nest.flatten(carry), tf.nest.flatten(following), strict=True
            )
        )
    except (TypeError, ValueError):
        follows = False
    if not follows:
        raise ValueError(
            "`cell` must return a carry of the structure, shapes and dtypes of "
            f"the one it is given, {described(carry)}. Received: "
            f"{described(following)}."
        )
    # A loop must know what the shapes stay.
    following = tf.nest.map_structure(
        lambda before, after: tf.ensure_shape(after, before.shape),
        carry,
        following,
    )
    return following, outputs

"""Where tapes are, as far as vectorised loops are concerned.

`tf.vectorized_map` converts what its function computes, operation by
operation, and forgets what a `tf.custom_gradient` said about it. A tape inside
of the function has used that before; one outside of the map would find other
derivatives, often 0, without an error. No tape can be asked where it is, so
that code which knows says so, by a `TapePlace`.
"""

from typing import NamedTuple

import tensorflow as tf

# The name scope in which `tf.vectorized_map` calls its function, counted up
# where it is not the first of its kind: "loop_body", "loop_body_1", and so on.
_LOOP_SCOPE = "loop_body"


class TapePlace(NamedTuple):
    """A place in a program such that all tapes are opened within it.

    Attributes:
      graph: the graph that operations are added to.
      num_loops: number of vectorised loops around, also around the functions
        that are traced there.
    """

    graph: tf.Graph
    num_loops: int

    def is_here(self) -> bool:
        """Whether no loop and no other graph has been entered since."""
        here = current_place()
        return here.graph is self.graph and here.num_loops == self.num_loops


def current_place() -> TapePlace:
    """Returns the place where operations are added now."""
    here = tf.compat.v1.get_default_graph()
    num_loops, graph = 0, here
    while graph is not None:
        scopes = graph.get_name_scope().split("/")
        num_loops += sum(scope.startswith(_LOOP_SCOPE) for scope in scopes)
        # Only the graph of a function, which TensorFlow has no public type
        # for, knows where it was traced.
        graph = getattr(graph, "outer_graph", None)
    return TapePlace(here, num_loops)

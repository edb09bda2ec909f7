"""What a traced graph consists of."""


def operations_with_calls(graph):
    """Returns the kind of each operation of a graph and of what it calls."""
    definition = graph.as_graph_def()
    nodes = [*definition.node]
    for function in definition.library.function:
        nodes.extend(function.node_def)
    return [node.op for node in nodes]

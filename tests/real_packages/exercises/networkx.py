"""Find paths, components and ranks in a graph."""

import networkx


def exercise():
    graph = networkx.DiGraph()
    graph.add_weighted_edges_from([("a", "b", 1), ("b", "c", 2), ("a", "c", 5), ("d", "d", 1)])
    return [
        networkx.shortest_path(graph, "a", "c", weight="weight"),
        sorted(map(sorted, networkx.weakly_connected_components(graph))),
        list(networkx.topological_sort(graph.subgraph("abc"))),
        networkx.node_link_data(graph, edges="edges")["edges"],
    ]

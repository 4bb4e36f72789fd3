"""Format a table in several ways, one of them one's own."""

import tabulate


def exercise():
    rows = [["a", 1.5], ["bc", 22]]
    own = tabulate.simple_separated_format("||")
    return [str(tabulate.tabulate(rows, headers=["n", "x"], tablefmt=kind)) for kind in ("grid", "github", "html", own)]

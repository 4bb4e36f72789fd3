"""Print a table, markup and a tree to a recording console and export the text."""

import io

from rich.console import Console
from rich.table import Table
from rich.tree import Tree


def exercise():
    console = Console(record=True, width=40, file=io.StringIO())
    table = Table("name", "size")
    table.add_row("[bold]a[/bold]", "1")
    tree = Tree("root")
    tree.add("leaf")
    console.print(table, tree, {"x": [1, 2]})
    return console.export_text(styles=True)

"""Draw Mermaid diagrams while the documentation is built.

The theme would have the reader's browser fetch a script from elsewhere and draw them there.  Here a fence

    ```mermaid
    flowchart LR
        caller --> bus
    ```

becomes an SVG picture inside the page, so that the pages need no network and no script.  The picture is an `img`:
inlined SVGs on one page would share their ids and styles.
"""

from __future__ import annotations

import re
from base64 import b64encode
from html import escape
from typing import Any

import mmdr
from pymdownx.superfences import SuperFencesException

STYLE = "background: white; border-radius: 4px; padding: 8px"


def picture(source: str, *_: Any, **__: Any) -> str:
    """Return the HTML of the diagram `source`; a mistake in it stops the build."""
    try:
        svg = mmdr.render(source).svg()
    except ValueError as error:
        raise SuperFencesException(f"this Mermaid diagram cannot be drawn: {error}\n{source}") from error
    # The SVG asks for all the width there is; its view box has the size it was drawn for.
    box = re.search(r'viewBox="\S+ \S+ (\S+) \S+"', svg)
    width = f' width="{float(box[1]):.0f}"' if box else ""
    alt = escape(source.split(maxsplit=1)[0])
    data = b64encode(svg.encode()).decode()
    return f'<p><img alt="{alt}"{width} style="{STYLE}" src="data:image/svg+xml;base64,{data}"></p>'


def on_config(config: Any) -> Any:
    """Have superfences hand every `mermaid` fence to `picture`."""
    fences = config.mdx_configs.setdefault("pymdownx.superfences", {}).setdefault("custom_fences", [])
    fences.append({"name": "mermaid", "class": "mermaid", "format": picture})
    return config

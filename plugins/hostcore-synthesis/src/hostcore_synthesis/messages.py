"""What synthesis can be asked beside `execute`, for those who ask with types.  The module itself reads plain data.

It needs hostcore's typed payloads, which are not inside a WebAssembly guest.
"""

from __future__ import annotations

import hostcore


class GetCounts(hostcore.Payload[dict[str, int]], topic="synthesis.counts"):
    """Ask how often each kind was rendered; the reply is such as {"dataclass": 3, "enum": 0, ...}."""

"""Show progress on a stream, and format it."""

import io

from tqdm import tqdm, trange


def close():
    """Stop the thread that watches for slow bars."""
    if tqdm.monitor is not None:
        tqdm.monitor.exit()


def exercise():
    out = io.StringIO()
    total = sum(tqdm([1, 2, 3], file=out, ascii=True, mininterval=0, desc="sum"))
    with trange(2, file=io.StringIO(), leave=False) as bar:
        bar.update(1)
        state = bar.format_dict["n"], bar.format_dict["total"]
    return [total, "sum: 100%" in out.getvalue(), list(state), tqdm.format_sizeof(12345), tqdm.format_interval(3700)]

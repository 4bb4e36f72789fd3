"""The plain call path: guests called through wasmtime's public interface, in a thread for each guest.

Used where the fast path does not know the installed wasmtime.  It does the same, slower: a call takes a thread hop
and wasmtime's own conversion of values, and a guest that waits for the host keeps its thread.  Epochs end a call at
its deadline.

One thing it cannot: hand a guest the error of a `result<option<_>, error>` (`bus.request`, `kv.get`), which
wasmtime's conversion takes for a wrong option.  The call ends with that error then, and the guest with it.
"""

"""The fast call path: wasmtime's C library called directly, on fibers that the event loop drives.

Everything that rests on what wasmtime's Python package is like inside stands in this folder, and `library.check`
refuses a version that it was not written for; the host then falls back to the public interface (`plain`).

*Why.*  wasmtime's own Python functions build and take apart a ctypes object for each value of each call: 80 to 150
microseconds for a call with two strings.  Here the arguments of a function live in one array that is made once,
strings are pointed at and not copied, and a result is read straight from memory: 5 microseconds.

*Fibers.*  A call runs on a stack of its own (wasmtime's `*_async` functions).  Most calls end at the first poll, in
the caller's turn, without a task or a future.  A guest that asks the host for something that takes time, or that has
used up its slice of time (an epoch), suspends:  `poll` says so, and a coroutine polls on when there is more to do.
So a guest never holds the event loop for longer than a slice, and needs no thread.

`library` names the functions and checks the layout; `values` reads and writes component values; `fibers` makes calls;
`callbacks` is how a guest calls the host; `core` is the same for core modules; `path` puts it together.

Invariants, each learnt from a crash:

- A call does not consume its arguments; a result is the caller's and is freed once (`val_delete`).
- The slot for a result is empty (kind 0) before each call: the library drops what it finds there.
- A callback never raises: what a host function raises is kept, the guest is trapped, and the caller raises it again.
- A callback is one function for all; a ctypes function object made for each would be collected too early.
- The context that a callback gets is that of the store, so one linker serves all stores of a component.
- A future is deleted before its store, and nothing of a store is used after that.
"""

"""The worker host: a module as plain Python in a process of its own.

On the host's side:

* `host` makes instances, and `guests` those of WebAssembly; `instance` is what stands behind a cell, and `patience`
  ends what takes too long;
* `nursery` has workers forked, `process` is one of them: its connections, its output, its end; `folders` takes its
  directory away;
* `desk` answers what its module asks for, `lookups` what names it wants looked up.

On the worker's side:

* `zygote` is the process that workers are forked from, `child` what runs in one: the native host, behind a connection;
* `asking` and `logs` are its module's way to the system; `packing` what its code travels as;
* `network`, `names` and `outside` are its way to the network, as Python's own sockets;
* `sandbox` is what its process is confined to.

Between them: `frames` and `link` carry calls, `sideways` those that cannot wait, `messages` says what is in them, and
`carrying` takes errors across.
"""

"""The sandbox of a worker: what a process gives up, for good, before it runs a module's code.

`confining` does it and reports; `cage` is what is wanted, as plain data; `levels` gives the report a name; `probing`
says what this platform can enforce.  `limits`, `namespaces`, `landlock` and `seccomp` are the layers, `rules` and
`numbers` what seccomp is told, `reading` what Python must be able to read, and `kernel` how they call the kernel.

Nothing here needs root or a dependency.  It is imported by a warm process that forks workers, so that after the fork
only calls of the kernel are left to do.
"""

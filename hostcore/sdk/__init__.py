"""For authors and operators: building what is more than a wheel, and trying whether modules are contained.

`building` is the way from a project to a WebAssembly component; `staging` lays out what goes into it, `dependencies`
fetches what the module imports, `purifying` makes wheels of pure Python where none are published, `componentizing`
runs the tool that makes the component.  `isolation` makes attacks on a host of its own, or on a module.
"""

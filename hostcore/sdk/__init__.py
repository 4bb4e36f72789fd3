"""For authors of modules: building what is more than a wheel.

`building` is the way from a project to a WebAssembly component; `staging` lays out what goes into it, `dependencies`
fetches what the module imports, `purifying` makes wheels of pure Python where none are published, `componentizing`
runs the tool that makes the component.
"""

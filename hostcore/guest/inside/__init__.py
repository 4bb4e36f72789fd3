"""What is inside a Python guest: the part of hostcore that a module finds in its sandbox.

`hostcore build --wasm` lays these files out under the same dotted names, with those of hostcore's own that need
nothing but the standard library (`hostcore.sdk.staging` has the list).  Three files stand in for larger ones:
`package` for `hostcore` itself, `spec` for `hostcore.contract.spec`, `plain_messages` for `hostcore.contract.messages`.

    exports -> dispatch -> the module's hooks -> Context -> ports -> imports of the host
                  |
                 loop: asyncio without a selector

Only `exports` and `wit` import the bindings that are generated for the interface; all else runs anywhere.
"""

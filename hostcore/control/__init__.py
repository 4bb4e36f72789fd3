"""The control socket: how a running host is looked at and steered from outside.

`places` says where a host's socket is and lets one host have it; `protocol` is what goes over it, in lines of JSON;
`server` answers many clients at once and is harmed by none of them; `requests` reads what they ask, `methods` does it;
`client` asks.  `inventory` and `explaining` put together what is installed, switched off and loaded; they also work
without a host.

The command line imports `client`, `inventory` and `explaining`, so these import neither asyncio nor the system.
"""

"""ossmedia next to the raw limit and to every peer's client: the same work, the same sink.

Run as ``python -m bench.peers``; bench/README.md tells what it does. The clients' side
imports the standard library and its peer alone: another interpreter runs it.
"""

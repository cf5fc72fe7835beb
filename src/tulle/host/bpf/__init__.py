"""The kernel's side of the data path, and the ways to talk to it.

``tulle.bpf.c`` and its headers are the programs; ``tulle.bpf.o`` is what ``scripts/build-bpf`` compiles
them to, committed so that no compiler is needed where it runs. ``layout`` mirrors ``layout.h``.
"""

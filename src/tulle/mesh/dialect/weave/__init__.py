"""Weave Net's protocol, version 2: what we have in common with clusters that run the original.

``session`` is the wire of one connection, with ``sealing`` for its encryption and ``messages`` for its
frames. ``gob`` is the encoding of everything inside; ``topology`` the payload of the mesh's own channel.
Address management and names keep the codecs of their channels beside them.
"""

"""gob, the self-describing encoding of Go, as far as the mesh protocol needs it.

**Defining a schema.** A schema is a value built from the five basic kinds and four constructors::

    from tulle.mesh.dialect.weave import gob

    NODE = gob.Struct("", (("Name", gob.UINT), ("UID", gob.UINT)))
    STATE = gob.Struct("GossipState", (
        ("Now", gob.INT),
        ("Nicknames", gob.Map(gob.UINT, gob.STRING, "map[mesh.PeerName]string")),
        ("Votes", gob.Optional(gob.Map(NODE, gob.INT))),
        ("Seeds", gob.Slice(gob.UINT, "[]mesh.PeerName")),
    ))

Make each schema once, as a module constant: what is compiled from it is kept with it. Field names and kinds
are what a reader matches by. The names of types (first argument of Struct, optional last of Map and Slice)
mean nothing to a reader and only decide whether our bytes equal those of the original, where a struct first
met in a map, or behind a pointer in a slice, has no name (``""``). A type used twice must be equal both
times.

**Values.**

============== ======================================== ==================================================
schema          encode takes                             decode gives
============== ======================================== ==================================================
UINT, INT       int within 64 bits                       int
BOOL, STRING    bool, str                                bool, str (valid UTF-8 only)
BYTES           bytes                                    bytes
Struct          mapping; a missing field is its zero     dict with every field of the schema
Slice           sequence                                 list
Map             dict; a struct key is the tuple of its   dict, likewise
                field values in the schema's order
Optional(T)     None for "not there"                     None for "not there"
============== ======================================== ==================================================

In a struct, a zero number, empty string and empty slice are not sent at all: the reader sees the zero. A map
is different: an empty one is sent and an absent one is not, so ``Optional(Map)`` tells them apart and a plain
``Map`` decodes to ``{}`` for both (encode leaves out ``None``). ``Optional(Struct)`` is Go's pointer.

**Streams.** ``encode((SCHEMA, value), ...)`` writes one stream, the definition of each type once and before
its first use, numbered as a fresh process of the original would. ``decode(data, SCHEMA, ...)`` reads exactly
these values, in this order, to the end. ``Encoder`` and ``Decoder`` do the same for streams whose length is
not known before, and let bytes be kept for values that come again and again (``body``, ``Encoded``). Both
readers follow the sender's definitions by field name: unknown fields are skipped, missing ones are zero, and
a field of another kind (int for uint as well) is an error. Decoding raises BadMessage and nothing else;
encoding a value that does not fit its schema raises ValueError, TypeError or OverflowError, for that is our
own mistake.
"""

from tulle.mesh.dialect.weave.gob.decoder import Decoder, Encoded, decode
from tulle.mesh.dialect.weave.gob.encoder import Encoder, body, encode
from tulle.mesh.dialect.weave.gob.schema import (
    BOOL,
    BYTES,
    INT,
    STRING,
    UINT,
    Map,
    Optional,
    Slice,
    Struct,
    Type,
)

__all__ = [
    "BOOL",
    "BYTES",
    "INT",
    "STRING",
    "UINT",
    "Decoder",
    "Encoded",
    "Encoder",
    "Map",
    "Optional",
    "Slice",
    "Struct",
    "Type",
    "body",
    "decode",
    "encode",
]

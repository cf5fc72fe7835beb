"""Schemas of every type on the wire, written here a second time so that the codecs do not test themselves."""

from tulle.mesh.dialect.weave import gob

FEATURES = gob.Map(gob.STRING, gob.STRING)
GOSSIP = (gob.STRING, gob.UINT, gob.BYTES)
UNICAST = (gob.STRING, gob.UINT, gob.UINT, gob.BYTES)
PEER = gob.Struct(
    "peerSummary",
    (
        ("NameByte", gob.BYTES),
        ("NickName", gob.STRING),
        ("UID", gob.UINT),
        ("Version", gob.UINT),
        ("ShortID", gob.UINT),
        ("HasShortID", gob.BOOL),
    ),
)
CONNECTIONS = gob.Slice(
    gob.Struct(
        "connectionSummary",
        (
            ("NameByte", gob.BYTES),
            ("RemoteTCPAddr", gob.STRING),
            ("Outbound", gob.BOOL),
            ("Established", gob.BOOL),
        ),
    )
)
NODE = gob.Struct("", (("Name", gob.UINT), ("UID", gob.UINT)))
PROPOSAL = gob.Struct("ProposalID", (("Round", gob.UINT), ("Proposer", NODE)))
ACCEPTED = gob.Struct("AcceptedValue", (("Value", gob.Slice(gob.UINT, "Value")), ("Origin", PROPOSAL)))
CLAIMS = gob.Struct("", (("Promise", PROPOSAL), ("Accepted", PROPOSAL), ("AcceptedVal", ACCEPTED)))
ENTRY = gob.Struct("", (("Token", gob.UINT), ("Peer", gob.UINT), ("Version", gob.UINT), ("Free", gob.UINT)))
RING = gob.Struct(
    "Ring",
    (
        ("Start", gob.UINT),
        ("End", gob.UINT),
        ("Peer", gob.UINT),
        ("Entries", gob.Slice(ENTRY, "entries")),
        ("Seeds", gob.Slice(gob.UINT, "[]mesh.PeerName")),
    ),
)
IPAM = gob.Struct(
    "gossipState",
    (
        ("Now", gob.INT),
        ("Nicknames", gob.Map(gob.UINT, gob.STRING, "map[mesh.PeerName]string")),
        ("Paxos", gob.Optional(gob.Map(NODE, CLAIMS, "GossipState"))),
        ("Ring", gob.Optional(RING)),
    ),
)
RANGE = gob.Struct("Range", (("Start", gob.UINT), ("End", gob.UINT)))
DNS_ENTRY = gob.Struct(
    "Entry",
    (
        ("ContainerID", gob.STRING),
        ("Origin", gob.UINT),
        ("Addr", gob.UINT),
        ("Hostname", gob.STRING),
        ("Version", gob.INT),
        ("Tombstone", gob.INT),
    ),
)
NAMES = gob.Struct("GossipData", (("Timestamp", gob.INT), ("Entries", gob.Slice(DNS_ENTRY, "Entries"))))

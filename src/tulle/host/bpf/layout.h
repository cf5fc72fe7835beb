/* What the kernel programs and the daemon share: map layouts and counter numbers.
 *
 * layout.py mirrors this file. Values may grow at their end only: a new daemon copies what an older one left behind
 * byte by byte into its own, wider values before it takes over.
 * Addresses are in host byte order unless the type says __be32.
 */
#ifndef TULLE_LAYOUT_H
#define TULLE_LAYOUT_H

#include <linux/types.h>

#define ID_BITS 12
#define IDS (1 << ID_BITS)
#define MAX_CHILDREN 256
#define MAX_MACS 65536
#define MAX_TALKS 256
#define MAX_LANES 256
#define HOP_LIMIT 64            /* outer TTL of a frame that starts here; each relay takes one away */
#define LOCAL_PLACE 0xffffffff  /* "peer" of a MAC address that lives on this host */
#define FROM_WIRE 0xffffffff    /* "port" of what came through a tunnel */
#define ANNOUNCED 0x74756c65    /* priority of a frame that the host sends for the container behind port `mark` */

enum carrier { CARRIER_NONE, CARRIER_VXLAN, CARRIER_SLEEVE };

/* A neighbour that is reached by the sleeve is known by its short id: this one or-ed with it stands where another's
 * address does. No host has such an address (0.0.16.0/20).
 */
#define SLEEVE_NEIGHBOURS 0x1000

/* How the daemon's own frames look on the TAP: the two MAC addresses of the frame become this header. */
#define TAP_DIRECT 0x74         /* straight to the peer's own address */
#define TAP_ROUTED 0x76         /* the way that data takes, over relays */
#define TAP_LANE 0x78           /* by the lane to that peer */
struct tap_header {
	__u8 kind;
	__u8 hops_left;
	__be16 dst;
	__be16 src;
	__be32 remote;              /* towards the daemon: the address the frame came from */
	__u8 spare[2];
} __attribute__((packed));

/* Before a data frame that goes to a neighbour by the sleeve, or came from there. Looks like an Ethernet header. */
#define TAP_DATA 0x7a
struct data_header {
	__u8 kind;
	__u8 hops_left;
	__be16 dst;
	__be16 src;
	__be16 via;                 /* the neighbour, by its short id */
	__u8 spare[4];
	__be16 ethertype;           /* IP, whatever the frame is */
} __attribute__((packed));

/* The destination of frames that hold others, sealed for one host: 02 and "tulle", as a mac_t. That host's daemon opens them. */
#define SEALED_MAC 0x656c6c757402

/* A question that the other side's kernel answers without its daemon. Both MAC addresses are zero. */
#define ECHO_ETHERTYPE 0x88b5
#define ECHO_MAGIC 0x74756c65   /* "tule" */
#define ECHO_ASK 1
#define ECHO_ANSWER 2
struct echo {
	__be32 magic;
	__u8 op;
} __attribute__((packed));

struct config {
	__u32 self;                 /* our short id */
	__u32 vx_if;
	__u32 tap_if;
	__be32 resolver;            /* the address every host's bridge has: ARP for it stays on the host */
	__u32 moves;                /* grows when a MAC address moves or a route changes */
	__u32 bypass;               /* may frames between containers and other hosts go past the bridge? */
};

typedef __u64 mac_t;                /* the six bytes as in memory, and two zeros */

struct place {
	__u32 peer;                 /* short id, or LOCAL_PLACE */
	__u32 seen;                 /* in ticks of 2^30 ns since boot */
	__u32 port;                 /* of the bridge by which it came, if it lives here */
	__u32 bypass;               /* from_container is on that port: frames for it may go past the bridge */
};

struct hop {
	__u32 remote;               /* the neighbour's address, or its short id and SLEEVE_NEIGHBOURS; 0: no such hop */
	__u32 local;                /* outer source address; 0: the kernel chooses */
	__u32 carrier;
};

/* What one processor remembers of two MAC addresses that talk. Void after a moment, and when anything moves. */
struct talk {
	mac_t src, dst;
	__u64 when;
	__u32 peer;                 /* where dst lives; of a frame from the wire, where src lives */
	__u32 port;                 /* of the bridge by which it came; FROM_WIRE */
	struct hop hop;             /* towards that peer; not for a frame from the wire */
	__u32 device;               /* where it goes at once: a lane, or for a frame from the wire a container's port; or 0 */
};

/* A tunnel device of its own for one busy neighbour. The daemon's word that it works holds for a while only. */
struct lane {
	__u32 ifindex;              /* 0: there is none */
	__u32 until;                /* the last tick in which it may be used */
	__u32 closing;              /* echoes are not answered any more, so that the other end stops using it */
};

struct child {
	__u32 peer;
	struct hop hop;
};

struct tree {
	__u32 parent;               /* the only neighbour whose copies of this source's frames are taken; 0: none */
	__u32 count;
	struct child children[MAX_CHILDREN];
};

struct traffic {
	__u64 tx_packets, tx_bytes;       /* from here to that peer */
	__u64 rx_packets, rx_bytes;       /* from that peer to here */
	__u64 relay_packets, relay_bytes; /* passed on towards that peer for others */
};

enum counter {
	/* events */
	FLOODED,            /* broadcast, multicast or unknown destination, sent along a tree */
	COPIES,             /* copies made for that */
	LEARNED,            /* a MAC address was learned or moved */
	PRUNED,             /* copies of multicast not made, since nobody there listens */
	QUERIES_KEPT,       /* the bridge's own questions who listens, which concern this host alone */
	RELAYED,
	ICMP_RETURNED,      /* "fragmentation needed" sent back to the source of a relayed frame */
	ICMP_DELIVERED,     /* the same for a frame of our own containers */
	ECHO_ANSWERED,
	CONTROL_IN,
	CONTROL_OUT,
	SLEEVE_OUT,         /* frames given to the daemon for a neighbour */
	SLEEVE_IN,          /* frames that the daemon had from one */
	/* drops */
	DROP_UNCONFIGURED,
	DROP_MALFORMED,
	DROP_LINK_CONTROL,  /* 01:80:c2:00:00:0x never leaves its segment */
	DROP_RESOLVER_ARP,
	DROP_NO_ROUTE,
	DROP_NO_TREE,       /* broadcast of a source whose tree is not known, not from the source itself */
	DROP_NOT_PARENT,    /* broadcast that did not come from the parent in its source's tree */
	DROP_HOPS,          /* relayed too often: a loop */
	DROP_LOOP,          /* a MAC address active on one side appeared on the other; a relay's route leads back */
	DROP_LOCAL,         /* for a MAC address of this host */
	DROP_OWN_ID,        /* from the wire with our own short id as its source */
	DROP_CONTROL,       /* heartbeat or probe that is not from or to a known peer; a container's frame that looks sealed */
	DROP_SEND,          /* the kernel refused to send */
	DROP_LANE,          /* out of a lane: not for one MAC address, or from a peer that is no neighbour */
	DROP_ROUTER_ADVERT, /* containers advertise no routers to each other */
	COUNTERS
};

#endif

/* Frames that go to a neighbour by the sleeve: out to the daemon through its TAP, and back in from there.
 *
 * A header in front of the frame says whose it is and which neighbour it goes to or came from. It is put there by a helper
 * that only adds; the one that takes away wants the frame's protocol to be IP, so the header ends in that.
 */
#ifndef TULLE_SLEEVE_H
#define TULLE_SLEEVE_H

#include "talks.h"

#define BY_SLEEVE 0xa000    /* skb->tc_index of a frame that from_tap sends on to from_wire; the neighbour's id or-ed with it */
#define TAKEN 0x7477        /* ... of one that from_wire has looked at already */
#define VLAN_HLEN 4
#define SHORTEST (ETH_HLEN + 46)

struct arrival {
	__u32 src, dst;
	__u32 remote;           /* the neighbour: its address, or its short id and SLEEVE_NEIGHBOURS */
	__u32 hops_left;
};

struct vlan_tag {
	__be16 proto, tci;
};

static __always_inline int is_by_sleeve(__u32 remote)
{
	return (remote & ~(__u32)(IDS - 1)) == SLEEVE_NEIGHBOURS;
}

static __always_inline struct data_header data_header(__u32 src, __u32 dst, const struct hop *hop, __u32 hops_left)
{
	return (struct data_header){
		.kind = TAP_DATA,
		.hops_left = hops_left,
		.dst = bpf_htons(dst),
		.src = bpf_htons(src),
		.via = bpf_htons(hop->remote & (IDS - 1)),
		.ethertype = bpf_htons(ETH_P_IP),
	};
}

/* Make room for the header. A VLAN tag, which the kernel keeps beside the frame, goes back into it: else the TAP would put
 * it into what it takes for the frame's head.
 */
static __always_inline long make_room(struct __sk_buff *skb)
{
	struct vlan_tag tag;
	__u8 macs[2 * ETH_ALEN];

	if (!skb->vlan_present)
		return bpf_skb_change_head(skb, sizeof(struct data_header), 0);
	tag.proto = skb->vlan_proto;
	tag.tci = bpf_htons(skb->vlan_tci);
	return bpf_skb_load_bytes(skb, 0, macs, sizeof(macs)) || bpf_skb_vlan_pop(skb) ||
	       bpf_skb_change_head(skb, sizeof(struct data_header) + VLAN_HLEN, 0) ||
	       bpf_skb_store_bytes(skb, sizeof(struct data_header), macs, sizeof(macs), 0) ||
	       bpf_skb_store_bytes(skb, sizeof(struct data_header) + sizeof(macs), &tag, sizeof(tag), 0);
}

/* Not part of what the tunnels' frames run through, so that this stays in few lines of cache. */
static __noinline int send_by_sleeve(struct __sk_buff *skb, const struct config *cfg, const struct data_header *header)
{
	if (make_room(skb) || bpf_skb_store_bytes(skb, 0, header, sizeof(*header), 0))
		return drop(DROP_SEND);
	count(SLEEVE_OUT);
	return bpf_redirect(cfg->tap_if, 0);
}

/* A data frame that the daemon wrote. Without its header it comes in by the tunnel device, where from_wire does with it all
 * that it does with others; what the header said travels in the frame's mark and class.
 */
static __always_inline int take_from_sleeve(struct __sk_buff *skb, const struct config *cfg)
{
	__u8 ethernet[ETH_HLEN];
	struct data_header header;
	__u32 length = skb->len;

	if (bpf_skb_load_bytes(skb, 0, &header, sizeof(header)) ||
	    bpf_skb_load_bytes(skb, sizeof(header), ethernet, sizeof(ethernet)))
		return drop(DROP_MALFORMED);
	if (length < sizeof(header) + SHORTEST && bpf_skb_change_tail(skb, sizeof(header) + SHORTEST, 0))
		return drop(DROP_MALFORMED);
	if (bpf_skb_store_bytes(skb, 0, ethernet, sizeof(ethernet), 0) ||
	    bpf_skb_adjust_room(skb, -(__s32)sizeof(header), BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET))
		return drop(DROP_MALFORMED);
	skb->mark = (bpf_ntohs(header.src) & (IDS - 1)) << (ID_BITS + 8) | (bpf_ntohs(header.dst) & (IDS - 1)) << 8 |
		    header.hops_left;
	skb->tc_index = BY_SLEEVE | (bpf_ntohs(header.via) & (IDS - 1));
	count(SLEEVE_IN);
	return bpf_redirect(cfg->vx_if, BPF_F_INGRESS);
}

/* On the other side of that: where the frame came from. False for a frame that from_tap has not sent. */
static __always_inline int came_by_sleeve(struct __sk_buff *skb, struct arrival *from)
{
	__u32 via = skb->tc_index, mark = skb->mark;

	if ((via & ~(__u32)(IDS - 1)) != BY_SLEEVE)
		return 0;
	from->src = mark >> (ID_BITS + 8);
	from->dst = mark >> 8 & (IDS - 1);
	from->hops_left = mark & 0xff;
	from->remote = SLEEVE_NEIGHBOURS | (via & (IDS - 1));
	skb->mark = 0;
	skb->tc_index = 0;
	return 1;
}

#endif

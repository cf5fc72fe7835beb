/* Sending: naming the tunnel's other end, and copying along a tree. */
#ifndef TULLE_SEND_H
#define TULLE_SEND_H

#include "talks.h"

#define AIMED 0x7475    /* skb->tc_index: the tunnel key is set, from_bridge has nothing to add */
#define LANED 0x7476    /* the same for a frame that is sent by a lane */

static __always_inline long aim(struct __sk_buff *skb, __u32 src, __u32 dst, const struct hop *hop, __u32 hops_left)
{
	struct bpf_tunnel_key key;

	__builtin_memset(&key, 0, sizeof(key));
	key.tunnel_id = dst << ID_BITS | src;
	key.remote_ipv4 = hop->remote;
	key.local_ipv4 = hop->local;
	key.tunnel_ttl = hops_left;
	return bpf_skb_set_tunnel_key(skb, &key, sizeof(key), BPF_F_ZERO_CSUM_TX | BPF_F_DONT_FRAGMENT);
}

/* Aim and send from a program that is not the tunnel's own egress. */
static __always_inline int send(struct __sk_buff *skb, const struct config *cfg, __u32 src, __u32 dst,
				const struct hop *hop, __u32 hops_left)
{
	if (aim(skb, src, dst, hop, hops_left))
		return drop(DROP_SEND);
	skb->tc_index = AIMED;
	return bpf_redirect(cfg->vx_if, 0);
}

/* Did another program of ours aim this frame? Containers can write tc_index, but no tunnel key. */
static __always_inline int is_aimed(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key;

	return skb->tc_index == AIMED && !bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0);
}

static __always_inline int send_by_lane(struct __sk_buff *skb, __u32 lane)
{
	skb->tc_index = LANED;
	return bpf_redirect(lane, 0);
}

static __always_inline const struct hop *known_hop(void *map, __u32 id)
{
	const struct hop *hop = bpf_map_lookup_elem(map, &id);

	return hop && hop->remote && hop->carrier == CARRIER_VXLAN ? hop : NULL;
}

/* The lane to a peer, if it may be used and leads the way that the route does; else 0. */
static __noinline __u32 lane_to(__u32 peer, const struct hop *route)
{
	const struct lane *lane = bpf_map_lookup_elem(&lanes, &peer);
	const struct hop *neighbour = known_hop(&direct, peer);

	if (!lane || !lane->ifindex || (__s32)(lane->until - ticks()) < 0)
		return 0;
	return neighbour && neighbour->remote == route->remote ? lane->ifindex : 0;
}

struct flood {
	struct __sk_buff *skb;
	const struct tree *tree;
	__u32 src;
	__u32 hops_left;
	__u32 vx_if;
	__u32 from;             /* never back to this address */
};

static long flood_one(__u32 index, struct flood *flood)
{
	const struct child *child;

	if (index >= MAX_CHILDREN)
		return 1;
	child = &flood->tree->children[index];
	if (!child->hop.remote || child->hop.remote == flood->from)
		return 0;
	if (aim(flood->skb, flood->src, child->peer, &child->hop, flood->hops_left) ||
	    bpf_clone_redirect(flood->skb, flood->vx_if, 0)) {
		count(DROP_SEND);
		return 0;
	}
	count(COPIES);
	count_sent(flood->skb, child->peer);
	return 0;
}

/* Send a copy to each child in the tree of `src`. */
static __always_inline void flood_tree(struct __sk_buff *skb, const struct config *cfg, const struct tree *tree,
				       __u32 src, __u32 hops_left, __u32 from)
{
	struct flood flood = {
		.skb = skb, .tree = tree, .src = src, .hops_left = hops_left, .vx_if = cfg->vx_if, .from = from,
	};

	if (!tree->count)
		return;
	skb->tc_index = AIMED;
	bpf_loop(tree->count, flood_one, &flood, 0);
	skb->tc_index = 0;
	count(FLOODED);
}

#endif

/* Sending: to a neighbour, whichever carrier reaches it, and copying along a tree. */
#ifndef TULLE_SEND_H
#define TULLE_SEND_H

#include "groups.h"
#include "sleeve.h"

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

/* Send to a neighbour from a program that is not the tunnel's own egress. */
static __always_inline int send(struct __sk_buff *skb, const struct config *cfg, __u32 src, __u32 dst,
				const struct hop *hop, __u32 hops_left)
{
	if (hop->carrier == CARRIER_SLEEVE) {
		struct data_header header = data_header(src, dst, hop, hops_left);

		return send_by_sleeve(skb, cfg, &header);
	}
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

	return hop && hop->remote && (hop->carrier == CARRIER_VXLAN || hop->carrier == CARRIER_SLEEVE) ? hop : NULL;
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
	const struct config *cfg;
	const struct tree *tree;
	__u32 src;
	__u32 hops_left;
	__u32 from;             /* never back to this neighbour */
	__u32 carrier;          /* children reached by this one get their copy now */
	__u32 others;           /* whether some are reached by another */
	struct audience audience;
};

static __always_inline long copy_by_sleeve(const struct flood *flood, const struct child *child)
{
	struct data_header header = data_header(flood->src, child->peer, &child->hop, flood->hops_left);

	count(SLEEVE_OUT);
	return bpf_skb_store_bytes(flood->skb, 0, &header, sizeof(header), 0) ||
	       bpf_clone_redirect(flood->skb, flood->cfg->tap_if, 0);
}

static __always_inline long copy_by_tunnel(const struct flood *flood, const struct child *child)
{
	return aim(flood->skb, flood->src, child->peer, &child->hop, flood->hops_left) ||
	       bpf_clone_redirect(flood->skb, flood->cfg->vx_if, 0);
}

static long flood_one(__u32 index, struct flood *flood)
{
	const struct child *child;
	long failed;

	if (index >= MAX_CHILDREN)
		return 1;
	child = &flood->tree->children[index];
	if (!child->hop.remote || child->hop.remote == flood->from)
		return 0;
	if (!is_wanted(&flood->audience, flood->src, child->peer)) {
		if (flood->carrier == CARRIER_VXLAN)
			count(PRUNED);
		return 0;
	}
	if (child->hop.carrier != flood->carrier) {
		flood->others = 1;
		return 0;
	}
	failed = flood->carrier == CARRIER_SLEEVE ? copy_by_sleeve(flood, child) : copy_by_tunnel(flood, child);
	count(failed ? DROP_SEND : COPIES);
	if (!failed)
		count_sent(flood->skb, child->peer);
	return 0;
}

/* Send a copy to each child in the tree of `src` that is reached by a tunnel. Are there others? */
static __noinline __u32 flood_by_tunnel(struct flood *flood)
{
	if (!flood->tree->count)
		return 0;
	find_audience(flood->skb, &flood->audience);
	flood->carrier = CARRIER_VXLAN;
	flood->skb->tc_index = AIMED;
	bpf_loop(flood->tree->count, flood_one, flood, 0);
	flood->skb->tc_index = 0;
	count(FLOODED);
	return flood->others;
}

/* Then to each that is reached by the sleeve. The header that stands before those copies cannot be taken off again here, so
 * the frame is good for nothing else afterwards.
 */
static __noinline int flood_by_sleeve(struct flood *flood)
{
	flood->carrier = CARRIER_SLEEVE;
	if (make_room(flood->skb))
		return drop(DROP_SEND);
	bpf_loop(flood->tree->count, flood_one, flood, 0);
	return TC_ACT_SHOT;
}

#endif

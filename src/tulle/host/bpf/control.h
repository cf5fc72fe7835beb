/* The daemon's own frames: heartbeats in Weave Net's form, and echo probes that kernels answer among themselves.
 *
 * On the wire both MAC addresses are zero. No container can send such a frame: bridges refuse a zero source.
 */
#ifndef TULLE_CONTROL_H
#define TULLE_CONTROL_H

#include "send.h"

#define HEARTBEAT_ETHERTYPE 0
#define ECHO_OP_OFFSET (ETH_HLEN + offsetof(struct echo, op))

/* Hand a frame to the daemon. If there is no daemon there is no TAP, and the frame goes nowhere. */
static __always_inline int to_daemon(struct __sk_buff *skb, const struct config *cfg, __u8 kind,
				    const struct arrival *from)
{
	struct tap_header header = {
		.kind = kind,
		.hops_left = from->hops_left,
		.dst = bpf_htons(from->dst),
		.src = bpf_htons(from->src),
		.remote = bpf_htonl(from->remote),
	};

	if (bpf_skb_store_bytes(skb, 0, &header, sizeof(header), 0))
		return drop(DROP_MALFORMED);
	count(CONTROL_IN);
	return bpf_redirect(cfg->tap_if, 0);
}

/* ECHO_ASK or ECHO_ANSWER; 0 for another frame. */
static __always_inline int echo_op(struct __sk_buff *skb, __be16 ethertype)
{
	struct echo echo;

	if (ethertype != bpf_htons(ECHO_ETHERTYPE) || bpf_skb_load_bytes(skb, ETH_HLEN, &echo, sizeof(echo)))
		return 0;
	return echo.magic == bpf_htonl(ECHO_MAGIC) ? echo.op : 0;
}

/* Turn an echo round. A tunnel's goes back where it came from; one that was relayed, or came by the sleeve, takes our route
 * to its source. Either way the answer is no bigger than the question and goes to a peer that the daemon told us of.
 */
static __always_inline int answer_echo(struct __sk_buff *skb, const struct config *cfg, const struct arrival *from)
{
	const struct hop *hop = known_hop(&direct, from->src);
	__u8 op = ECHO_ANSWER;

	if (!hop || hop->remote != from->remote)
		hop = from->hops_left < HOP_LIMIT || is_by_sleeve(from->remote) ? known_hop(&routes, from->src) : NULL;
	if (!hop)
		return drop(DROP_CONTROL);
	if (bpf_skb_store_bytes(skb, ECHO_OP_OFFSET, &op, sizeof(op), 0))
		return drop(DROP_MALFORMED);
	count(ECHO_ANSWERED);
	return send(skb, cfg, cfg->self, from->src, hop, HOP_LIMIT);
}

/* A control frame for this host, from the wire. Heartbeats speak of a tunnel, so they must have come by one. */
static __always_inline int take_control(struct __sk_buff *skb, const struct config *cfg, __be16 ethertype,
					const struct arrival *from)
{
	if (ethertype == bpf_htons(HEARTBEAT_ETHERTYPE)) {
		if (is_by_sleeve(from->remote) || !known_hop(&direct, from->src))
			return drop(DROP_CONTROL);
		return to_daemon(skb, cfg, TAP_DIRECT, from);
	}
	switch (echo_op(skb, ethertype)) {
	case ECHO_ASK:
		return answer_echo(skb, cfg, from);
	case ECHO_ANSWER:
		return to_daemon(skb, cfg, TAP_DIRECT, from);
	default:
		return drop(DROP_CONTROL);
	}
}

/* The same out of a lane, whose other end is known. */
static __always_inline int take_lane_control(struct __sk_buff *skb, const struct config *cfg, __be16 ethertype,
					     const struct arrival *from)
{
	__u32 peer = from->src;
	const struct lane *lane = bpf_map_lookup_elem(&lanes, &peer);
	__u8 op = ECHO_ANSWER;

	switch (echo_op(skb, ethertype)) {
	case ECHO_ASK:
		if (!lane || lane->closing || bpf_skb_store_bytes(skb, ECHO_OP_OFFSET, &op, sizeof(op), 0))
			return drop(DROP_CONTROL);
		count(ECHO_ANSWERED);
		return send_by_lane(skb, skb->ifindex);
	case ECHO_ANSWER:
		return to_daemon(skb, cfg, TAP_LANE, from);
	default:
		return drop(DROP_CONTROL);
	}
}

/* A frame that the daemon wrote into the TAP. */
static __always_inline int send_control(struct __sk_buff *skb, const struct config *cfg)
{
	const __u8 zero[2 * ETH_ALEN] = {};
	const struct hop *hop = NULL;
	const struct lane *lane;
	struct tap_header header;
	__u32 dst;

	if (bpf_skb_load_bytes(skb, 0, &header, sizeof(header)) || bpf_skb_store_bytes(skb, 0, zero, sizeof(zero), 0))
		return drop(DROP_MALFORMED);
	dst = bpf_ntohs(header.dst);
	if (header.kind == TAP_LANE) {
		lane = bpf_map_lookup_elem(&lanes, &dst);
		return lane && lane->ifindex ? send_by_lane(skb, lane->ifindex) : drop(DROP_CONTROL);
	}
	if (header.kind == TAP_ROUTED)
		hop = known_hop(&routes, dst);
	else if (header.kind == TAP_DIRECT)
		hop = known_hop(&direct, dst);
	if (!hop)
		return drop(DROP_CONTROL);
	count(CONTROL_OUT);
	return send(skb, cfg, cfg->self, dst, hop, HOP_LIMIT);
}

#endif

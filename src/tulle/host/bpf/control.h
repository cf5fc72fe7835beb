/* The daemon's own frames: heartbeats in Weave Net's form, and echo probes that kernels answer among themselves.
 *
 * On the wire both MAC addresses are zero. No container can send such a frame: bridges refuse a zero source.
 */
#ifndef TULLE_CONTROL_H
#define TULLE_CONTROL_H

#include "send.h"

#define HEARTBEAT_ETHERTYPE 0

struct arrival {
	__u32 src, dst;
	__u32 remote;
	__u32 hops_left;
};

/* Hand a frame to the daemon. If there is no daemon there is no TAP, and the frame goes nowhere. */
static __always_inline int to_daemon(struct __sk_buff *skb, const struct config *cfg, const struct arrival *from)
{
	struct tap_header header = {
		.kind = TAP_DIRECT,
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

/* Turn an echo round. A neighbour's goes back where it came from; one that was relayed takes our route to its
 * source. Either way the answer is no bigger than the question and goes to a peer that the daemon told us of.
 */
static __always_inline int answer_echo(struct __sk_buff *skb, const struct config *cfg, const struct arrival *from)
{
	const struct hop *hop = known_hop(&direct, from->src);
	__u8 op = ECHO_ANSWER;

	if (!hop || hop->remote != from->remote)
		hop = from->hops_left < HOP_LIMIT ? known_hop(&routes, from->src) : NULL;
	if (!hop)
		return drop(DROP_CONTROL);
	if (bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct echo, op), &op, sizeof(op), 0))
		return drop(DROP_MALFORMED);
	count(ECHO_ANSWERED);
	return send(skb, cfg, cfg->self, from->src, hop, HOP_LIMIT);
}

/* A control frame for this host, from the wire. */
static __always_inline int take_control(struct __sk_buff *skb, const struct config *cfg, __be16 ethertype,
					const struct arrival *from)
{
	struct echo echo;

	if (ethertype == bpf_htons(HEARTBEAT_ETHERTYPE))
		return known_hop(&direct, from->src) ? to_daemon(skb, cfg, from) : drop(DROP_CONTROL);
	if (ethertype != bpf_htons(ECHO_ETHERTYPE) || bpf_skb_load_bytes(skb, ETH_HLEN, &echo, sizeof(echo)) ||
	    echo.magic != bpf_htonl(ECHO_MAGIC))
		return drop(DROP_CONTROL);
	if (echo.op == ECHO_ASK)
		return answer_echo(skb, cfg, from);
	return to_daemon(skb, cfg, from);
}

/* A frame that the daemon wrote into the TAP. */
static __always_inline int send_control(struct __sk_buff *skb, const struct config *cfg)
{
	const __u8 zero[2 * ETH_ALEN] = {};
	const struct hop *hop;
	struct tap_header header;
	__u32 dst;

	if (bpf_skb_load_bytes(skb, 0, &header, sizeof(header)) || bpf_skb_store_bytes(skb, 0, zero, sizeof(zero), 0))
		return drop(DROP_MALFORMED);
	dst = bpf_ntohs(header.dst);
	if (header.kind == TAP_ROUTED)
		hop = known_hop(&routes, dst);
	else
		hop = header.kind == TAP_DIRECT ? known_hop(&direct, dst) : NULL;
	if (!hop)
		return drop(DROP_CONTROL);
	count(CONTROL_OUT);
	return send(skb, cfg, cfg->self, dst, hop, HOP_LIMIT);
}

#endif

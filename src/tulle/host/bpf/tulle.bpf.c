/* The data path between hosts, in the kernel.
 *
 * One VXLAN device in `external` mode is a port of the host's bridge. from_bridge, on its egress, gives each frame that
 * leaves the bridge its tunnel: the MAC table says which peer, the routes say over which address. from_wire, on its
 * ingress, takes what arrives: passes on what is for another peer, learns where MAC addresses live, copies broadcasts to
 * our children in the tree of their source, and lets the rest up into the bridge. from_tap sends the daemon's own frames.
 * from_container, at a container's port of the bridge, takes what is for one container of another host past the bridge, and
 * what comes from there for such a port goes the same way: bridge and packet filter cost more than all of this. They have the
 * first frame of each moment, and all that is for local containers, for everybody, or for those whom nobody knows.
 *
 * The VNI is the destination's short id << 12 | the source's, and stays the same over relays, except that each copy of a
 * broadcast names the host it is for.
 *
 * A frame can never circle. Broadcasts are taken only from the one parent in their source's tree, no frame goes back to the
 * neighbour it came from, and the outer TTL counts relays down, so what slips through while hosts disagree ends too.
 *
 * Nothing here writes to a frame directly, only by helper calls: a program with direct writes has every cloned skb copied
 * before it starts.
 */
#include <stdbool.h>
#include <stddef.h>
#include "control.h"

/* Send what is for everybody, or for a MAC address that nobody knows, along our own tree. */
static __noinline int spread_own(struct __sk_buff *skb, const struct config *cfg)
{
	__u32 self = cfg->self;
	const struct tree *tree = bpf_map_lookup_elem(&trees, &self);
	struct flood flood = { .skb = skb, .cfg = cfg, .tree = tree, .src = self, .hops_left = HOP_LIMIT };

	return tree && flood_by_tunnel(&flood) ? flood_by_sleeve(&flood) : TC_ACT_SHOT;
}

/* Send to one peer: by its lane if there is one, else to the next hop. The lane or the tunnel may be the device that the
 * frame is leaving by already.
 */
static __always_inline int send_to(struct __sk_buff *skb, const struct config *cfg, const struct talk *talk)
{
	count_sent(skb, talk->peer);
	if (talk->device)
		return talk->device == skb->ifindex ? TC_ACT_OK : send_by_lane(skb, talk->device);
	if (skb->ifindex != cfg->vx_if || talk->hop.carrier == CARRIER_SLEEVE)
		return send(skb, cfg, cfg->self, talk->peer, &talk->hop, HOP_LIMIT);
	return aim(skb, cfg->self, talk->peer, &talk->hop, HOP_LIMIT) ? drop(DROP_SEND) : TC_ACT_OK;
}

/* Find the way for the first frame of a talk, and send it. */
static __always_inline int begin_talk(struct __sk_buff *skb, const struct config *cfg, struct talk *talk, struct talk *begun)
{
	const struct hop *hop = known_hop(&routes, begun->peer);

	if (!hop)
		return drop(DROP_NO_ROUTE);
	begun->hop = *hop;
	begun->device = lane_to(begun->peer, hop);
	*talk = *begun;
	return send_to(skb, cfg, talk);
}

/* Has this frame been through here, on another device? Containers can write tc_index, but no tunnel key, and what they
 * could make pass a lane unseen is nothing that the other end would not look at.
 */
static __always_inline int is_done(struct __sk_buff *skb, const struct config *cfg)
{
	int done = is_aimed(skb) || (skb->tc_index == LANED && skb->ifindex != cfg->vx_if);

	skb->tc_index = 0;
	return done;
}

/* On the egress of the tunnel device and of the lanes. */
SEC("tc")
int from_bridge(struct __sk_buff *skb)
{
	const struct config *cfg;
	struct talk *talk;
	struct ethhdr *eth;
	mac_t src, dst;
	__u32 peer, port;
	__u64 when;
	int group;

	cfg = our_config();
	if (!cfg || !cfg->vx_if)
		return drop(DROP_UNCONFIGURED);
	if (skb->tc_index && is_done(skb, cfg))
		return TC_ACT_OK;
	eth = ethernet(skb);
	if (!eth)
		return drop(DROP_MALFORMED);
	if (is_link_control(eth->h_dest))
		return drop(DROP_LINK_CONTROL);
	src = mac_key(eth->h_source);
	dst = mac_key(eth->h_dest);
	group = is_group(eth->h_dest);
	if (is_resolver_arp(skb, eth->h_proto, cfg->resolver))
		return drop(DROP_RESOLVER_ARP);
	if (is_router_advert(skb, eth->h_proto))
		return drop(DROP_ROUTER_ADVERT);
	port = port_of(skb);
	when = moment(cfg);
	talk = talk_slot(src, dst);
	if (!talk)
		return drop(DROP_UNCONFIGURED);
	if (is_known_talk(talk, src, dst, when, port))
		return send_to(skb, cfg, talk);
	if (dst == SEALED_MAC)
		return drop(DROP_CONTROL);
	if (!learn(src, LOCAL_PLACE, port))
		return drop(DROP_LOOP);
	peer = group ? NOWHERE : find(dst);
	if (peer == LOCAL_PLACE)
		return drop(DROP_LOCAL);
	if (group && is_own_query(skb, eth->h_proto, port))
		return drop(QUERIES_KEPT);
	if (peer == NOWHERE)
		return spread_own(skb, cfg);
	return begin_talk(skb, cfg, talk, &(struct talk){ .src = src, .dst = dst, .when = when, .peer = peer, .port = port });
}

/* On the ingress of a container's port of the bridge. The first frame of a talk in each moment goes over the bridge, which so
 * goes on to know who is where, and may refuse; only if it came through to from_bridge, others follow past the bridge.
 */
SEC("tc")
int from_container(struct __sk_buff *skb)
{
	const struct config *cfg = our_config();
	struct ethhdr *eth = ethernet(skb);
	__u32 port = skb->ifindex;
	struct talk *talk;
	mac_t src, dst;

	if (!cfg || !cfg->vx_if || !cfg->bypass || !eth)
		return TC_ACT_OK;
	src = mac_key(eth->h_source);
	dst = mac_key(eth->h_dest);
	talk = talk_slot(src, dst);
	if (!is_known_talk(talk, src, dst, moment(cfg), port)) {
		allow_bypass(src, port);
		return TC_ACT_OK;
	}
	if (eth->h_proto == bpf_htons(ETH_P_ARP) || is_router_advert(skb, eth->h_proto))
		return TC_ACT_OK;
	return send_to(skb, cfg, talk);
}

#define PACKET_HOST 0   /* in skb->pkt_type: for the device itself. The tunnel's has made it then: nothing on the wire is for it */

/* Our own vxlan device found a frame too big for the underlay and turned it into an ICMP error for its sender. That is
 * right for a local container; for a frame we relayed, the error has to travel back.
 */
static __noinline int return_icmp(struct __sk_buff *skb, const struct config *cfg, const struct arrival *sent)
{
	const struct hop *hop;

	if (sent->src == cfg->self) {
		count(ICMP_DELIVERED);
		return TC_ACT_OK;
	}
	hop = known_hop(&routes, sent->src);
	if (!hop)
		return drop(DROP_NO_ROUTE);
	count(ICMP_RETURNED);
	return send(skb, cfg, sent->dst, sent->src, hop, HOP_LIMIT);
}

static __always_inline int relay(struct __sk_buff *skb, const struct config *cfg, const struct arrival *from)
{
	const struct hop *hop = known_hop(&routes, from->dst);

	if (!hop)
		return drop(DROP_NO_ROUTE);
	if (hop->remote == from->remote)
		return drop(DROP_LOOP);
	if (from->hops_left <= 1)
		return drop(DROP_HOPS);
	count(RELAYED);
	count_relayed(skb, from->dst);
	return send(skb, cfg, from->src, from->dst, hop, from->hops_left - 1);
}

/* May a broadcast of this source be taken from where it came? Each copy is taken once, since there is one parent. */
static __always_inline bool is_from_parent(const struct tree *tree, const struct arrival *from)
{
	const struct hop *hop;

	if (tree) {
		if (tree->parent != from->remote)
			count(DROP_NOT_PARENT);
		return tree->parent == from->remote;
	}
	hop = known_hop(&direct, from->src);
	if (from->remote == (SLEEVE_NEIGHBOURS | from->src) || (hop && hop->remote == from->remote))
		return true;
	count(DROP_NO_TREE);
	return false;
}

/* Copy on what is for everybody, and what is for a MAC address that nobody here knows: its source looks for it along the
 * same tree. The frame itself is for this host too; if copying spends it, that is one more copy, which comes back as TAKEN.
 */
static __noinline int spread(struct __sk_buff *skb, const struct config *cfg, const struct tree *tree,
				  const struct arrival *from)
{
	struct flood flood = {
		.skb = skb, .cfg = cfg, .tree = tree, .src = from->src, .hops_left = from->hops_left - 1, .from = from->remote,
	};

	if (!tree || tree->parent != from->remote)
		return TC_ACT_OK;
	if (from->hops_left <= 1) {
		if (tree->count)
			count(DROP_HOPS);
		return TC_ACT_OK;
	}
	if (!flood_by_tunnel(&flood))
		return TC_ACT_OK;
	skb->tc_index = TAKEN;
	if (bpf_clone_redirect(skb, cfg->vx_if, BPF_F_INGRESS))
		count(DROP_SEND);
	skb->tc_index = 0;
	return flood_by_sleeve(&flood);
}

/* A frame that holds sealed ones came by a tunnel. By the sleeve the daemon has it already. */
static __noinline int open_sealed(struct __sk_buff *skb, const struct config *cfg, const struct arrival *from)
{
	struct hop here = { .remote = cfg->self };
	struct data_header header = data_header(from->src, from->dst, &here, from->hops_left);

	return is_by_sleeve(from->remote) ? drop(DROP_CONTROL) : send_by_sleeve(skb, cfg, &header);
}

/* Into the container behind a port, past the bridge and the port's own queues; without a port, up into the bridge. What the
 * tunnel's packet was marked with would count in there, and a packet for others is what the tunnel device took it for. A frame
 * for a port whose container has just gone is lost uncounted.
 */
static __always_inline int hand_over(struct __sk_buff *skb, __u32 port)
{
	if (!port)
		return TC_ACT_OK;
	skb->mark = 0;
	skb->priority = 0;
	return bpf_skb_change_type(skb, PACKET_HOST) ? drop(DROP_SEND) : bpf_redirect_peer(port, 0);
}

/* Have the bridge learn where a sender is, of which it gets no frames: by a copy for that sender itself, which it does not send
 * back to where it came from. Fails if the frame is not what it was.
 */
static __noinline long show_to_bridge(struct __sk_buff *skb, const struct config *cfg)
{
	__u8 dst[ETH_ALEN], src[ETH_ALEN];

	if (bpf_skb_load_bytes(skb, 0, dst, sizeof(dst)) || bpf_skb_load_bytes(skb, ETH_ALEN, src, sizeof(src)) ||
	    bpf_skb_store_bytes(skb, 0, src, sizeof(src), 0))
		return -1;
	skb->tc_index = TAKEN;
	if (bpf_clone_redirect(skb, cfg->vx_if, BPF_F_INGRESS))
		count(DROP_SEND);
	skb->tc_index = 0;
	return bpf_skb_store_bytes(skb, 0, dst, sizeof(dst), 0);
}

/* A frame that this processor has not just seen the like of. */
static __always_inline int take(struct __sk_buff *skb, const struct config *cfg, mac_t src, mac_t dst, int group,
				struct talk *talk, const struct arrival *from)
{
	struct talk begun = { .src = src, .dst = dst, .peer = from->src, .port = FROM_WIRE };
	const struct tree *tree = NULL;
	int unknown;

	if (dst == SEALED_MAC)
		return open_sealed(skb, cfg, from);
	unknown = !group && find(dst) == NOWHERE;
	if (group || unknown)
		tree = bpf_map_lookup_elem(&trees, &from->src);
	if (group && !is_from_parent(tree, from))
		return TC_ACT_SHOT;
	if (!learn(src, from->src, 0))
		return drop(DROP_LOOP);
	count_received(skb, from->src);
	if (group || unknown)
		return spread(skb, cfg, tree, from);
	begun.when = moment(cfg);
	begun.device = cfg->bypass ? port_to(dst) : 0;
	if (talk)
		*talk = begun;
	if (begun.device && show_to_bridge(skb, cfg))
		return drop(DROP_SEND);
	return hand_over(skb, begun.device);
}

static __always_inline int deliver(struct __sk_buff *skb, const struct config *cfg, const struct ethhdr *eth,
				   const struct arrival *from)
{
	mac_t src = mac_key(eth->h_source), dst = mac_key(eth->h_dest);
	int group = is_group(eth->h_dest);
	struct talk *talk;

	if (is_group(eth->h_source))
		return drop(DROP_MALFORMED);
	if (is_resolver_arp(skb, eth->h_proto, cfg->resolver))
		return drop(DROP_RESOLVER_ARP);
	if (is_router_advert(skb, eth->h_proto))
		return drop(DROP_ROUTER_ADVERT);
	talk = talk_slot(src, dst);
	if (!is_known_talk(talk, src, dst, moment(cfg), FROM_WIRE) || talk->peer != from->src)
		return take(skb, cfg, src, dst, group, talk, from);
	count_received(skb, from->src);
	return hand_over(skb, talk->device);
}

/* Where a frame on the ingress of the tunnel device came from. False if nothing tells. */
static __always_inline bool find_arrival(struct __sk_buff *skb, struct arrival *from)
{
	struct bpf_tunnel_key key;

	if (bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0))
		return came_by_sleeve(skb, from);
	from->src = key.tunnel_id & (IDS - 1);
	from->dst = key.tunnel_id >> ID_BITS & (IDS - 1);
	from->remote = key.remote_ipv4;
	from->hops_left = key.tunnel_ttl;
	return true;
}

/* On the ingress of the tunnel device: what came through tunnels, and what from_tap sends here. */
SEC("tc")
int from_wire(struct __sk_buff *skb)
{
	const struct config *cfg = our_config();
	struct arrival from;
	struct ethhdr *eth;
	__be16 ethertype;

	if (!cfg || !cfg->vx_if)
		return drop(DROP_UNCONFIGURED);
	eth = ethernet(skb);
	if (!eth)
		return drop(DROP_MALFORMED);
	if (!find_arrival(skb, &from))
		return skb->tc_index == TAKEN ? TC_ACT_OK : drop(DROP_MALFORMED);
	ethertype = eth->h_proto;
	if (skb->pkt_type == PACKET_HOST)
		return return_icmp(skb, cfg, &from);
	if (from.src == cfg->self)
		return drop(DROP_OWN_ID);
	if (is_zero(eth->h_source)) {
		if (from.dst == cfg->self)
			return take_control(skb, cfg, ethertype, &from);
		if (ethertype != bpf_htons(ECHO_ETHERTYPE))
			return drop(DROP_CONTROL);
	}
	if (from.dst != cfg->self)
		return relay(skb, cfg, &from);
	return deliver(skb, cfg, eth, &from);
}

/* Ingress of a lane: frames for one MAC address, from the one peer that it belongs to. */
SEC("tc")
int from_lane(struct __sk_buff *skb)
{
	const struct config *cfg = our_config();
	__u32 device = skb->ifindex;
	const __u32 *peer = bpf_map_lookup_elem(&lane_peers, &device);
	const struct hop *neighbour = peer ? known_hop(&direct, *peer) : NULL;
	struct ethhdr *eth = ethernet(skb);
	struct arrival from;

	if (!cfg || !cfg->vx_if)
		return drop(DROP_UNCONFIGURED);
	if (!eth || !peer || !neighbour)
		return drop(DROP_LANE);
	from.src = *peer;
	from.dst = cfg->self;
	from.remote = neighbour->remote;
	from.hops_left = HOP_LIMIT;
	if (skb->pkt_type == PACKET_HOST)
		return return_icmp(skb, cfg, &(struct arrival){ .src = cfg->self });
	if (is_zero(eth->h_source))
		return take_lane_control(skb, cfg, eth->h_proto, &from);
	if (is_group(eth->h_dest))
		return drop(DROP_LANE);
	return deliver(skb, cfg, eth, &from);
}

SEC("tc")
int from_tap(struct __sk_buff *skb)
{
	const struct config *cfg = our_config();
	__u8 kind;

	if (!cfg || !cfg->vx_if)
		return drop(DROP_UNCONFIGURED);
	if (bpf_skb_load_bytes(skb, 0, &kind, sizeof(kind)))
		return drop(DROP_MALFORMED);
	return kind == TAP_DATA ? take_from_sleeve(skb, cfg) : send_control(skb, cfg);
}

char LICENSE[] SEC("license") = "Apache-2.0";

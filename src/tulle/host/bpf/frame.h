/* Reading frames: what kind is this? And the table of MAC addresses. */
#ifndef TULLE_FRAME_H
#define TULLE_FRAME_H

#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include "maps.h"

#define RECENT 1        /* ticks (about seconds) in which a MAC address cannot change sides */
#define FORGOTTEN 560   /* ticks after which a silent local MAC address counts as unknown: ten minutes */

struct arp_ipv4 {
	__u8 fixed[8];
	__u8 sender_mac[6];
	__be32 sender;
	__u8 target_mac[6];
	__be32 target;
} __attribute__((packed));

static __always_inline int drop(__u32 why)
{
	count(why);
	return TC_ACT_SHOT;
}

static __always_inline struct config *our_config(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&config, &zero);
}

/* The Ethernet header, or NULL if there is none. */
static __always_inline struct ethhdr *ethernet(const struct __sk_buff *skb)
{
	struct ethhdr *eth = (void *)(long)skb->data;

	return (void *)(eth + 1) <= (void *)(long)skb->data_end ? eth : NULL;
}

static __always_inline int is_group(const __u8 *mac)
{
	return mac[0] & 1;
}

static __always_inline int is_zero(const __u8 *mac)
{
	return !(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]);
}

/* Bridge protocols (spanning tree, pause, LLDP): they belong to one segment. */
static __always_inline int is_link_control(const __u8 *mac)
{
	return mac[0] == 0x01 && mac[1] == 0x80 && mac[2] == 0xc2 && !mac[3] && !mac[4] && !(mac[5] & 0xf0);
}

/* Every host's bridge has the resolver's address, so nobody may hear of another host's. */
static __always_inline int is_resolver_arp(struct __sk_buff *skb, __be16 ethertype, __be32 resolver)
{
	struct arp_ipv4 arp;

	if (ethertype != bpf_htons(ETH_P_ARP) || !resolver)
		return 0;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, &arp, sizeof(arp)))
		return 0;
	return arp.sender == resolver || arp.target == resolver;
}

static __always_inline __u32 ticks(void)
{
	return bpf_ktime_get_coarse_ns() >> 30;
}

static __always_inline struct mac mac_key(const __u8 *bytes)
{
	struct mac key = {};

	__builtin_memcpy(key.bytes, bytes, sizeof(key.bytes));
	return key;
}

/* The port of the bridge that a frame came in by, 0 for the host itself. What the host announces in the name of a
 * container counts as coming from that container's port. Containers can set neither mark nor priority of what arrives here.
 */
static __always_inline __u32 port_of(struct __sk_buff *skb)
{
	if (!skb->ingress_ifindex && skb->priority == ANNOUNCED)
		return skb->mark;
	return skb->ingress_ifindex;
}

/* Note that this MAC address lives at a peer, or here behind a port of the bridge. False if it was just seen elsewhere and
 * one of the two places is here: then somebody has connected bridges behind our back, and this frame has been here before.
 */
static __always_inline int learn(const struct mac *key, __u32 peer, __u32 port)
{
	struct place *place = bpf_map_lookup_elem(&macs, key);
	struct place fresh = { .peer = peer, .seen = ticks(), .port = port };

	if (place && place->peer == peer && place->port == port) {
		if (place->seen != fresh.seen)
			place->seen = fresh.seen;
		return 1;
	}
	if (place && (place->peer == LOCAL_PLACE || peer == LOCAL_PLACE) && fresh.seen - place->seen <= RECENT)
		return 0;
	bpf_map_update_elem(&macs, key, &fresh, BPF_ANY);
	count(LEARNED);
	return 1;
}

#endif

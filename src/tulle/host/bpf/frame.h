/* Reading frames: what kind is this? */
#ifndef TULLE_FRAME_H
#define TULLE_FRAME_H

#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include "maps.h"

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

#endif

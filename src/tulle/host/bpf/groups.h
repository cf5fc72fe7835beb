/* Multicast groups: which copies along a tree have listeners, and what of IPv6 and group management stays on its host.
 *
 * What hangs on one child in the tree of one source is a branch. A branch that is found here gets the groups that are listed
 * for it; one that is not found gets everything, and so do all when the daemon has not said for a while that the lists are
 * true. groups_maps.py has the other side.
 */
#ifndef TULLE_GROUPS_H
#define TULLE_GROUPS_H

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include "talks.h"

#define MAX_BRANCHES 131072
#define MAX_LISTENERS 131072
#define MOST_HEADERS 4      /* between the IPv6 header and what it carries; a packet with more has something to hide */
#define IGMP_QUERY 0x11
#define MLD_QUERY 130
#define MLD_REPORT 131
#define MLD_DONE 132
#define ROUTER_ADVERT 134
#define MLD2_REPORT 143
#define LINK_LOCAL_SCOPE 2

struct address {
	__u8 bytes[16];             /* IPv4 mapped into IPv6 */
};

struct twig {
	__u32 source, child;        /* short ids */
};

struct listener {
	__u64 branch;
	struct address group;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_BRANCHES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct twig);
	__type(value, __u64);
} branches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_LISTENERS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct listener);
	__type(value, __u8);
} listeners SEC(".maps");

/* The last tick in which the two are to be believed. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} pruned_until SEC(".maps");

struct audience {
	__u32 limited;              /* 0: everybody */
	struct address group;       /* all zeros: those who get everything, and nobody else */
};

/* The type of an ICMPv6 message, or 0 for another packet. */
static __noinline __u32 icmp6_type(struct __sk_buff *skb)
{
	__u32 at = ETH_HLEN + sizeof(struct ipv6hdr);
	__u8 next = 0, part[4];

	if (bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, nexthdr), &next, 1))
		return 0;
#pragma unroll
	for (int i = 0; i <= MOST_HEADERS; i++) {
		if (bpf_skb_load_bytes(skb, at, part, sizeof(part)))
			return 0;
		if (next == IPPROTO_ICMPV6)
			return part[0];
		if (next == IPPROTO_FRAGMENT) {
			if (part[2] || part[3] & 0xf8)
				return 0;       /* not the first fragment: what follows is in the midst of something */
			part[1] = 0;
		} else if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS) {
			return 0;
		}
		at += (part[1] + 1) * 8;
		next = part[0];
	}
	return ROUTER_ADVERT;
}

/* Nobody on the network believes routers that are advertised there, so nobody needs to hear of them. */
static __always_inline int is_router_advert(struct __sk_buff *skb, __be16 ethertype)
{
	return ethertype == bpf_htons(ETH_P_IPV6) && icmp6_type(skb) == ROUTER_ADVERT;
}

static __always_inline __u32 igmp_type(struct __sk_buff *skb, const struct iphdr *ip)
{
	__u8 type = 0;

	if (ip->protocol != IPPROTO_IGMP || bpf_skb_load_bytes(skb, ETH_HLEN + ip->ihl * 4, &type, sizeof(type)))
		return 0;
	return type;
}

/* Each host's bridge asks its own containers who listens. It needs no help from other bridges, and must not silence them. */
static __always_inline int is_own_query(struct __sk_buff *skb, __be16 ethertype, __u32 port)
{
	struct iphdr ip;

	if (port)
		return 0;
	if (ethertype == bpf_htons(ETH_P_IPV6))
		return icmp6_type(skb) == MLD_QUERY;
	if (ethertype != bpf_htons(ETH_P_IP) || bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
		return 0;
	return igmp_type(skb, &ip) == IGMP_QUERY;
}

static __always_inline void find_ipv4_audience(struct __sk_buff *skb, struct audience *to)
{
	struct iphdr ip;
	__u32 group, message;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
		return;
	group = bpf_ntohl(ip.daddr);
	message = igmp_type(skb, &ip);
	if (message) {
		to->limited = message != IGMP_QUERY;
	} else if (group >> 28 == 0xe && group >> 8 != 0xe00000) {
		to->limited = 1;
		to->group.bytes[10] = to->group.bytes[11] = 0xff;
		__builtin_memcpy(&to->group.bytes[12], &ip.daddr, sizeof(ip.daddr));
	}
}

static __always_inline void find_ipv6_audience(struct __sk_buff *skb, struct audience *to)
{
	struct address group;
	__u32 message;

	if (bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, daddr), &group, sizeof(group)))
		return;
	message = icmp6_type(skb);
	if (message == MLD_REPORT || message == MLD_DONE || message == MLD2_REPORT) {
		to->limited = 1;
	} else if (group.bytes[0] == 0xff && (group.bytes[1] & 0xf) > LINK_LOCAL_SCOPE) {
		to->limited = 1;
		to->group = group;
	}
}

/* Who is to get a frame that goes along a tree: everybody, or the listeners of its group. What concerns one link only always
 * goes to everybody, since some of its listeners never say that they are. Reports are for multicast routers alone.
 */
static __noinline int find_audience(struct __sk_buff *skb, struct audience *to)
{
	struct ethhdr *eth = ethernet(skb);
	__u32 zero = 0;
	const __u32 *until = bpf_map_lookup_elem(&pruned_until, &zero);

	if (!to)
		return 0;
	__builtin_memset(to, 0, sizeof(*to));
	if (!eth || !is_group(eth->h_dest) || !until || (__s32)(*until - ticks()) < 0)
		return 0;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		find_ipv4_audience(skb, to);
	else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		find_ipv6_audience(skb, to);
	return 0;
}

/* Does what hangs on this child of ours get the frame? */
static __always_inline int is_wanted(const struct audience *by, __u32 source, __u32 child)
{
	struct twig twig = { .source = source, .child = child };
	struct listener listener = { .group = by->group };
	const __u64 *branch;

	if (!by->limited)
		return 1;
	branch = bpf_map_lookup_elem(&branches, &twig);
	if (!branch)
		return 1;
	listener.branch = *branch;
	return bpf_map_lookup_elem(&listeners, &listener) != NULL;
}

#endif

/* The maps, and counting. */
#ifndef TULLE_MAPS_H
#define TULLE_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "layout.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct config);
} config SEC(".maps");

/* Where MAC addresses live: learned from every frame. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_MACS);
	__type(key, mac_t);
	__type(value, struct place);
} macs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_TALKS);
	__type(key, __u32);
	__type(value, struct talk);
} talks SEC(".maps");

/* The next hop towards each peer. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, IDS);
	__type(key, __u32);
	__type(value, struct hop);
} routes SEC(".maps");

/* Each neighbour's own address, whatever the routes say: for heartbeats and probes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, IDS);
	__type(key, __u32);
	__type(value, struct hop);
} direct SEC(".maps");

/* The broadcast tree of each source as seen from here. A hash, because its elements are replaced as a whole. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, IDS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct tree);
} trees SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, IDS);
	__type(key, __u32);
	__type(value, struct lane);
} lanes SEC(".maps");

/* Which peer is at the other end of a lane, by its device. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_LANES);
	__type(key, __u32);
	__type(value, __u32);
} lane_peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, IDS);
	__type(key, __u32);
	__type(value, struct traffic);
} traffic SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

static __always_inline struct config *our_config(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&config, &zero);
}

static __always_inline void count(__u32 what)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &what);

	if (value)
		(*value)++;
}

/* How many packets a frame is on the wire. Of one that a program has made shorter the kernel knows only their size. */
static __always_inline __u32 packets(const struct __sk_buff *skb)
{
	if (skb->gso_segs)
		return skb->gso_segs;
	return skb->gso_size ? (skb->len + skb->gso_size - 1) / skb->gso_size : 1;
}

static __always_inline void count_sent(const struct __sk_buff *skb, __u32 peer)
{
	struct traffic *t = bpf_map_lookup_elem(&traffic, &peer);

	if (t) {
		t->tx_packets += packets(skb);
		t->tx_bytes += skb->len;
	}
}

static __always_inline void count_received(const struct __sk_buff *skb, __u32 peer)
{
	struct traffic *t = bpf_map_lookup_elem(&traffic, &peer);

	if (t) {
		t->rx_packets += packets(skb);
		t->rx_bytes += skb->len;
	}
}

static __always_inline void count_relayed(const struct __sk_buff *skb, __u32 peer)
{
	struct traffic *t = bpf_map_lookup_elem(&traffic, &peer);

	if (t) {
		t->relay_packets += packets(skb);
		t->relay_bytes += skb->len;
	}
}

#endif

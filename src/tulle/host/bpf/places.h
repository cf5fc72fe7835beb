/* Where MAC addresses live: learned from every frame, asked for every frame.
 *
 * Between two copies of sixty kilobytes little of a big table is left in the caches, so each processor keeps the few places
 * it is using in a small table of its own. What it finds there is at most a tick old, and void as soon as any MAC address
 * has moved.
 */
#ifndef TULLE_PLACES_H
#define TULLE_PLACES_H

#include "frame.h"

#define NOWHERE 0xfffffffe  /* "peer" of a MAC address that nobody knows */
#define GUARDED 1           /* ticks (about seconds) in which a MAC address cannot change sides */
#define FORGOTTEN 560       /* ticks after which a silent local MAC address counts as unknown: ten minutes */

static __always_inline __u32 ticks(void)
{
	return bpf_ktime_get_coarse_ns() >> 30;
}

/* The time as far as places are concerned. */
static __always_inline __u64 moment(const struct config *cfg)
{
	return (__u64)cfg->moves << 32 | ticks();
}

static __always_inline mac_t mac_key(const __u8 *b)
{
	return (mac_t)b[0] | (mac_t)b[1] << 8 | (mac_t)b[2] << 16 | (mac_t)b[3] << 24 | (mac_t)b[4] << 32 |
	       (mac_t)b[5] << 40;
}

static __always_inline struct recent *recent_slot(mac_t mac)
{
	__u32 index = (mac >> 40 ^ mac >> 29) & (MAX_RECENT - 1);

	return bpf_map_lookup_elem(&recent, &index);
}

static __always_inline void remember(mac_t mac, __u64 when, const struct place *place)
{
	struct recent *slot = recent_slot(mac);

	if (slot) {
		slot->mac = mac;
		slot->when = when;
		slot->peer = place->peer;
		slot->port = place->port;
	}
}

static __noinline __u32 find_in_table(mac_t mac, __u64 when)
{
	const struct place *place = bpf_map_lookup_elem(&macs, &mac);

	if (!place || (place->peer == LOCAL_PLACE && (__u32)when - place->seen >= FORGOTTEN))
		return NOWHERE;
	remember(mac, when, place);
	return place->peer;
}

/* The peer at which a MAC address lives, or LOCAL_PLACE, or NOWHERE. */
static __always_inline __u32 find(mac_t mac, __u64 when)
{
	const struct recent *slot = recent_slot(mac);

	if (slot && slot->mac == mac && slot->when == when)
		return slot->peer;
	return find_in_table(mac, when);
}

static __always_inline void move(mac_t mac, const struct place *to, int known)
{
	struct config *cfg = our_config();

	bpf_map_update_elem(&macs, &mac, to, BPF_ANY);
	if (known && cfg)
		__sync_fetch_and_add(&cfg->moves, 1);
	count(LEARNED);
}

static __noinline int learn_in_table(mac_t mac, __u64 when, __u32 peer, __u32 port)
{
	struct place *place = bpf_map_lookup_elem(&macs, &mac);
	struct place now = { .peer = peer, .seen = when, .port = port };

	if (place && place->peer == peer && place->port == port) {
		place->seen = now.seen;
	} else {
		if (place && (place->peer == LOCAL_PLACE || peer == LOCAL_PLACE) && now.seen - place->seen <= GUARDED)
			return 0;
		move(mac, &now, place != NULL);
	}
	remember(mac, when, &now);
	return 1;
}

/* The port of the bridge that a frame came in by, 0 for the host itself. What the host announces in the name of a
 * container counts as coming from that container's port. Containers can set neither mark nor priority of what arrives here.
 * The mark has done its duty then; left on the frame it would choose routes for the tunnel's packets.
 */
static __always_inline __u32 port_of(struct __sk_buff *skb)
{
	__u32 port = skb->ingress_ifindex;

	if (!port && skb->priority == ANNOUNCED) {
		port = skb->mark;
		skb->mark = 0;
	}
	return port;
}

/* Note that this MAC address lives at a peer, or here behind a port of the bridge. False if it was just seen elsewhere and
 * one of the two places is here: then somebody has connected bridges behind our back, and this frame has been here before.
 */
static __always_inline int learn(mac_t mac, __u64 when, __u32 peer, __u32 port)
{
	const struct recent *slot = recent_slot(mac);

	if (slot && slot->mac == mac && slot->when == when && slot->peer == peer && slot->port == port)
		return 1;
	return learn_in_table(mac, when, peer, port);
}

#endif

/* Where MAC addresses live: learned from frames, asked for frames. */
#ifndef TULLE_PLACES_H
#define TULLE_PLACES_H

#include "frame.h"

#define NOWHERE 0xfffffffe  /* "peer" of a MAC address that nobody knows */
#define GUARDED 1           /* ticks (about seconds) in which a MAC address cannot change sides */
#define FRESH 4             /* ticks since the bridge took a frame from a port, in which others may be taken there past it */
#define FORGOTTEN 560       /* ticks after which a silent local MAC address counts as unknown: ten minutes */

static __always_inline __u32 ticks(void)
{
	return bpf_ktime_get_coarse_ns() >> 30;
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

/* The peer at which a MAC address lives, or LOCAL_PLACE, or NOWHERE. */
static __noinline __u32 find(mac_t mac)
{
	const struct place *place = bpf_map_lookup_elem(&macs, &mac);

	if (!place || (place->peer == LOCAL_PLACE && ticks() - place->seen >= FORGOTTEN))
		return NOWHERE;
	return place->peer;
}

/* Make void what processors remember. */
static __always_inline void forget_talks(void)
{
	struct config *cfg = our_config();

	if (cfg)
		__sync_fetch_and_add(&cfg->moves, 1);
}

/* Note that frames for a MAC address that lives behind this port may go there past the bridge. */
static __always_inline void allow_bypass(mac_t mac, __u32 port)
{
	struct place *place = bpf_map_lookup_elem(&macs, &mac);

	if (place && !place->bypass && place->peer == LOCAL_PLACE && place->port == port) {
		place->bypass = 1;
		forget_talks();
	}
}

/* The container's port behind which a MAC address lives, if frames may go there past the bridge; else 0. Only as long as the
 * bridge itself takes frames from there: whoever closes the port, or takes it off the bridge, means both directions.
 */
static __noinline __u32 port_to(mac_t mac)
{
	const struct place *place = bpf_map_lookup_elem(&macs, &mac);

	if (!place || !place->bypass || place->peer != LOCAL_PLACE || ticks() - place->seen > FRESH)
		return 0;
	return place->port;
}

/* Note that this MAC address lives at a peer, or here behind a port of the bridge. False if it was just seen elsewhere and
 * one of the two places is here: then somebody has connected bridges behind our back, and this frame has been here before.
 */
static __noinline int learn(mac_t mac, __u32 peer, __u32 port)
{
	struct place *place = bpf_map_lookup_elem(&macs, &mac);
	struct place now = { .peer = peer, .seen = ticks(), .port = port };

	if (place && place->peer == peer && place->port == port) {
		if (place->seen != now.seen)
			place->seen = now.seen;
		return 1;
	}
	if (place && (place->peer == LOCAL_PLACE || peer == LOCAL_PLACE) && now.seen - place->seen <= GUARDED)
		return 0;
	bpf_map_update_elem(&macs, &mac, &now, BPF_ANY);
	if (place)
		forget_talks();
	count(LEARNED);
	return 1;
}

#endif

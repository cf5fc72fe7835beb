/* Two MAC addresses that talk: what was found out for one frame holds for the next.
 *
 * Each look-up in a big table costs a few cache misses, since the sixty kilobytes that are copied for each frame leave little
 * in the caches. So each processor keeps what it needs of the conversations it is carrying in one line of memory for each.
 */
#ifndef TULLE_TALKS_H
#define TULLE_TALKS_H

#include "places.h"

/* How long a talk is remembered: at most 2^8 jiffies, a quarter of a second to two and a half. */
static __always_inline __u64 moment(const struct config *cfg)
{
	return (__u64)cfg->moves << 32 | (__u32)(bpf_jiffies64() >> 8);
}

static __always_inline mac_t mac_key(const __u8 *bytes)
{
	return *(const __u32 *)bytes | (mac_t)*(const __u16 *)(bytes + 4) << 32;
}

static __always_inline struct talk *talk_slot(mac_t src, mac_t dst)
{
	mac_t both = src * 31 + dst;
	__u32 index = (both >> 40 ^ both >> 29) & (MAX_TALKS - 1);

	return bpf_map_lookup_elem(&talks, &index);
}

static __always_inline int is_known_talk(const struct talk *talk, mac_t src, mac_t dst, __u64 when, __u32 port)
{
	return talk && talk->src == src && talk->dst == dst && talk->when == when && talk->port == port;
}

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A map of counts like that of src/collect/: no lock, no allocation in a handler, a count for each
 * key on each CPU, and a counter for what does not fit.
 */
#include <asm/local64.h>
#include <linux/log2.h>
#include <linux/random.h>
#include <linux/vmalloc.h>

struct bench_map {
	u64 secret[2];
	unsigned int mask;
	u32 *buckets;
	struct {
		u32 next;
		u64 key;
	} *entries;
	/* The first free entry; the upper 32 bits count the changes. */
	atomic64_t free;
	u32 *next_free;
	local64_t **counters;
	atomic64_t dropped;
};

static struct bench_map *map;

static notrace __always_inline u32 map_find(struct bench_map *m, u64 key, u32 first, u32 end)
{
	u32 entry;

	for (entry = first; entry != end; entry = READ_ONCE(m->entries[entry].next))
		if (m->entries[entry].key == key)
			return entry;
	return 0;
}

static notrace void map_free(struct bench_map *m, u32 entry)
{
	s64 first = atomic64_read(&m->free);

	do {
		WRITE_ONCE(m->next_free[entry], (u32)first);
	} while (!atomic64_try_cmpxchg(&m->free, &first, (((first >> 32) + 1) << 32) | entry));
}

static notrace noinline u32 map_insert(struct bench_map *m, u32 *bucket, u64 key, u32 first)
{
	s64 free = atomic64_read(&m->free);
	u32 entry, seen, found;

	do {
		entry = free;
		if (!entry)
			return map_find(m, key, smp_load_acquire(bucket), first);
	} while (!atomic64_try_cmpxchg(&m->free, &free, (((free >> 32) + 1) << 32) |
							READ_ONCE(m->next_free[entry])));
	m->entries[entry].key = key;
	for (;;) {
		WRITE_ONCE(m->entries[entry].next, first);
		seen = cmpxchg(bucket, first, entry);
		if (seen == first)
			return entry;
		found = map_find(m, key, seen, first);
		if (found) {
			map_free(m, entry);
			return found;
		}
		first = seen;
	}
}

static notrace __always_inline void map_add(u64 key, u64 n)
{
	unsigned __int128 product;
	struct bench_map *m;
	u32 *bucket, first, entry;

	preempt_disable_notrace();
	m = READ_ONCE(map);
	product = (unsigned __int128)(key ^ m->secret[0]) * (m->secret[1] | 1);
	bucket = m->buckets + (((u64)product ^ (u64)(product >> 64)) & m->mask);
	first = smp_load_acquire(bucket);
	entry = map_find(m, key, first, 0);
	if (unlikely(!entry))
		entry = map_insert(m, bucket, key, first);
	if (likely(entry))
		local64_add(n, &m->counters[raw_smp_processor_id()][entry]);
	else
		atomic64_add(n, &m->dropped);
	preempt_enable_notrace();
}

static int map_create(u32 capacity)
{
	u32 n, cpu, buckets = roundup_pow_of_two(capacity), entries = capacity + 1;

	map = vzalloc(sizeof(*map) + entries * (sizeof(*map->entries) + sizeof(u32)) +
		      nr_cpu_ids * (sizeof(*map->counters) + entries * sizeof(local64_t)) +
		      buckets * sizeof(u32));
	if (!map)
		return -ENOMEM;
	get_random_bytes(map->secret, sizeof(map->secret));
	map->mask = buckets - 1;
	map->entries = (void *)(map + 1);
	map->counters = (void *)(map->entries + entries);
	map->counters[0] = (void *)(map->counters + nr_cpu_ids);
	for (cpu = 1; cpu < nr_cpu_ids; cpu++)
		map->counters[cpu] = map->counters[cpu - 1] + entries;
	map->buckets = (void *)(map->counters[nr_cpu_ids - 1] + entries);
	map->next_free = map->buckets + buckets;
	for (n = 1; n < capacity; n++)
		map->next_free[n] = n + 1;
	atomic64_set(&map->free, 1);
	return 0;
}

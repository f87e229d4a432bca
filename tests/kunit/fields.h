/* SPDX-License-Identifier: GPL-2.0 */
/* A struct with all kinds of members, for fields.rs. */
#include <linux/types.h>

enum kut_sign { KUT_NEGATIVE = -2, KUT_ZERO, KUT_ONE };
enum kut_color { KUT_RED = 1, KUT_GREEN, KUT_BLUE };

struct kut_part {
	u16 first;
	s32 second;
};

typedef struct {
	u8 kind;
	struct kut_fields *of;
} kut_tag_t;

struct kut_fields {
	s8 small;
	bool flag;
	enum kut_sign sign;
	enum kut_color color;
	long word;
	unsigned long long wide;
	size_t size;
	__be16 port;
	u32 type;
	const u32 fixed;
	struct {
		u32 inner;
		struct kut_part part;
	} nested;
	union {
		u32 whole;
		struct {
			u16 low, high;
		};
	};
	unsigned int bits : 3, more : 7;
	int negative : 5;
	bool bit : 1;
	enum kut_color bright : 2;
	u64 : 0;
	u64 first : 20, across : 40;
	s64 below : 37;
	struct {
		union {
			u8 deep : 4;
			u8 all;
		};
	} pair[2];
	u8 bytes[5];
	bool flags[3];
	s16 table[2][3];
	struct kut_part parts[3];
	struct kut_part *pointers[2];
	struct kut_part *part;
	struct kut_fields *next;
	struct kut_fields __rcu **link;
	u32 *number;
	const char *text;
	void (*function)(void);
	void *nothing;
	atomic_t count;
	kut_tag_t tag;
	u32 big[300];
	u32 tail[];
};

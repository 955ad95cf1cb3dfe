/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The store and the label on disk, format 2.
 *
 * Every structure is little-endian and lives in one 4 KiB block. The words
 * behind the structures, and the invariants by number, are in doc/format2.rst;
 * this file is the reference for offsets, and asserts them at build time.
 */
#ifndef SNAPPROT_FORMAT_H
#define SNAPPROT_FORMAT_H

#include "platform.h"

#define SNAPPROT_BLOCK_SHIFT		12
#define SNAPPROT_BLOCK_SIZE		4096u
#define SNAPPROT_SECTORS_PER_BLOCK	(SNAPPROT_BLOCK_SIZE >> 9)

/* The only version that this code reads and writes. */
#define SNAPPROT_FORMAT_VERSION		2
#define SNAPPROT_INCOMPAT_KNOWN		0u
#define SNAPPROT_COMPAT_RO_KNOWN	0u

/* ---- geometry of the store ------------------------------------------- */

/*
 * The store is an array of blocks in groups. The first blocks of each group
 * are fixed: superblock, bitmap and nodes of the space table have their places
 * there. The last group may be short.
 */
#define SNAPPROT_GROUP_SHIFT		15
#define SNAPPROT_GROUP_BLOCKS		(1u << SNAPPROT_GROUP_SHIFT) /* 128 MiB */
/* Blocks at the start of a group that are never allocated. */
#define SNAPPROT_GROUP_FIXED		16u
/* A last group that is shorter than this is not used. */
#define SNAPPROT_GROUP_MIN		64u
/*
 * Superblock and label have four copies, two pairs: write number n goes to the two
 * of pair n % 2, so that no write touches what the last one has written. The copies
 * of a pair lie far apart.
 */
#define SNAPPROT_COPIES			4u
#define SNAPPROT_SUPER_BLOCK_0		0u	/* of pair 0 */
#define SNAPPROT_SUPER_BLOCK_1		512u
#define SNAPPROT_SUPER_BLOCK_2		15u	/* of pair 1 */
#define SNAPPROT_SUPER_BLOCK_3		513u
/* The two slots of a group's bitmap: blocks 1 and 2 of the group. */
#define SNAPPROT_BITMAP_OFFSET		1u
/*
 * The two slots of a node of the space table at level n: blocks 3 + 2n and
 * 4 + 2n of the first group below it.
 */
#define SNAPPROT_SPACE_OFFSET		3u
#define SNAPPROT_SPACE_SHIFT		7
#define SNAPPROT_SPACE_FANOUT		(1u << SNAPPROT_SPACE_SHIFT)
#define SNAPPROT_SPACE_LEVELS		5u
#define SNAPPROT_MIN_STORE_BLOCKS	1024u	/* 4 MiB */
/* Block numbers and origin sizes stay below this, so that sums never wrap. */
#define SNAPPROT_MAX_BLOCKS		0x1000000000000ull
/* Numbers that only grow stay below, so that none ever wraps. */
#define SNAPPROT_MAX_SEQ		0x4000000000000000ull
/* From here on nothing is written, so that counting never reaches that. */
#define SNAPPROT_LAST_SEQ		0x2000000000000000ull

/*
 * Bounds on what lies between two checkpoints, so that any reader can replay
 * any log: entries of batches, and headers of any kind.
 */
#define SNAPPROT_LOG_MAX_ENTRIES	16384u
#define SNAPPROT_LOG_MAX_HEADERS	16384u
/* Blocks that a zone of the log has at most. */
#define SNAPPROT_ZONE_BLOCKS		1024u
/* And how far they may lie apart: they are of neighbouring groups. */
#define SNAPPROT_ZONE_RANGE		(4 * SNAPPROT_GROUP_BLOCKS)

#define SNAPPROT_MAX_SNAPSHOTS		4096u
/* Entries that a table in memory has at most, and chunks that make one up. */
#define SNAPPROT_MAX_TABLE		131072u
#define SNAPPROT_MAX_CHUNKS		512u
#define SNAPPROT_MAX_LEVEL		8u	/* of runs: 1 ... 8 */
#define SNAPPROT_MAX_HEIGHT		8u	/* of a run */
#define SNAPPROT_MAX_PAIRS		4096u	/* counts of a run */
#define SNAPPROT_MAX_MAPS		(2 * SNAPPROT_MAX_SNAPSHOTS)
#define SNAPPROT_MAX_DIRS		1024u	/* blocks of a directory */

/* ---- the header that every metadata block but a bitmap starts with ------ */

#define SNAPPROT_MAGIC_SUPER		0x53505353u	/* "SSPS" */
#define SNAPPROT_MAGIC_LABEL		0x4c505353u	/* "SSPL" */
#define SNAPPROT_MAGIC_LOG		0x47505353u	/* "SSPG" */
#define SNAPPROT_MAGIC_NODE		0x4e505353u	/* "SSPN" */
#define SNAPPROT_MAGIC_BITMAP		0x42505353u	/* "SSPB", never written */
#define SNAPPROT_MAGIC_SPACE		0x41505353u	/* "SSPA" */
#define SNAPPROT_MAGIC_DIR		0x44505353u	/* "SSPD" */
#define SNAPPROT_MAGIC_SNAPS		0x54505353u	/* "SSPT" */
#define SNAPPROT_MAGIC_COUNTS		0x43505353u	/* "SSPC" */

/**
 * struct snapprot_disk_header - first 48 bytes of a metadata block
 * @magic: SNAPPROT_MAGIC_*
 * @zero: zero
 * @sum: superblock, label and log, to which no pointer with a sum leads: the
 *	sum of the block, see snapprot_block_sum(). Zero in all others
 * @block: where the block belongs: its number in the store; for a label the
 *	number of the copy, 0 to 3
 * @seq: superblock and label: number of this write of it; log: number of the
 *	header in the log; all others: the checkpoint that wrote the block
 * @uuid: the volume
 */
struct snapprot_disk_header {
	__le32	magic;
	__le32	zero;
	__le64	sum;
	__le64	block;
	__le64	seq;
	__u8	uuid[16];
} __packed;

/* ident of superblock and label, padded with zeros */
#define SNAPPROT_SUPER_IDENT	"dm-snapprot\0\0\0\0"

/* A range of blocks of the store; start == end: none. */
struct snapprot_disk_range {
	__le64	start;
	__le64	end;
} __packed;

/* ---- superblock ------------------------------------------------------ */

#define SNAPPROT_SUPER_PROTECTED	0x1u	/* protection mode is on */
#define SNAPPROT_SUPER_UNLABELLED	0x4u	/* made for no label */
#define SNAPPROT_SUPER_FLAGS		5u	/* all of them */

enum snapprot_role {
	SNAPPROT_ROLE_MAIN	= 0,	/* the volume's store */
	SNAPPROT_ROLE_RESERVE	= 1,	/* small, on the origin's side */
};

#define SNAPPROT_SLOT_VALID		0x1u	/* there is one */
#define SNAPPROT_SLOT_SECOND		0x2u	/* and it is in the second slot */

/**
 * struct snapprot_disk_super - superblock, written to the places of a pair
 * @secret: key of all sums of the store; random, made by format
 * @store_id: tells the store from any other that has the UUID; random, made
 *	by format
 * @generation: moves on with every arrival of the store
 * @origin_sectors: size of the live volume, 512-byte sectors
 * @store_blocks: size of the store when this was written
 * @ckpt_seq: number of the checkpoint that the rest describes
 * @epoch: current epoch
 * @lost_epoch: snapshots of this epoch and older are lost; 0: none
 * @lost_fault: enum snapprot_fault that lost them
 * @role: enum snapprot_role
 * @log_block: where the first header after the checkpoint is, or will be
 * @log_seq: its number
 * @log_prev_sum: sum of the header before it
 * @fence_seq: a header that was known to be durable when this was written;
 *	a log that ends before it is damaged
 * @generation_seq: number of the first header of this generation: one with this
 *	number or a higher one that is of another generation is none of the log
 * @zone: the zones that the log takes its blocks from, the current one first
 * @dir: first block of the checkpoint's directory
 * @dir_sum: its sum
 * @space_level: level of the root of the space table
 * @space_slot: SNAPPROT_SLOT_* of the root
 * @space_sum: its sum
 * @space_used: blocks in use, without those that are fixed
 * @nr_snaps: snapshots in the directory's tables
 * @nr_dirs: blocks of the directory
 */
struct snapprot_disk_super {
	struct snapprot_disk_header h;		/*   0 */
	__u8	ident[16];			/*  48 SNAPPROT_SUPER_IDENT */
	__le32	version;			/*  64 */
	__le32	compat;				/*  68 */
	__le32	compat_ro;			/*  72 */
	__le32	incompat;			/*  76 */
	__le32	block_size;			/*  80 bytes */
	__le32	flags;				/*  84 */
	__u8	secret[16];			/*  88 */
	__u8	store_id[16];			/* 104 */
	__le64	generation;			/* 120 */
	__le64	origin_sectors;			/* 128 */
	__le64	store_blocks;			/* 136 */
	__le64	create_time;			/* 144 seconds since 1970, UTC */
	__le64	ckpt_seq;			/* 152 */
	__le32	epoch;				/* 160 */
	__le32	lost_epoch;			/* 164 */
	__le32	lost_fault;			/* 168 */
	__le32	role;				/* 172 */
	__le64	log_block;			/* 176 */
	__le64	log_seq;			/* 184 */
	__le64	log_prev_sum;			/* 192 */
	__le64	fence_seq;			/* 200 */
	struct snapprot_disk_range zone[2];	/* 208 */
	__le64	dir;				/* 240 */
	__le64	dir_sum;			/* 248 */
	__le32	space_level;			/* 256 */
	__le32	space_slot;			/* 260 */
	__le64	space_sum;			/* 264 */
	__le64	space_used;			/* 272 */
	__le32	nr_snaps;			/* 280 */
	__le32	nr_dirs;			/* 284 */
	__le64	generation_seq;			/* 288 */
	__u8	reserved[4096 - 296];		/* 296 zero */
} __packed;

/* ---- entries ----------------------------------------------------------- */

/*
 * What @where of an entry holds: the place in the low 48 bits, above it how
 * the old data is kept, a flag, and 12 bits that depend on the kind.
 */
#define SNAPPROT_WHERE_PLACE(where)	((where) & (SNAPPROT_MAX_BLOCKS - 1))
#define SNAPPROT_WHERE_KIND(where)	((u32)((where) >> 48) & 7u)
#define SNAPPROT_WHERE_PRECOPY		(1ull << 51)
#define SNAPPROT_WHERE_ARG(where)	((u32)((where) >> 52))
#define SNAPPROT_WHERE(kind, place)	((u64)(kind) << 48 | (place))

enum snapprot_kind {
	SNAPPROT_KIND_DATA	= 0,	/* a whole block at the place */
	SNAPPROT_KIND_ZERO	= 1,	/* zeros; place and sum are 0 */
	SNAPPROT_KIND_REMOVED	= 2,	/* in a chunk: the entry is no more */
	SNAPPROT_KIND_PACKED	= 3,	/* compressed; not yet defined */
	SNAPPROT_KIND_SET	= 4,	/* in a map: of the 64 blocks from a multiple */
					/* of 64 on, those whose bits are set, the */
					/* upper 32 in the place, the lower in sum */
	SNAPPROT_KIND_RANGE	= 5,	/* in a map: so many blocks as the place says */
};

/**
 * struct snapprot_disk_entry - one preserved block
 * @block: block of the origin in the low 48 bits; above it the branch, 0 for
 *	the live volume
 * @where: SNAPPROT_WHERE_*
 * @epoch: the epoch it was preserved in
 * @sum: of its 4 KiB, see snapprot_data_sum()
 */
struct snapprot_disk_entry {
	__le64	block;
	__le64	where;
	__le32	epoch;
	__le32	sum;
} __packed;

/* ---- snapshots --------------------------------------------------------- */

#define SNAPPROT_NAME_SIZE		64u	/* with a NUL */
#define SNAPPROT_HOLD_FOREVER		0xffffffffffffffffull

/**
 * struct snapprot_disk_snap - one snapshot
 * @id: the administrator's number, 1 ... 2^32-1
 * @epoch: reads of it take the smallest epoch that is not below
 * @time: seconds since 1970, UTC
 * @sectors: length of the origin at its instant
 * @hold: it may not be deleted before this time; 0: not held;
 *	SNAPPROT_HOLD_FOREVER
 * @flags: none yet, zero
 * @branch: zero
 * @uuid: of the snapshot
 * @source: UUID of the snapshot that it was received from, or zeros
 * @name: NUL-terminated, padded with zeros; may be empty
 */
struct snapprot_disk_snap {
	__le32	id;
	__le32	epoch;
	__le64	time;
	__le64	sectors;
	__le64	hold;
	__le32	flags;
	__le32	branch;
	__u8	uuid[16];
	__u8	source[16];
	__u8	name[SNAPPROT_NAME_SIZE];
	__u8	reserved[256 - 136];
} __packed;

/* ---- log ------------------------------------------------------------- */

enum snapprot_log_type {
	SNAPPROT_LOG_BATCH	= 1,	/* old blocks */
	SNAPPROT_LOG_CREATE	= 2,	/* a snapshot was taken */
	SNAPPROT_LOG_DELETE	= 3,	/* a snapshot was deleted */
	SNAPPROT_LOG_SET	= 4,	/* name or hold of one was changed */
	SNAPPROT_LOG_SEAL	= 5,	/* all before it is durable; no more */
};

/* A step of an unknown type with this bit may be passed over. */
#define SNAPPROT_LOG_IGNORABLE	0x8000u

#define SNAPPROT_LOG_ENTRIES	165u

/**
 * struct snapprot_disk_log - header of one step of the log
 * @type: enum snapprot_log_type
 * @count: entries of a batch; 1 for records; 0 for a seal
 * @epoch: current epoch after this step
 * @next: where the next header will be
 * @durable_seq: headers up to this number, and their data, were durable when
 *	this one was written, so that their data need not be read again
 * @prev_sum: sum of the header before, which chains the log
 * @generation: of the store when this was written
 * @zone: the zones that the steps behind this one take their blocks from
 */
struct snapprot_disk_log {
	struct snapprot_disk_header h;		/*   0 */
	__le16	type;				/*  48 */
	__le16	count;				/*  50 */
	__le32	epoch;				/*  52 */
	__le64	next;				/*  56 */
	__le64	durable_seq;			/*  64 */
	__le64	prev_sum;			/*  72 */
	__le64	generation;			/*  80 */
	struct snapprot_disk_range zone[2];	/*  88 */
	__le64	reserved;			/* 120 zero */
	union {					/* 128 */
		struct snapprot_disk_entry entry[SNAPPROT_LOG_ENTRIES];
		struct snapprot_disk_snap snap;
		__u8	body[4096 - 128];
	};
} __packed;

/* ---- runs: B+trees that are built from below --------------------------- */

#define SNAPPROT_LEAF_ENTRIES		168u
#define SNAPPROT_INNER_ENTRIES		126u

/**
 * struct snapprot_disk_child - entry of an inner node
 * @block: first key of the child
 * @place: of the child
 * @epoch: with @block, the first key
 * @max_epoch: no entry below has a higher epoch
 * @sum: of the child
 */
struct snapprot_disk_child {
	__le64	block;
	__le64	place;
	__le32	epoch;
	__le32	max_epoch;
	__le64	sum;
} __packed;

/**
 * struct snapprot_disk_node - node of a run
 * @level: 0 for a leaf
 * @count: entries in use, sorted by (block, epoch) without duplicates; unused
 *	ones are zero
 */
struct snapprot_disk_node {
	struct snapprot_disk_header h;		/*   0 */
	__le16	level;				/*  48 */
	__le16	count;				/*  50 */
	__u8	reserved[12];			/*  52 zero */
	union {					/*  64 */
		struct snapprot_disk_entry entry[SNAPPROT_LEAF_ENTRIES];
		struct snapprot_disk_child child[SNAPPROT_INNER_ENTRIES];
	};
} __packed;

/* ---- space ----------------------------------------------------------- */

/*
 * A bitmap has no header, it is all bits: block n of the group is bit n % 8,
 * from the lowest, of byte n / 8. Bits of fixed blocks, and of blocks past the
 * end of a short last group, are clear.
 */
#define SNAPPROT_BITMAP_BYTES		(SNAPPROT_GROUP_BLOCKS / 8)

/**
 * struct snapprot_disk_space_entry - a bitmap, or a lower node
 * @sum: its sum
 * @used: blocks in use below
 * @slot: SNAPPROT_SLOT_*; 0: everything below is free and has no block yet
 */
struct snapprot_disk_space_entry {
	__le64	sum;
	__le64	used;
	__le32	slot;
	__le32	reserved;
} __packed;

/**
 * struct snapprot_disk_space - node of the space table
 * @level: 0: the entries are bitmaps
 * @index: number of the node within its level
 */
struct snapprot_disk_space {
	struct snapprot_disk_header h;		/*   0 */
	__le64	level;				/*  48 */
	__le64	index;				/*  56 */
	struct snapprot_disk_space_entry entry[SNAPPROT_SPACE_FANOUT]; /* 64 */
	__u8	reserved[4096 - 64 - 24 * SNAPPROT_SPACE_FANOUT];
} __packed;

/* ---- directory of a checkpoint ----------------------------------------- */

/*
 * Types of items. What a reader does not know it handles by the range that the
 * type is in: refuses the store, reads it only, or passes over.
 */
enum snapprot_item_type {
	SNAPPROT_ITEM_RUN	= 0x0001,
	SNAPPROT_ITEM_SNAPS	= 0x0002,
	SNAPPROT_ITEM_MERGE	= 0x0003,
	SNAPPROT_ITEM_COUNTS	= 0x8001,	/* of the run before it */
};

#define SNAPPROT_ITEM_REFUSE_END	0x4000u	/* below: refuse */
#define SNAPPROT_ITEM_READ_END		0x8000u	/* below: read only; else ignore */

struct snapprot_disk_item {
	__le16	type;
	__le16	size;		/* bytes, with this; a multiple of 8 */
	__le32	reserved;
} __packed;

enum snapprot_run_role {
	SNAPPROT_RUN_CUR	= 1,	/* the run of a level */
	SNAPPROT_RUN_NEXT	= 2,	/* what it is being merged into */
	SNAPPROT_RUN_UP		= 3,	/* waits to be, or is, merged downwards */
	SNAPPROT_RUN_FILL	= 4,	/* chunk of the table that is being filled */
	SNAPPROT_RUN_DRAIN	= 5,	/* chunk of the one that is being merged */
	SNAPPROT_RUN_MAP	= 6,	/* what was written in an epoch */
	SNAPPROT_RUN_TRASH	= 7,	/* only to be freed, from @from on */
};

/**
 * struct snapprot_disk_run - item: a run
 * @role: enum snapprot_run_role
 * @level: of the LSM tree, 1 ... 8; 0 for chunks and maps
 * @height: level of the root node, 0: a leaf
 * @root: its place
 * @root_sum: and its sum
 * @nr_entries: that were put into it
 * @nr_nodes: blocks that were put into it
 * @from_block: with @from_epoch: what lies below this key was merged
 *	elsewhere, and the nodes that hold nothing else are free
 * @min_epoch: no entry has a lower epoch
 * @max_epoch: nor a higher one. Of a map: the epochs that it is of; the epoch of its
 *	entries is the last of them. A map may be empty: then @root is 0
 */
struct snapprot_disk_run {
	struct snapprot_disk_item item;		/*  0 */
	__le16	role;				/*  8 */
	__le16	level;				/* 10 */
	__le16	height;				/* 12 */
	__le16	reserved;			/* 14 */
	__le64	root;				/* 16 */
	__le64	root_sum;			/* 24 */
	__le64	nr_entries;			/* 32 */
	__le64	nr_nodes;			/* 40 */
	__le64	from_block;			/* 48 */
	__le32	from_epoch;			/* 56 */
	__le32	min_epoch;			/* 60 */
	__le32	max_epoch;			/* 64 */
	__le32	reserved2;			/* 68 */
} __packed;

/**
 * struct snapprot_disk_snaps_item - item: a table of snapshots
 */
struct snapprot_disk_snaps_item {
	struct snapprot_disk_item item;
	__le64	place;
	__le64	sum;
} __packed;

/**
 * struct snapprot_disk_merge - item: a merge into a level is under way
 * @level: into which
 * @source: 1: from the level above (or the table, for level 1), 0: what is
 *	unneeded is taken out of the level's own run
 * @cut_block: with @cut_epoch: keys below are in the level's "next", others in
 *	"cur" and in the source
 * @done: entries that were looked at
 * @total: of these, when it began
 */
struct snapprot_disk_merge {
	struct snapprot_disk_item item;		/*  0 */
	__le16	level;				/*  8 */
	__le16	source;				/* 10 */
	__le32	cut_epoch;			/* 12 */
	__le64	cut_block;			/* 16 */
	__le64	done;				/* 24 */
	__le64	total;				/* 32 */
} __packed;

#define SNAPPROT_DIR_BYTES	(4096u - 80u)

/**
 * struct snapprot_disk_dir - block of the directory, a chain
 * @next: next block, 0 for the last
 * @next_sum: its sum
 * @used: bytes of @items in use
 */
struct snapprot_disk_dir {
	struct snapprot_disk_header h;		/*   0 */
	__le64	next;				/*  48 */
	__le64	next_sum;			/*  56 */
	__le32	used;				/*  64 */
	__u8	reserved[12];			/*  68 zero */
	__u8	items[SNAPPROT_DIR_BYTES];	/*  80 */
} __packed;

#define SNAPPROT_SNAPS_PER_BLOCK	15u

/**
 * struct snapprot_disk_snaps - part of the table of snapshots, oldest first
 */
struct snapprot_disk_snaps {
	struct snapprot_disk_header h;		/*   0 */
	__le32	count;				/*  48 */
	__u8	reserved[204];			/*  52 zero */
	struct snapprot_disk_snap snap[SNAPPROT_SNAPS_PER_BLOCK]; /* 256 */
} __packed;

/**
 * struct snapprot_disk_pair - how many entries of a run have one epoch and one
 * predecessor
 * @prev: epoch of the entry before of the same block, 0: none was seen
 * @epoch: of the entry; both lowered to that of a snapshot where there is one
 * @count: entries
 */
struct snapprot_disk_pair {
	__le32	prev;
	__le32	epoch;
	__le64	count;
} __packed;

#define SNAPPROT_PAIRS_PER_BLOCK	252u

struct snapprot_disk_counts {
	struct snapprot_disk_header h;		/*   0 */
	__le32	count;				/*  48 */
	__u8	reserved[12];			/*  52 zero */
	struct snapprot_disk_pair pair[SNAPPROT_PAIRS_PER_BLOCK]; /* 64 */
} __packed;

/* ---- label ----------------------------------------------------------- */

#define SNAPPROT_LABEL_PROTECTED	0x1u	/* protection mode is on */
#define SNAPPROT_LABEL_SNAPSHOTS	0x2u	/* the store may hold some */
#define SNAPPROT_LABEL_LOST		0x4u	/* and all of those are lost */
#define SNAPPROT_LABEL_WITNESS		0x8u	/* the witness is true */
#define SNAPPROT_LABEL_FLAGS		0xfu	/* all of them */

/* The label's area, at the end of the origin or on a device of its own. */
#define SNAPPROT_LABEL_AREA		0x100000u	/* bytes: 1 MiB */
/* Blocks of the copies within the area. */
#define SNAPPROT_LABEL_BLOCK_0		0u	/* of pair 0 */
#define SNAPPROT_LABEL_BLOCK_1		255u
#define SNAPPROT_LABEL_BLOCK_2		16u	/* of pair 1 */
#define SNAPPROT_LABEL_BLOCK_3		239u
/* Blocks of the origin that the witness has. */
#define SNAPPROT_WITNESS_HEAD		16u	/* the first 64 KiB, in order */
#define SNAPPROT_WITNESS_MAX		96u

/**
 * struct snapprot_disk_witness - what a block of the origin was
 */
struct snapprot_disk_witness {
	__le64	block;
	__le64	sum;
} __packed;

/**
 * struct snapprot_disk_label - what survives without the store
 * @secret: key of its sums; random, made anew with each format
 * @store_id: of the store that belongs to it
 * @generation: generation of the store that arrived last
 * @origin_sectors: length of the live volume
 * @area_start: sector of the device where the label's area starts
 * @ckpt_seq: a checkpoint of the store that was durable
 * @log_seq: a step of its log that was durable; a store whose log ends before
 *	it, or that is behind in any other number, is an old copy
 * @epoch: its epoch then
 * @super_seq: number of a superblock of it that was durable
 * @lost_fault: enum snapprot_fault that lost the snapshots
 * @lost_time: when, seconds since 1970, UTC
 * @nr_valid: valid snapshots when this was written, for a person to read
 * @nr_lost: lost snapshots, the same
 * @nr_witness: blocks of the origin that were as @witness says when the volume
 *	was shut down; counts with SNAPPROT_LABEL_WITNESS
 */
struct snapprot_disk_label {
	struct snapprot_disk_header h;		/*   0 */
	__u8	ident[16];			/*  48 SNAPPROT_SUPER_IDENT */
	__le32	version;			/*  64 */
	__le32	compat;				/*  68 */
	__le32	compat_ro;			/*  72 */
	__le32	incompat;			/*  76 */
	__le32	flags;				/*  80 */
	__le32	lost_fault;			/*  84 */
	__u8	secret[16];			/*  88 */
	__u8	store_id[16];			/* 104 */
	__le64	generation;			/* 120 */
	__le64	origin_sectors;			/* 128 */
	__le64	area_start;			/* 136 */
	__le64	create_time;			/* 144 */
	__le64	ckpt_seq;			/* 152 */
	__le64	log_seq;			/* 160 */
	__le32	epoch;				/* 168 */
	__le32	nr_witness;			/* 172 */
	__le64	lost_time;			/* 176 */
	__le32	nr_valid;			/* 184 */
	__le32	nr_lost;			/* 188 */
	__le64	super_seq;			/* 192 */
	__u8	reserved[56];			/* 200 zero */
	struct snapprot_disk_witness witness[SNAPPROT_WITNESS_MAX]; /* 256 */
	__u8	reserved2[4096 - 256 - 16 * SNAPPROT_WITNESS_MAX];
} __packed;

/* ---- sizes and offsets are for ever ---------------------------------- */

#define SNAPPROT_ASSERT_BLOCK(type) \
	static_assert(sizeof(struct type) == 4096, #type " is one block")
#define SNAPPROT_ASSERT_OFFSET(type, field, at) \
	static_assert(offsetof(struct type, field) == (at), #type "." #field)

SNAPPROT_ASSERT_BLOCK(snapprot_disk_super);
SNAPPROT_ASSERT_BLOCK(snapprot_disk_log);
SNAPPROT_ASSERT_BLOCK(snapprot_disk_node);
SNAPPROT_ASSERT_BLOCK(snapprot_disk_space);
SNAPPROT_ASSERT_BLOCK(snapprot_disk_dir);
SNAPPROT_ASSERT_BLOCK(snapprot_disk_snaps);
SNAPPROT_ASSERT_BLOCK(snapprot_disk_counts);
SNAPPROT_ASSERT_BLOCK(snapprot_disk_label);
static_assert(sizeof(struct snapprot_disk_header) == 48, "header");
static_assert(sizeof(struct snapprot_disk_entry) == 24, "entry");
static_assert(sizeof(struct snapprot_disk_child) == 32, "child");
static_assert(sizeof(struct snapprot_disk_snap) == 256, "snapshot");
static_assert(sizeof(struct snapprot_disk_space_entry) == 24, "space entry");
static_assert(sizeof(struct snapprot_disk_run) == 72, "run");
static_assert(sizeof(struct snapprot_disk_snaps_item) == 24, "snaps item");
static_assert(sizeof(struct snapprot_disk_merge) == 40, "merge");
static_assert(sizeof(struct snapprot_disk_pair) == 16, "pair");
SNAPPROT_ASSERT_OFFSET(snapprot_disk_super, generation, 120);
SNAPPROT_ASSERT_OFFSET(snapprot_disk_super, zone, 208);
SNAPPROT_ASSERT_OFFSET(snapprot_disk_super, generation_seq, 288);
SNAPPROT_ASSERT_OFFSET(snapprot_disk_snap, reserved, 136);
SNAPPROT_ASSERT_OFFSET(snapprot_disk_log, zone, 88);
SNAPPROT_ASSERT_OFFSET(snapprot_disk_log, entry, 128);
SNAPPROT_ASSERT_OFFSET(snapprot_disk_node, entry, 64);
SNAPPROT_ASSERT_OFFSET(snapprot_disk_space, entry, 64);
SNAPPROT_ASSERT_OFFSET(snapprot_disk_dir, items, 80);
SNAPPROT_ASSERT_OFFSET(snapprot_disk_snaps, snap, 256);
SNAPPROT_ASSERT_OFFSET(snapprot_disk_counts, pair, 64);
SNAPPROT_ASSERT_OFFSET(snapprot_disk_label, epoch, 168);
SNAPPROT_ASSERT_OFFSET(snapprot_disk_label, witness, 256);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The store and the label on disk.
 *
 * Every structure is little-endian and lives in one 4 KiB block. The words
 * behind the structures are in doc/format.rst; this file is the reference for
 * offsets, and asserts them at build time.
 */
#ifndef SNAPPROT_FORMAT_H
#define SNAPPROT_FORMAT_H

#include "platform.h"

#define SNAPPROT_BLOCK_SHIFT		12
#define SNAPPROT_BLOCK_SIZE		4096u
#define SNAPPROT_SECTORS_PER_BLOCK	(SNAPPROT_BLOCK_SIZE >> 9)

/* The only version that this code writes; newer ones are refused. */
#define SNAPPROT_FORMAT_VERSION		1
/* Old data has checksums of xxh64: always set in a store, never in a label. */
#define SNAPPROT_INCOMPAT_XXH64		(1u << 0)
#define SNAPPROT_COMPAT_RO_KNOWN	0u

/* ---- geometry of the store ------------------------------------------- */

/*
 * The store is an array of blocks in groups. The first group also holds the
 * two copies of the superblock. The last group may be short.
 */
#define SNAPPROT_GROUP_BLOCKS		16384u	/* 64 MiB */
#define SNAPPROT_SUPER_BLOCK_0		0u
#define SNAPPROT_BITMAP_OFFSET		1u	/* of each group's bitmap */
#define SNAPPROT_SUPER_BLOCK_1		64u
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

#define SNAPPROT_MAX_SNAPSHOTS		4096u

/* ---- the header that every metadata block starts with ---------------- */

#define SNAPPROT_MAGIC_SUPER		0x53505353u	/* "SSPS" */
#define SNAPPROT_MAGIC_LABEL		0x4c505353u	/* "SSPL" */
#define SNAPPROT_MAGIC_LOG		0x47505353u	/* "SSPG" */
#define SNAPPROT_MAGIC_NODE		0x4e505353u	/* "SSPN" */
#define SNAPPROT_MAGIC_BITMAP		0x42505353u	/* "SSPB" */
#define SNAPPROT_MAGIC_DIR		0x44505353u	/* "SSPD" */
#define SNAPPROT_MAGIC_SNAPS		0x54505353u	/* "SSPT" */

/**
 * struct snapprot_disk_header - first 40 bytes of every metadata block
 * @magic: SNAPPROT_MAGIC_*
 * @crc: crc32c, seeded with ~0, of the bytes from @block to the end of the
 *	4 KiB block
 * @block: where the block belongs, so that a misplaced one is noticed
 * @seq: superblock and label: number of this write of it; log: number of the
 *	header in the log; all others: the checkpoint that wrote the block
 * @uuid: the volume
 */
struct snapprot_disk_header {
	__le32	magic;
	__le32	crc;
	__le64	block;
	__le64	seq;
	__u8	uuid[16];
} __packed;

/* ---- superblock ------------------------------------------------------ */

#define SNAPPROT_SUPER_PROTECTED	0x1u	/* protection mode is on */
#define SNAPPROT_SUPER_SWEEP		0x2u	/* entries may be unneeded */
#define SNAPPROT_SUPER_UNLABELLED	0x4u	/* made for no label */
#define SNAPPROT_SUPER_FLAGS		7u		/* all of them */

/**
 * struct snapprot_disk_super - superblock, written to both of its places
 * @generation: moves on with every arrival of the store
 * @origin_sectors: size of the live volume, 512-byte sectors
 * @store_blocks: size of the store when this was written
 * @ckpt_seq: number of the checkpoint that the rest describes
 * @epoch: current epoch
 * @lost_epoch: snapshots of this epoch and older are lost; 0: none
 * @lost_fault: enum snapprot_fault that lost them
 * @log_block: where the first header after the checkpoint is, or will be
 * @log_seq: its number
 * @log_prev_crc: crc field of the header before it
 * @root: root node of the index, 0 if the index is empty
 * @root_level: 0 if the root is a leaf
 * @nr_nodes: nodes of the index
 * @nr_entries: entries of its leaves
 * @dir: first block of the checkpoint's directory, 0 if none
 * @nr_groups: groups whose bitmap has been initialised, from the first on
 * @nr_free: free blocks, those of uninitialised groups included
 * @sweep_block: where the sweep goes on
 */
struct snapprot_disk_super {
	struct snapprot_disk_header h;		/*   0 */
	__u8	ident[16];			/*  40 SNAPPROT_SUPER_IDENT */
	__le32	version;			/*  56 */
	__le32	compat;				/*  60 */
	__le32	compat_ro;			/*  64 */
	__le32	incompat;			/*  68 */
	__le32	block_size;			/*  72 bytes */
	__le32	flags;				/*  76 */
	__le64	generation;			/*  80 */
	__le64	origin_sectors;			/*  88 */
	__le64	store_blocks;			/*  96 */
	__le64	create_time;			/* 104 seconds since 1970, UTC */
	__le64	ckpt_seq;			/* 112 */
	__le32	epoch;				/* 120 */
	__le32	lost_epoch;			/* 124 */
	__le32	lost_fault;			/* 128 */
	__le32	log_prev_crc;			/* 132 */
	__le64	log_block;			/* 136 */
	__le64	log_seq;			/* 144 */
	__le64	root;				/* 152 */
	__le32	root_level;			/* 160 */
	__le32	nr_snaps;			/* 164 */
	__le64	nr_nodes;			/* 168 */
	__le64	nr_entries;			/* 176 */
	__le64	dir;				/* 184 */
	__le64	nr_groups;			/* 192 */
	__le64	nr_free;			/* 200 */
	__le64	sweep_block;			/* 208 */
	__u8	reserved[4096 - 216];		/* 216 zero */
} __packed;

/* ident of superblock and label, padded with zeros */
#define SNAPPROT_SUPER_IDENT	"dm-snapprot\0\0\0\0"

/* ---- log ------------------------------------------------------------- */

enum snapprot_log_type {
	SNAPPROT_LOG_BATCH	= 1,	/* old blocks */
	SNAPPROT_LOG_CREATE	= 2,	/* a snapshot was taken */
	SNAPPROT_LOG_DELETE	= 3,	/* a snapshot was deleted */
};

/**
 * struct snapprot_disk_entry - one preserved block
 * @block: block of the origin
 * @place: block of the store that holds the old data
 * @epoch: the epoch it was preserved in
 * @sum: the lower half of xxh64, seeded with 0, of its 4 KiB
 */
struct snapprot_disk_entry {
	__le64	block;
	__le64	place;
	__le32	epoch;
	__le32	sum;
} __packed;

/**
 * struct snapprot_disk_snap - one snapshot
 * @id: the administrator's number, 1 ... 2^32-1
 * @epoch: reads of it take the smallest epoch that is not below
 * @time: seconds since 1970, UTC
 * @sectors: length of the origin at its instant
 * @flags: none yet, zero
 */
struct snapprot_disk_snap {
	__le32	id;
	__le32	epoch;
	__le64	time;
	__le64	sectors;
	__le32	flags;
	__le32	reserved;
} __packed;

#define SNAPPROT_LOG_ENTRIES	167u
#define SNAPPROT_SNAPS_PER_BLOCK 125u

/**
 * struct snapprot_disk_log - header of one step of the log
 * @type: enum snapprot_log_type
 * @count: entries of a batch; 1 for the others
 * @epoch: current epoch after this step
 * @next: where the next header will be
 * @durable_seq: headers up to this number, and their data, were durable when
 *	this one was written, so that their data need not be read again
 * @prev_crc: crc field of the header before, which chains the log
 */
struct snapprot_disk_log {
	struct snapprot_disk_header h;		/*   0 */
	__le16	type;				/*  40 */
	__le16	count;				/*  42 */
	__le32	epoch;				/*  44 */
	__le64	next;				/*  48 */
	__le64	durable_seq;			/*  56 */
	__le32	prev_crc;			/*  64 */
	__u8	reserved[20];			/*  68 zero */
	union {					/*  88 */
		struct snapprot_disk_entry entry[SNAPPROT_LOG_ENTRIES];
		struct snapprot_disk_snap snap;
		__u8	body[4096 - 88];
	};
} __packed;

/* ---- index: a B+tree, key (block, epoch) ----------------------------- */

#define SNAPPROT_NODE_ENTRIES		168u
#define SNAPPROT_MAX_LEVELS		12u

/**
 * struct snapprot_disk_node - node of the index
 * @level: 0 for a leaf
 * @count: entries in use, sorted by (block, epoch) without duplicates
 *
 * In an inner node an entry's key is the smallest key that may be below its
 * child (the first entry's key is a lower bound only), @place is the child
 * and @crc is zero.
 */
struct snapprot_disk_node {
	struct snapprot_disk_header h;		/*   0 */
	__le16	level;				/*  40 */
	__le16	count;				/*  42 */
	__u8	reserved[20];			/*  44 zero */
	struct snapprot_disk_entry entry[SNAPPROT_NODE_ENTRIES]; /* 64 */
} __packed;

/* ---- space ----------------------------------------------------------- */

/**
 * struct snapprot_disk_bitmap - which blocks of a group are in use
 * @group: number of the group
 * @bits: bit n of byte n / 8 (from the lowest) is block n of the group; the
 *	superblocks and the bitmap itself are in use; bits past the end of a
 *	short last group are clear
 *
 * h.block is the bitmap's home, in an image inside a checkpoint as well.
 */
struct snapprot_disk_bitmap {
	struct snapprot_disk_header h;		/*   0 */
	__le64	group;				/*  40 */
	__u8	reserved[2000];			/*  48 zero */
	__u8	bits[SNAPPROT_GROUP_BLOCKS / 8];/* 2048 */
} __packed;

/* ---- checkpoint ------------------------------------------------------ */

enum snapprot_dir_type {
	SNAPPROT_DIR_BITMAP	= 1,	/* @index: group; @place: its image */
	SNAPPROT_DIR_SNAPS	= 2,	/* @index: 0, 1 ...; @place: the block */
};

struct snapprot_disk_dir_entry {
	__le64	index;
	__le64	place;
	__le32	crc;		/* h.crc of the block at @place */
	__le32	type;		/* enum snapprot_dir_type */
} __packed;

#define SNAPPROT_DIR_ENTRIES	168u

/**
 * struct snapprot_disk_dir - directory of a checkpoint, a chain of blocks
 * @next: next block of the directory, 0 for the last
 */
struct snapprot_disk_dir {
	struct snapprot_disk_header h;		/*   0 */
	__le64	next;				/*  40 */
	__le32	count;				/*  48 */
	__u8	reserved[12];			/*  52 zero */
	struct snapprot_disk_dir_entry entry[SNAPPROT_DIR_ENTRIES]; /* 64 */
} __packed;

/**
 * struct snapprot_disk_snaps - part of the table of snapshots, oldest first
 */
struct snapprot_disk_snaps {
	struct snapprot_disk_header h;		/*   0 */
	__le32	count;				/*  40 */
	__u8	reserved[52];			/*  44 zero */
	struct snapprot_disk_snap snap[SNAPPROT_SNAPS_PER_BLOCK]; /* 96 */
} __packed;

/* ---- label ----------------------------------------------------------- */

#define SNAPPROT_LABEL_PROTECTED	0x1u	/* protection mode is on */
#define SNAPPROT_LABEL_SNAPSHOTS	0x2u	/* the store may hold some */
#define SNAPPROT_LABEL_LOST		0x4u	/* and all of those are lost */
#define SNAPPROT_LABEL_FLAGS		7u		/* all of them */

/* Place of the label, in bytes from the end of the origin (or its own device). */
#define SNAPPROT_LABEL_AREA		0x100000u	/* 1 MiB on the origin */
#define SNAPPROT_LABEL_COPIES		2u

/**
 * struct snapprot_disk_label - what survives without the store
 * @generation: generation of the store that arrived last
 * @origin_sectors: length of the live volume
 * @lost_fault: enum snapprot_fault that lost the snapshots
 * @lost_time: when, seconds since 1970, UTC
 * @nr_valid: valid snapshots when this was written, for a person to read
 * @nr_lost: lost snapshots, the same
 *
 * Two copies, one after the other, at the start of the label's area: the last
 * 1 MiB (rounded down to a block) of the origin, or the start of a device of
 * its own. h.block is 0 for the first copy and 1 for the second.
 */
struct snapprot_disk_label {
	struct snapprot_disk_header h;		/*   0 */
	__u8	ident[16];			/*  40 SNAPPROT_SUPER_IDENT */
	__le32	version;			/*  56 */
	__le32	compat;				/*  60 */
	__le32	compat_ro;			/*  64 */
	__le32	incompat;			/*  68 */
	__le32	flags;				/*  72 */
	__le32	lost_fault;			/*  76 */
	__le64	generation;			/*  80 */
	__le64	origin_sectors;			/*  88 */
	__le64	create_time;			/*  96 */
	__le64	lost_time;			/* 104 */
	__le32	nr_valid;			/* 112 */
	__le32	nr_lost;			/* 116 */
	__u8	reserved[4096 - 120];		/* 120 zero */
} __packed;

/* ---- sizes and offsets are for ever ---------------------------------- */

#define SNAPPROT_ASSERT_BLOCK(type) \
	static_assert(sizeof(struct type) == 4096, #type " is one block")

static_assert(SNAPPROT_BLOCK_SIZE >> SNAPPROT_BLOCK_SHIFT == 1, "block size");
SNAPPROT_ASSERT_BLOCK(snapprot_disk_super);
SNAPPROT_ASSERT_BLOCK(snapprot_disk_log);
SNAPPROT_ASSERT_BLOCK(snapprot_disk_node);
SNAPPROT_ASSERT_BLOCK(snapprot_disk_bitmap);
SNAPPROT_ASSERT_BLOCK(snapprot_disk_dir);
SNAPPROT_ASSERT_BLOCK(snapprot_disk_snaps);
SNAPPROT_ASSERT_BLOCK(snapprot_disk_label);
static_assert(sizeof(struct snapprot_disk_header) == 40, "header");
static_assert(sizeof(struct snapprot_disk_entry) == 24, "entry");
static_assert(sizeof(struct snapprot_disk_snap) == 32, "snapshot");
static_assert(sizeof(struct snapprot_disk_dir_entry) == 24, "dir entry");
static_assert(offsetof(struct snapprot_disk_super, generation) == 80, "super");
static_assert(offsetof(struct snapprot_disk_super, sweep_block) == 208, "super");
static_assert(offsetof(struct snapprot_disk_log, entry) == 88, "log");
static_assert(offsetof(struct snapprot_disk_node, entry) == 64, "node");
static_assert(offsetof(struct snapprot_disk_bitmap, bits) == 2048, "bitmap");
static_assert(offsetof(struct snapprot_disk_dir, entry) == 64, "dir");
static_assert(offsetof(struct snapprot_disk_snaps, snap) == 96, "snaps");
static_assert(offsetof(struct snapprot_disk_label, nr_lost) == 116, "label");

#endif

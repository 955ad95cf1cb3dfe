/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inner declarations of the module. Who may call whom, downwards only:
 *
 *   target-*.c message.c args.c   dm methods
 *   volume.c arrival.c fault.c label.c event.c   state, mode, faults, identity
 *   cow.c view.c bits.c   writes to the origin, reads of snapshots
 *   store.c cache.c ckpt.c iohelp.c   the open store
 *   core/   the format
 *
 * The one call upwards is snapprot_fault_raise(), which only queues work.
 *
 * LOCKING, outermost first; doc/locking.rst has the reasons:
 *
 *   volume->admin     one administrative operation at a time
 *   volume->mutex     state, mode, fault, label, who is claimed. Never held
 *                     over I/O to the store, except the bounded recording of
 *                     a loss, so that a fault is never waited for
 *   volume->store_sem read: somebody uses volume->store; write: it changes,
 *                     for which admin is held too: its holder needs no other
 *   store->ckpt       one checkpoint or superblock update at a time
 *   store->log        a step of the log, from reserve to commit, and the bits
 *   store->lock       the core: index, space, memtables, cache
 *   volume->lock      (spinlock, irqs off) lists of bios, status fields
 *
 * and snapprot_registry_lock, under which no other one is taken: the lists of
 * volumes and of claimed devices.
 */
#ifndef SNAPPROT_H
#define SNAPPROT_H

#include <linux/atomic.h>
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/device-mapper.h>
#include <linux/hashtable.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/percpu-refcount.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "compat/compat.h"
#include "core/core.h"
#include "core/state.h"

#define DM_MSG_PREFIX "snapprot"

/*
 * Under store->lock, and wherever else writes wait for it, nobody waits for memory:
 * it may be one of those writes, to swap, that is to free some.
 */
#define SNAPPROT_GFP_RESERVES	(GFP_NOWAIT | __GFP_MEMALLOC | __GFP_NOWARN)

/* Longest bio that the write path takes whole, in blocks and sectors. */
#define SNAPPROT_MAX_BIO_BLOCKS		256u
#define SNAPPROT_MAX_BIO_SECTORS	(SNAPPROT_MAX_BIO_BLOCKS * \
					 SNAPPROT_SECTORS_PER_BLOCK)
/* Steps of the log that make up one batch, with one flush for all of them. */
#define SNAPPROT_BATCH_STEPS		4u
#define SNAPPROT_BATCH_BLOCKS		(SNAPPROT_BATCH_STEPS * \
					 SNAPPROT_LOG_ENTRIES)
/* One batch is read while the one before it is written. */
#define SNAPPROT_NR_BATCHES		2
/* Blocks of a batch for which there is always memory. */
#define SNAPPROT_BATCH_RESERVE		64u

#define SNAPPROT_GRACE_DEFAULT		300u	/* seconds */
#define SNAPPROT_GROW_TIMEOUT_DEFAULT	60u	/* seconds */
#define SNAPPROT_IO_TIMEOUT_DEFAULT	60u	/* seconds */
#define SNAPPROT_SECONDS_MAX		86400u
#define SNAPPROT_LOW_WATER_DEFAULT	20u	/* percent free */
#define SNAPPROT_CACHE_DEFAULT		4096u	/* KiB */
#define SNAPPROT_CACHE_MIN		256u
#define SNAPPROT_CACHE_MAX		(4u << 20)

struct snapprot_volume;
struct snapprot_store;

/* ---- iohelp.c: I/O that somebody waits for ---------------------------- */

/**
 * struct snapprot_pools - what I/O is made of when memory is short
 *
 * Each volume has its own: of volumes that are stacked, the upper one must not
 * hold what the lower one needs to make progress.
 */
struct snapprot_pools {
	mempool_t sets;
	struct bio_set bios;
	struct bio_set view_bios;
};

/**
 * struct snapprot_io_dev - a device with a limit on how long its I/O may take
 * @timeout: in jiffies, 0: none
 * @inflight: I/O on its way, given up or not
 */
struct snapprot_io_dev {
	struct snapprot_pools *pools;
	struct block_device *bdev;
	unsigned long timeout;
	atomic_t inflight;
	wait_queue_head_t idle;
};

/* A set of bios that is waited for as one, which outlives a waiter that
 * gave up.
 */
struct snapprot_io_set;

int snapprot_pools_init(struct snapprot_pools *pools);
/* Fine on pools that are all zero, and on those whose init failed. */
void snapprot_pools_exit(struct snapprot_pools *pools);
void snapprot_io_dev_init(struct snapprot_io_dev *d,
			  struct snapprot_pools *pools,
			  struct block_device *bdev, unsigned int seconds);
/* One I/O that was counted in flight has ended; @d may be gone after this. */
void snapprot_io_dev_done(struct snapprot_io_dev *d);
/* Wait, without limit, until nothing is in flight. */
void snapprot_io_dev_drain(struct snapprot_io_dev *d);
/* The same for as long as I/O may take; false if something still is. */
bool snapprot_io_dev_settle(struct snapprot_io_dev *d);
/* Are @count consecutive blocks one request for the device? */
bool snapprot_io_is_one(struct snapprot_io_dev *d, unsigned int count);
/* NULL: no memory. GFP_NOIO from a reserve, for one set at a time a caller. */
struct snapprot_io_set *snapprot_io_set_new(struct snapprot_io_dev *d);
/*
 * Add @count consecutive blocks at @block. Each is in one page, which is held until
 * the I/O ends.
 */
int snapprot_io_add(struct snapprot_io_set *set, blk_opf_t opf, u64 block,
		    void **data, unsigned int count);
/* The same with a place in sectors, for the origin. */
int snapprot_io_add_sectors(struct snapprot_io_set *set, blk_opf_t opf,
			    sector_t sector, void **data,
			    unsigned int count, unsigned int last_bytes);
int snapprot_io_flush(struct snapprot_io_set *set);
/*
 * Begin to read one block, and queue @work when it has ended. Waits for nothing;
 * NULL: no memory without waiting, nothing has begun.
 */
struct snapprot_io_set *snapprot_io_read_nowait(struct snapprot_io_dev *d,
						u64 block, void *data,
						struct workqueue_struct *wq,
						struct work_struct *work);
/* Is any of what was added until now on its way? */
bool snapprot_io_pending(struct snapprot_io_set *set);
/* Nothing more will be added: others may wait for it as well. */
void snapprot_io_close(struct snapprot_io_set *set);
/* Wait for a closed set, which stays. 0, the first error, or -ETIMEDOUT. */
int snapprot_io_join(struct snapprot_io_set *set);
/* Wait for all of it, let the set go. 0, the first error, or -ETIMEDOUT. */
int snapprot_io_wait(struct snapprot_io_set *set);
/* One block, from or to @data. */
int snapprot_io_block(struct snapprot_io_dev *d, blk_opf_t opf, u64 block,
		      void *data);
/* A flush: what was written before is durable. */
int snapprot_io_sync(struct snapprot_io_dev *d);
/* For constructors, which know no volume yet; nobody's writes wait for them. */
extern struct snapprot_pools snapprot_ctr_pools;

/* ---- cache.c: metadata blocks ------------------------------------------ */

/**
 * struct snapprot_cache - cached metadata blocks of a store
 * @blocks: struct snapprot_cached by block number
 * @lru: clean ones that nobody holds, oldest first
 * @dirty: changed since the last commit
 * @room: pages that have room for more
 * @broken: some I/O has failed, and may have been given up
 * @count: how many, of which @max may stay
 *
 * Under store->lock, all of it.
 */
struct snapprot_cache {
	struct xarray blocks;
	struct list_head lru;
	struct list_head dirty;
	struct list_head room;
	bool broken;
	unsigned int count;
	unsigned int max;
	unsigned int nr_dirty;
};

void snapprot_cache_init(struct snapprot_cache *c, unsigned int kib);
void snapprot_cache_exit(struct snapprot_cache *c);
/* Write dirty blocks early if they take up half of the cache. */
int snapprot_cache_trim(struct snapprot_store *s);
extern const struct snapprot_env_ops snapprot_env_ops;

/* ---- store.c: the open store ------------------------------------------- */

/**
 * struct snapprot_store - an open store
 * @failed: it broke or was too slow: no more I/O until it is opened again
 * @suspended: its target is; nothing is read or written
 * @used, @total, @protected: for the status, in sectors, without a lock
 */
struct snapprot_store {
	struct snapprot_volume *vol;
	struct snapprot_io_dev dev;

	struct mutex ckpt;		/* one checkpoint or rewrite */
	struct mutex log;		/* one step, reserve to commit */
	struct mutex lock;		/* the core and its cache */
	bool nowait;			/* under lock: only what is cached */

	struct snapprot_env env;
	struct snapprot_cache cache;
	struct snapprot_core core;

	struct page *page;		/* under log: record being written */

	bool failed;
	bool suspended;
	unsigned int low_water;		/* percent */
	bool low;

	u64 used;
	u64 total;
	bool protected;

	struct delayed_work ckpt_work;
	unsigned long sweep_at;		/* jiffies; of ckpt_work */
	struct work_struct low_work;

	/* reads on behalf of views, which nobody waits for */
	atomic_t view_parts;
	unsigned long view_progress;	/* jiffies, when one last ended */
	struct delayed_work view_watch;
};

struct snapprot_store_config {
	u64 blocks;			/* of the table */
	unsigned int low_water;		/* percent */
	unsigned int io_timeout;	/* seconds, 0 none */
	unsigned int cache_kib;
};

struct snapprot_store *
snapprot_store_open(struct snapprot_volume *vol, struct block_device *bdev,
		    const struct snapprot_store_config *config, int *err);
void snapprot_store_close(struct snapprot_store *s);
/* Publish counters for the status, and watch for low water. */
void snapprot_store_publish(struct snapprot_store *s);
/* What fault an error of the core or of I/O means. */
enum snapprot_fault snapprot_store_fault_of(int err, enum snapprot_fault io);
/* Raise the fault that @err means and let nobody use the store any more. */
void snapprot_store_broken(struct snapprot_store *s, int err,
			   enum snapprot_fault io);
/* Durably write a record of the log. Caller holds store->log. Where @bits is
 * given, *@bits and the volume's change places as the record takes effect.
 */
struct snapprot_bits;
int snapprot_store_record(struct snapprot_store *s, enum snapprot_log_type type,
			  const struct snapprot_snap *snap,
			  struct snapprot_bits **bits);
/* Superblock with other contents, see snapprot_store_update(). */
int snapprot_store_rewrite(struct snapprot_store *s, u64 generation, u32 flags,
			   u32 lost_epoch, u32 lost_fault);
static inline bool snapprot_store_usable(const struct snapprot_store *s)
{
	return s && !READ_ONCE(s->failed) && !READ_ONCE(s->suspended);
}

/* ---- ckpt.c ------------------------------------------------------------- */

void snapprot_ckpt_queue(struct snapprot_store *s);
/* One whole checkpoint, now, with a piece of the sweep. 1: more to sweep. */
int snapprot_ckpt_run(struct snapprot_store *s);
/* Blocks that may be preserved, after checkpoints if there are none without. */
int snapprot_ckpt_make_room(struct snapprot_store *s);
void snapprot_ckpt_work(struct work_struct *work);

/* ---- bits.c: "preserved already in this epoch" --------------------------- */

#define SNAPPROT_BITS_SHIFT	(PAGE_SHIFT + 3)

/**
 * struct snapprot_bits - one bit a block, in pages allocated as touched
 * @complete: a clear bit means not preserved; else the index must be asked
 *
 * Bits are only set, under store->lock, as is the change to a new object with
 * which an epoch begins; that needs also that no write is in flight.
 */
struct snapprot_bits {
	struct xarray pages;
	bool complete;
	struct snapprot_bits *next;	/* of those to be freed */
};

struct snapprot_bits *snapprot_bits_new(bool complete);
void snapprot_bits_free(struct snapprot_bits *b);
/* The volume's bits have changed places with @b: free it when it is safe. */
void snapprot_bits_retire(struct snapprot_volume *vol, struct snapprot_bits *b);
bool snapprot_bits_test(struct snapprot_bits *b, u64 first, u64 last);
/* False if memory is short: the bit stays clear, which costs a lookup. */
bool snapprot_bits_set(struct snapprot_bits *b, u64 block);

/* In memory, where a page may be larger than a block. */
#define SNAPPROT_BLOCKS_PER_PAGE \
	((unsigned int)(PAGE_SIZE / SNAPPROT_BLOCK_SIZE))

/* ---- batch.c: old blocks on their way to the store ------------------------ */

struct snapprot_batch_entry {
	struct hlist_node node;
	u64 block;
};

/* Headers and old blocks of a batch. */
#define SNAPPROT_BATCH_PAGES	(SNAPPROT_BATCH_BLOCKS + SNAPPROT_BATCH_STEPS)

/**
 * struct snapprot_batch - old blocks on their way to the store
 * @bios: writes that wait for it
 * @count: blocks
 * @entry: by which they are found
 * @data: their old data, or room for it
 * @nr_data: of those
 * @core: what the log has of them
 * @sum_next: of the pieces whose checksums nobody computes yet, the first
 * @sum_end: pieces
 * @sum_left: of each step, pieces that are not done
 * @summed: there are none any more
 * @sum_work: does some of them
 * @steps: steps of the log that are on their way
 * @header: a block for each
 * @place: where headers and old data go to, in the order of the log
 * @out: and what goes there
 * @read: the old data of each step, while it is being read
 * @io: all that is written
 * @started: when, in ns
 */
struct snapprot_batch {
	struct bio_list bios;
	unsigned int count;
	struct snapprot_batch_entry entry[SNAPPROT_BATCH_BLOCKS];
	void *data[SNAPPROT_BATCH_BLOCKS];
	unsigned int nr_data;
	struct snapprot_entry core[SNAPPROT_BATCH_BLOCKS];
	atomic_t sum_next;
	int sum_end;
	atomic_t sum_left[SNAPPROT_BATCH_STEPS];
	struct completion summed[SNAPPROT_BATCH_STEPS];
	struct work_struct sum_work;
	unsigned int steps;
	void *header[SNAPPROT_BATCH_STEPS];
	u64 place[SNAPPROT_BATCH_PAGES];
	void *out[SNAPPROT_BATCH_PAGES];
	struct snapprot_io_set *read[SNAPPROT_BATCH_STEPS];
	struct snapprot_io_set *io;
	u64 started;			/* writing it, ns */
	bool durable;			/* once written, without a flush */
	unsigned int passes;		/* volume->passes before it was read */
	unsigned int refused;		/* times in a row without space */
};

struct snapprot_batch *snapprot_batch_new(void);
void snapprot_batch_free(struct snapprot_batch *b);
/* Room for one more block? False is no error: first what is there must go. */
bool snapprot_batch_has_room(struct snapprot_batch *b);
void snapprot_batch_trim(struct snapprot_batch *b, unsigned int keep);
void snapprot_batch_cut(struct snapprot_batch *b, unsigned int first);
void snapprot_batch_read(struct snapprot_volume *vol, struct snapprot_batch *b);
bool snapprot_batch_read_nowait(struct snapprot_volume *vol,
				struct snapprot_batch *b);
/* Nothing will be written of what is being read; waits for it to end. */
void snapprot_batch_give_up(struct snapprot_batch *b);
int snapprot_batch_write(struct snapprot_store *s, struct snapprot_batch *b,
			 int *read_err);
int snapprot_batch_wait(struct snapprot_store *s, struct snapprot_batch *b,
			struct snapprot_batch *next);
int snapprot_batch_commit(struct snapprot_volume *vol, struct snapprot_store *s,
			  struct snapprot_batch *b);

/* ---- cow.c: the write path ------------------------------------------------ */

/* What is done with a write (and, when failing, with a read). */
enum snapprot_gate {
	SNAPPROT_GATE_PASS,	/* nothing to protect */
	SNAPPROT_GATE_COW,	/* preserve first */
	SNAPPROT_GATE_HOLD,	/* until the state changes */
	SNAPPROT_GATE_FAIL,	/* blocked */
};

#define SNAPPROT_INFLIGHT_BITS	10

/* Per bio of the live volume. */
struct snapprot_bio {
	bool counted;		/* holds vol->writes */
	bool is_write;
};

int snapprot_cow_init(struct snapprot_volume *vol);
void snapprot_cow_exit(struct snapprot_volume *vol);
int snapprot_cow_map(struct snapprot_volume *vol, struct bio *bio);
void snapprot_cow_endio(struct snapprot_volume *vol, struct bio *bio);
void snapprot_cow_kick(struct snapprot_volume *vol);
/* No write is in flight, and none starts, until thaw. */
void snapprot_cow_freeze(struct snapprot_volume *vol);
void snapprot_cow_thaw(struct snapprot_volume *vol);
/* Wait until the worker has nothing that touches the origin. */
void snapprot_cow_drain(struct snapprot_volume *vol);

/* ---- view.c --------------------------------------------------------------- */

/* A loaded view of a snapshot. */
struct snapprot_view {
	struct list_head list;		/* vol->views, under vol->lock */
	struct snapprot_volume *vol;
	struct dm_target *ti;
	u32 id;
	bool suspending;
	bool noflush;
};

void snapprot_view_init(struct snapprot_volume *vol);
int snapprot_view_map(struct snapprot_view *v, struct bio *bio);
void snapprot_view_endio(struct snapprot_view *v, struct bio *bio,
			 blk_status_t *status);
void snapprot_view_work(struct work_struct *work);
void snapprot_view_kick(struct snapprot_volume *vol);
/* Wait for reads of the origin on behalf of snapshots that touch [first, last]. */
void snapprot_view_wait(struct snapprot_volume *vol, u64 first, u64 last);
void snapprot_view_watch(struct work_struct *work);
int snapprot_view_setup(void);
void snapprot_view_cleanup(void);
size_t snapprot_view_bio_size(void);

/* ---- volume.c --------------------------------------------------------------- */

/* Features of the live volume's table. */
struct snapprot_origin_args {
	bool protect;
	bool queue_on_fault;
	bool unlabelled;
	bool ignore_discard;
	bool delete_oldest;
	unsigned int grace;
	unsigned int grow_timeout;
	bool grace_given, grow_given;
};

/* A live volume's target. */
struct snapprot_origin {
	struct snapprot_volume *vol;
	struct dm_target *ti;
	struct dm_dev *dev;
	struct dm_dev *label_dev;
	struct snapprot_origin_args args;
	u8 uuid[16];
};

/* A store's target. */
struct snapprot_store_target {
	struct snapprot_volume *vol;
	struct dm_target *ti;
	struct dm_dev *dev;
	u8 uuid[16];
	struct snapprot_store_config config;
	bool low_water_given, io_timeout_given, cache_given;
	/* under volume->admin */
	struct snapprot_store *store;	/* open on this target's device */
	int load_error;			/* why it is not, if it should be */
	u64 super_seq;			/* of its superblock when it was closed */
};

struct snapprot_volume {
	struct list_head list;
	struct kref ref;
	u8 uuid[16];
	char name[37];			/* uuid as text */

	struct mutex admin;		/* one operation of an administrator */
	struct mutex mutex;		/* state, mode, fault, label */

	/* under mutex */
	struct snapprot_origin *origin;
	struct snapprot_store_target *store_target;
	struct snapprot_disk_label *label;	/* as on disk; h.magic 0: none */
	struct page *label_page;
	struct snapprot_io_dev label_dev;
	sector_t label_sector;
	bool started;			/* the origin is claimed */
	bool running;			/* and its I/O may have begun */
	bool lost_here;			/* lost, and no store knows it yet */
	bool label_in_doubt;		/* its last write failed */
	bool snap_in_doubt;		/* a record of one may be in the store */
	bool attached;			/* store paired with the origin */

	/* written under mutex and lock, read under either */
	enum snapprot_state state;
	bool protect;
	enum snapprot_fault fault;
	int fault_errno;
	bool queue_on_fault;
	bool delete_oldest;
	unsigned int grace, grow_timeout;
	unsigned long grace_start;	/* jiffies */
	unsigned long grow_start;	/* jiffies, while space_out */
	bool grace_running;
	u32 nr_valid, nr_lost;
	u64 used, total;		/* of the store, sectors; no lock */

	/* the store, under store_sem */
	struct rw_semaphore store_sem;
	struct snapprot_store *store;

	spinlock_t lock;		/* lists of bios, status fields */
	enum snapprot_gate gate;	/* under lock; read without */
	unsigned int passes;		/* times that it was opened; as gate */
	struct bio_list deferred;	/* writes, under lock */
	unsigned int nr_held;		/* in the list and in batches */
	/* Whose the batches are, see begin_alone(); under lock. */
	bool beginning;			/* map()'s */
	bool working;			/* the worker's */
	bool missed;			/* the worker has come meanwhile */
	bool suspending, noflush;	/* of the live volume */
	bool space_out;			/* writes are held for want of space */
	enum snapprot_fault raised;	/* on its way to the fault work */
	bool handling;			/* the fault work is at one */
	int raised_errno;
	struct block_device *origin_bdev;
	bool origin_moves;		/* it is about to be another, or the same */
	sector_t sectors;

	struct percpu_ref writes;	/* in flight to the origin */
	struct completion writes_gone;
	struct snapprot_bits *bits;	/* changes while writes are frozen */
	struct snapprot_bits *old_bits;	/* for the worker to free; under lock */

	struct snapprot_io_dev origin_dev;	/* reads of old data */
	struct snapprot_batch *batch[SNAPPROT_NR_BATCHES];
	DECLARE_HASHTABLE(inflight, SNAPPROT_INFLIGHT_BITS); /* cow worker */
	struct snapprot_batch *filling;
	struct snapprot_batch *writing;

	wait_queue_head_t gather_wait;
	unsigned int gather_count;	/* held before the last batch went */
	/* of the cow worker */
	u64 nr_batches;			/* that were committed; others look */
	u64 commit_ns;			/* what a small batch takes, about */
	int gather_luck;		/* above 0: waiting has paid off */

	struct list_head views;		/* under lock */
	struct bio_list view_bios;	/* under lock */
	struct list_head view_reads;	/* of the origin, under lock; runs */
	wait_queue_head_t view_wait;
	atomic_t view_inflight;

	struct snapprot_pools pools;
	struct workqueue_struct *cow_wq;
	struct workqueue_struct *sum_wq;
	struct workqueue_struct *view_wq;
	struct workqueue_struct *ckpt_wq;
	struct workqueue_struct *fault_wq;
	struct work_struct cow_work;
	struct delayed_work trim_work;
	bool trim;			/* the next time that cow_work ends */
	struct work_struct view_work;
	struct work_struct fault_work;
	struct work_struct full_work;
	struct delayed_work grace_work;
	struct delayed_work grow_work;
};

struct snapprot_volume *snapprot_volume_get(const u8 *uuid);
void snapprot_volume_put(struct snapprot_volume *vol);
/* arrival.c: the live volume's target is resumed, or goes. */
int snapprot_volume_claim(struct snapprot_origin *o);
void snapprot_volume_unclaim(struct snapprot_origin *o);
/* The store's target is resumed, suspended, or goes. */
int snapprot_volume_arrive(struct snapprot_store_target *t);
void snapprot_volume_pause(struct snapprot_store_target *t);
void snapprot_volume_depart(struct snapprot_store_target *t);
/* Write the mode to the store; under admin. */
int snapprot_volume_store_mode(struct snapprot_volume *vol, bool protect);
/* Open the store anew; under admin. For clear_fault. */
int snapprot_volume_reopen(struct snapprot_volume *vol);
/* Under mutex: wake whoever may go on after a change. */
void snapprot_volume_kick(struct snapprot_volume *vol);
/* Count snapshots again; under store_sem or admin. */
void snapprot_volume_count(struct snapprot_volume *vol);
/* The gate that state and snapshots ask for; under mutex. */
void snapprot_volume_set_gate(struct snapprot_volume *vol);
void snapprot_volume_set_state(struct snapprot_volume *vol,
			       enum snapprot_state state);
/* A device may serve once: claimed by a dm device in a role. */
int snapprot_device_check(struct mapped_device *md, dev_t dev);
int snapprot_device_claim(struct mapped_device *md, dev_t dev, void *owner);
void snapprot_device_release(void *owner);

/* ---- fault.c -------------------------------------------------------------- */

/* From any context. The first one counts until it has been dealt with. */
void snapprot_fault_raise(struct snapprot_volume *vol,
			  enum snapprot_fault fault, int err);
void snapprot_fault_work(struct work_struct *work);
void snapprot_grace_work(struct work_struct *work);
void snapprot_grow_work(struct work_struct *work);
/* The growing may take until grow_timeout after the space ran out. */
void snapprot_grow_start(struct snapprot_volume *vol);
/* Writes wait for space (from the cow worker), or need not any more. */
void snapprot_fault_space_out(struct snapprot_volume *vol);
void snapprot_fault_space_back(struct snapprot_volume *vol);
void snapprot_grace_start(struct snapprot_volume *vol);
void snapprot_grace_stop(struct snapprot_volume *vol);
/* As a fault in normal mode: for "normal drop_snapshots"; under mutex. */
int snapprot_fault_drop(struct snapprot_volume *vol);
void snapprot_fault_set(struct snapprot_volume *vol, enum snapprot_fault fault,
			int err);
void snapprot_full_work(struct work_struct *work);
/* Delete a snapshot by record; under store_sem. 0 or a negative errno. */
int snapprot_snap_delete(struct snapprot_volume *vol, u32 id);

/* ---- label.c -------------------------------------------------------------- */

int snapprot_label_check(struct snapprot_origin *o, char **error);
int snapprot_label_load(struct snapprot_volume *vol, struct snapprot_origin *o);

static inline bool snapprot_label_present(const struct snapprot_volume *vol)
{
	return vol->label->h.magic != 0;
}

u32 snapprot_label_flags(const struct snapprot_volume *vol);
u64 snapprot_label_generation(const struct snapprot_volume *vol);
/* Change flags and write both copies durably; no label: does nothing, 0. */
int snapprot_label_write(struct snapprot_volume *vol, u32 set, u32 clear,
			 u64 generation, u32 lost_fault);

/* ---- event.c -------------------------------------------------------------- */

/* Under mutex: dm event and uevent on the live volume, or on the store. */
void snapprot_event(struct snapprot_volume *vol, const char *action);
void snapprot_event_store(struct snapprot_volume *vol, const char *action);

/* ---- message.c, args.c ------------------------------------------------------ */

int snapprot_message(struct snapprot_volume *vol, unsigned int argc,
		     char **argv, char *result, unsigned int maxlen);
int snapprot_parse_u32(const char *text, u32 min, u32 max, u32 *value);
int snapprot_origin_parse(struct snapprot_origin *o, unsigned int argc,
			  char **argv);
int snapprot_store_parse(struct snapprot_store_target *t, unsigned int argc,
			 char **argv);

extern struct target_type snapprot_origin_target;
extern struct target_type snapprot_store_target_type;
extern struct target_type snapprot_view_target;

#endif

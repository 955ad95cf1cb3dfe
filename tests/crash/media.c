// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>

#include "../lib/blkpat.h"
#include "perform.h"

#define LOG_MAGIC	0x6a736677736872ull

/* ---- the log ----------------------------------------------------------------- */

static void put_words(struct media *m, const __le64 *word, u32 count)
{
	u8 sector[SECTOR] = { 0 };

	memcpy(sector, word, count * sizeof(*word));
	fwrite(sector, SECTOR, 1, m->log);
}

static void put_super(struct media *m)
{
	const __le64 super[] = {
		cpu_to_le64(LOG_MAGIC), cpu_to_le64(1),
		cpu_to_le64(m->entries), cpu_to_le64(SECTOR),
	};

	put_words(m, super, ARRAY_SIZE(super));
}

static void put_entry(struct media *m, u64 sector, u64 sectors,
		      const void *data, u32 flags)
{
	const __le64 entry[] = {
		cpu_to_le64(sector), cpu_to_le64(sectors), cpu_to_le64(flags),
		0,
	};

	put_words(m, entry, ARRAY_SIZE(entry));
	if (data)
		fwrite(data, SECTOR, sectors, m->log);
	m->entries++;
}

/* ---- the disk ---------------------------------------------------------------- */

void media_open(struct media *m, const char *path, u64 sectors)
{
	memset(m, 0, sizeof(*m));
	m->sectors = sectors;
	m->now = calloc(sectors, SECTOR);
	m->durable = calloc(sectors, SECTOR);
	m->log = fopen(path, "w");
	if (!m->log)
		bad("%s: %s", path, strerror(errno));
	if (!m->now || !m->durable)
		bad("no memory");
	put_super(m);
}

static void change(u8 *image, u64 sector, u64 sectors, const void *data)
{
	if (data)
		memcpy(image + sector * SECTOR, data, sectors * SECTOR);
	else
		memset(image + sector * SECTOR, 0, sectors * SECTOR);
}

static void settle(struct media *m)
{
	struct late *l;
	u32 i;

	for (i = 0; i < m->nr_late; i++) {
		l = &m->late[i];
		change(m->durable, l->sector, l->sectors, l->data);
		free(l->data);
	}
	m->nr_late = 0;
}

void media_close(struct media *m)
{
	settle(m);
	rewind(m->log);
	put_super(m);
	if (ferror(m->log) | fclose(m->log))
		bad("the log: %s", strerror(errno));
	free(m->late);
	free(m->now);
	free(m->durable);
}

/* Is this the end? */
static bool burn(struct media *m)
{
	return m->fuse && !--m->fuse;
}

static void end(struct media *m)
{
	m->fuse = 0;
	longjmp(m->end, 1);
}

void media_write(struct media *m, u64 sector, u64 sectors, const void *data,
		 u32 flags)
{
	bool last = burn(m);
	struct late *l;

	/*
	 * It was given to the disk, and nobody knows what has become of it. But a
	 * flush before it is done before it.
	 */
	if (last && flags & WRITES_FLUSH && once_in(2))
		end(m);
	if (last)
		flags &= ~WRITES_FUA;
	if (sector + sectors > m->sectors)
		bad("a write behind the end of the disk");
	put_entry(m, sector, sectors, data, flags);
	if (flags & WRITES_FLUSH)
		settle(m);
	change(m->now, sector, sectors, data);
	m->late = grow(m->late, m->nr_late, &m->max_late, sizeof(*m->late));
	l = &m->late[m->nr_late++];
	*l = (struct late) {
		.sector = sector,
		.sectors = sectors,
		.must = flags & WRITES_FUA,
	};
	if (data) {
		l->data = malloc(sectors * SECTOR);
		memcpy(l->data, data, sectors * SECTOR);
	}
	if (last)
		end(m);
}

void media_flush(struct media *m)
{
	if (burn(m))
		end(m);
	put_entry(m, 0, 0, NULL, WRITES_FLUSH);
	settle(m);
}

void media_mark(struct media *m, const char *format, ...)
{
	static char block[BLOCK];
	const size_t at = strlen(BLKPAT_MARK);
	va_list args;

	memset(block, 0, sizeof(block));
	memcpy(block, BLKPAT_MARK, at);
	va_start(args, format);
	vsnprintf(block + at, sizeof(block) - at - 1, format, args);
	va_end(args);
	strcat(block, "\n");
	media_write(m, 0, BLOCK_SECTORS, block, 0);
}

/* ---- a power cut ------------------------------------------------------------- */

static void cut_one(struct media *m, const struct late *l)
{
	u32 how = l->must ? 1 : random_below(3);
	u64 i;

	if (!how)
		return;
	for (i = 0; i < l->sectors; i++)
		if (how == 1 || once_in(2))
			change(m->durable, l->sector + i, 1,
			       l->data ? l->data + i * SECTOR : NULL);
}

void media_cut(struct media *m)
{
	u64 sector, bytes = BLOCK_SECTORS * SECTOR;
	u32 i;

	for (i = 0; i < m->nr_late; i++) {
		cut_one(m, &m->late[i]);
		free(m->late[i].data);
	}
	m->nr_late = 0;
	for (sector = 0; sector + BLOCK_SECTORS <= m->sectors;
	     sector += BLOCK_SECTORS) {
		const u8 *left = m->durable + sector * SECTOR;

		if (!memcmp(m->now + sector * SECTOR, left, bytes))
			continue;
		memcpy(m->now + sector * SECTOR, left, bytes);
		put_entry(m, sector, BLOCK_SECTORS, left, 0);
	}
	media_flush(m);
}

/* ---- the core's environment -------------------------------------------------- */

/**
 * struct media_block - a block that is new
 * @sum: that it was made with
 * @complete: it may be written
 * @written: it is, and goes when nobody holds it any more
 */
struct media_block {
	u64 sum;
	u32 holds;
	bool complete;
	bool written;
	u8 data[BLOCK] __attribute__((__aligned__(8)));
};

static struct media_env *env_of(struct snapprot_env *env)
{
	return (struct media_env *)((char *)env -
				    offsetof(struct media_env, env));
}

static u8 *env_at(struct media_env *me, u64 place)
{
	return me->media->now + (me->start + place * BLOCK_SECTORS) * SECTOR;
}

static void block_drop(struct media_env *me, u64 place)
{
	free(me->cached[place]);
	me->cached[place] = NULL;
}

static void block_written(struct media_env *me, u64 place)
{
	if (me->cached[place]->holds)
		me->cached[place]->written = true;
	else
		block_drop(me, place);
}

static int env_get(struct snapprot_env *env, u64 place, u32 magic, u64 sum,
		   struct snapprot_buf *buf)
{
	struct media_env *me = env_of(env);
	struct media_block *b;

	if (place >= me->blocks)
		return -EIO;
	b = me->cached[place];
	buf->handle = b;
	buf->data = b ? b->data : env_at(me, place);
	if (b && b->sum != sum)
		return -EBADMSG;
	if (b)
		b->holds++;
	return b ? 0 : snapprot_block_verify(&env->key, buf->data, magic,
					     place, sum);
}

static int env_get_new(struct snapprot_env *env, u64 place,
		       struct snapprot_buf *buf)
{
	struct media_env *me = env_of(env);

	if (me->cached[place])
		bad("block %ju is written twice", (uintmax_t)place);
	me->cached[place] = calloc(1, sizeof(*me->cached[place]));
	me->cached[place]->holds = 1;
	memset(me->cached[place]->data, 0x5a, BLOCK);
	buf->handle = me->cached[place];
	buf->data = me->cached[place]->data;
	return 0;
}

static void env_dirty(struct snapprot_env *env, struct snapprot_buf *buf,
		      u64 sum)
{
	struct media_block *b = buf->handle;

	b->complete = true;
	b->sum = sum;
}

/* Which block is it? There are few of them. */
static u64 place_of(struct media_env *me, const struct media_block *b)
{
	u64 place;

	for (place = 0; me->cached[place] != b; place++)
		;
	return place;
}

static void env_put(struct snapprot_env *env, struct snapprot_buf *buf)
{
	struct media_env *me = env_of(env);
	struct media_block *b = buf->handle;
	u64 place;

	if (!b || --b->holds)
		return;
	place = place_of(me, b);
	if (b->complete && !b->written) {
		if (!once_in(8))
			return;
		media_write(me->media, me->start + place * BLOCK_SECTORS,
			    BLOCK_SECTORS, b->data, 0);
	}
	block_drop(me, place);
}

static void env_forget(struct snapprot_env *env, u64 place)
{
	block_drop(env_of(env), place);
}

static void env_prefetch(struct snapprot_env *env, u64 place, u32 count)
{
}

void media_env_write(struct media_env *me, const u64 *place,
		     const void *const *data, u32 count)
{
	static u8 piece[64 * BLOCK];
	u32 first = random_below(count), n, i;

	/* From any of them on, those in one that lie side by side. */
	for (i = 0; i < count; i += n) {
		u32 at = (first + i) % count;

		n = 0;
		do {
			memcpy(piece + n * BLOCK, data[at + n], BLOCK);
			n++;
		} while (n < 64 && i + n < count && at + n < count &&
			 place[at + n] == place[at] + n && !once_in(4));
		media_write(me->media, me->start + place[at] * BLOCK_SECTORS,
			    n * BLOCK_SECTORS, piece, 0);
	}
}

static int env_commit(struct snapprot_env *env)
{
	struct media_env *me = env_of(env);
	const void **data = NULL;
	u64 *list = NULL, place;
	u32 count = 0, max = 0, i;

	for (place = 0; place < me->blocks; place++) {
		if (!me->cached[place] || !me->cached[place]->complete ||
		    me->cached[place]->written)
			continue;
		i = max;
		list = grow(list, count, &i, sizeof(*list));
		data = grow(data, count, &max, sizeof(*data));
		list[count] = place;
		data[count++] = me->cached[place]->data;
	}
	if (count)
		media_env_write(me, list, data, count);
	for (i = 0; i < count; i++)
		block_written(me, list[i]);
	free(list);
	free(data);
	if (!me->slack)
		media_flush(me->media);
	return 0;
}

static int env_read(struct snapprot_env *env, u64 place, u32 count, void *data)
{
	struct media_env *me = env_of(env);

	if (place >= me->blocks || count > me->blocks - place)
		return -EIO;
	memcpy(data, env_at(me, place), (size_t)count * BLOCK);
	return 0;
}

static int env_write(struct snapprot_env *env, u64 place, const void *data)
{
	struct media_env *me = env_of(env);

	media_write(me->media, me->start + place * BLOCK_SECTORS,
		    BLOCK_SECTORS, data,
		    me->slack ? WRITES_FUA : WRITES_FLUSH | WRITES_FUA);
	return 0;
}

static void *env_alloc(struct snapprot_env *env, size_t size)
{
	return calloc(1, size);
}

static void env_free(struct snapprot_env *env, void *p)
{
	free(p);
}

static const struct snapprot_env_ops env_ops = {
	.get = env_get,
	.get_new = env_get_new,
	.dirty = env_dirty,
	.put = env_put,
	.forget = env_forget,
	.prefetch = env_prefetch,
	.commit = env_commit,
	.read = env_read,
	.write = env_write,
	.alloc = env_alloc,
	.free = env_free,
};

void media_env_init(struct media_env *me, struct media *m, u64 start,
		    u64 blocks)
{
	memset(me, 0, sizeof(*me));
	me->env.ops = &env_ops;
	me->media = m;
	me->start = start;
	me->blocks = blocks;
	me->cached = calloc(blocks, sizeof(*me->cached));
}

void media_env_drop(struct media_env *me)
{
	u64 place;

	for (place = 0; place < me->blocks; place++)
		block_drop(me, place);
}

void media_env_exit(struct media_env *me)
{
	media_env_drop(me);
	free(me->cached);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The log of dm-log-writes: a sector that describes it, and then the entries, each
 * a sector with its data behind it.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash.h"

#define LOG_MAGIC	0x6a736677736872ull
#define LOG_MARK	8u

struct log_super {
	__le64 magic;
	__le64 version;
	__le64 nr_entries;
	__le32 sector_size;
} __packed;

struct log_entry {
	__le64 sector;
	__le64 nr_sectors;
	__le64 flags;
	__le64 data_len;
} __packed;

void writes_open(struct writes *w, const char *path)
{
	const struct log_super *s;
	struct stat st;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || st.st_size < (off_t)SECTOR)
		bad("%s: %s", path, strerror(fd < 0 ? errno : ENODATA));
	w->bytes = st.st_size;
	w->map = mmap(NULL, w->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	if (w->map == MAP_FAILED)
		bad("%s: %s", path, strerror(errno));
	close(fd);
	s = (const void *)w->map;
	if (le64_to_cpu(s->magic) != LOG_MAGIC ||
	    le32_to_cpu(s->sector_size) != SECTOR)
		bad("%s: not a log of sectors of 512 bytes", path);
	w->count = le64_to_cpu(s->nr_entries);
	w->next = 0;
	w->at = SECTOR;
}

bool writes_next(struct writes *w, struct write *entry)
{
	const struct log_entry *e = (const void *)(w->map + w->at);
	size_t bytes = 0;
	u64 flags;

	if (w->next == w->count)
		return false;
	if (w->bytes - w->at < SECTOR)
		bad("the log ends at entry %ju of %ju", (uintmax_t)w->next,
		    (uintmax_t)w->count);
	flags = le64_to_cpu(e->flags);
	entry->sector = le64_to_cpu(e->sector);
	entry->sectors = le64_to_cpu(e->nr_sectors);
	entry->flags = flags;
	entry->data = NULL;
	if (flags & LOG_MARK)
		bad("the log has marks of its own");
	if (!(flags & WRITES_DISCARD)) {
		bytes = entry->sectors * SECTOR;
		entry->data = w->map + w->at + SECTOR;
	}
	w->at += SECTOR;
	if (bytes > w->bytes - w->at)
		bad("the log ends in entry %ju", (uintmax_t)w->next);
	w->at += bytes;
	w->next++;
	return true;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * setword - changes a 32-bit word in a superblock or a label
 *
 *   setword DEV BLOCK OFFSET VALUE
 *
 * BLOCK is in units of 4 KiB; OFFSET, in bytes, of a little-endian word in it. The
 * block's checksum is made right again, so that what is judged is the contents.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "../../dm-snapprot/core/core.h"

/* Both have the key of their sum in the same place. */
_Static_assert(offsetof(struct snapprot_disk_super, secret) ==
	       offsetof(struct snapprot_disk_label, secret), "secret");

static u64 block_sum(const struct snapprot_disk_super *s)
{
	siphash_key_t key;

	snapprot_key_init(&key, s->secret);
	return snapprot_block_sum(&key, s, le32_to_cpu(s->h.magic),
				  le64_to_cpu(s->h.block));
}

static int change(struct snapprot_disk_super *s, const char *where,
		  const char *what)
{
	long offset = strtol(where, NULL, 0);
	__le32 value = cpu_to_le32((u32)strtoul(what, NULL, 0));

	if (offset < (long)sizeof(s->h.magic) + (long)sizeof(s->h.zero) ||
	    offset > (long)sizeof(*s) - 4) {
		fprintf(stderr, "setword: no such offset: %s\n", where);
		return 2;
	}
	memcpy((char *)s + offset, &value, sizeof(value));
	s->h.sum = cpu_to_le64(block_sum(s));
	return 0;
}

int main(int argc, char **argv)
{
	struct snapprot_disk_super block;
	off_t at;
	int fd, code;

	if (argc != 5) {
		fprintf(stderr, "usage: setword DEV BLOCK OFFSET VALUE\n");
		return 2;
	}
	at = (off_t)strtoll(argv[2], NULL, 0) * (off_t)sizeof(block);
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0 || pread(fd, &block, sizeof(block), at) != sizeof(block)) {
		perror(argv[1]);
		return 1;
	}
	if (le64_to_cpu(block.h.sum) != block_sum(&block)) {
		fprintf(stderr, "setword: %s: block %s is not sound\n",
			argv[1], argv[2]);
		return 1;
	}
	code = change(&block, argv[3], argv[4]);
	if (code)
		return code;
	if (pwrite(fd, &block, sizeof(block), at) != sizeof(block) ||
	    fsync(fd)) {
		perror(argv[1]);
		return 1;
	}
	return close(fd) ? 1 : 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * setword - changes a 32-bit word in a metadata block of a store or label
 *
 *   setword DEV BLOCK OFFSET VALUE
 *
 * BLOCK is in units of 4 KiB; OFFSET, in bytes, of a little-endian word in it. The
 * block's checksum is made right again, so that what is judged is the contents.
 */
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/types.h>

typedef __u32 u32;

#define BLOCK_SIZE	4096
#define CRC_OFFSET	4
#define CRC_START	8
#define CRC32C_POLY	0x82f63b78u	/* reflected */

static u32 block_crc(const unsigned char *block)
{
	u32 crc = ~0u;
	int i, bit;

	for (i = CRC_START; i < BLOCK_SIZE; i++) {
		crc ^= block[i];
		for (bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? CRC32C_POLY : 0);
	}
	return crc;
}

static void put_word(unsigned char *at, u32 value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
}

int main(int argc, char **argv)
{
	unsigned char block[BLOCK_SIZE];
	u32 stored;
	long offset;
	off_t at;
	int fd;

	if (argc != 5) {
		fprintf(stderr, "usage: setword DEV BLOCK OFFSET VALUE\n");
		return 2;
	}
	at = (off_t)strtoll(argv[2], NULL, 0) * BLOCK_SIZE;
	offset = strtol(argv[3], NULL, 0);
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0 || pread(fd, block, sizeof(block), at) != BLOCK_SIZE) {
		perror(argv[1]);
		return 1;
	}
	memcpy(&stored, block + CRC_OFFSET, sizeof(stored));
	if (le32toh(stored) != block_crc(block)) {
		fprintf(stderr, "setword: %s: block %s is not sound\n",
			argv[1], argv[2]);
		return 1;
	}
	if (offset < CRC_START || offset > BLOCK_SIZE - 4) {
		fprintf(stderr, "setword: no such offset: %s\n", argv[3]);
		return 2;
	}
	put_word(block + offset, strtoul(argv[4], NULL, 0));
	put_word(block + CRC_OFFSET, block_crc(block));
	if (pwrite(fd, block, sizeof(block), at) != BLOCK_SIZE || fsync(fd)) {
		perror(argv[1]);
		return 1;
	}
	return close(fd) ? 1 : 0;
}

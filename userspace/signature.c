// SPDX-License-Identifier: GPL-2.0-only
/*
 * What others have left on a device, by libblkid; and how far it reaches.
 *
 * Newer libraries can say where a file system ends, older ones cannot: the
 * sizes of the common ones are therefore read here. What is not known is
 * reported as unknown, never guessed.
 */
#include <blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "signature.h"

/* ---- where the known ones end ------------------------------------------ */

/* Numbers in other people's formats, at any alignment. */
static u32 get_le16(const u8 *p)
{
	return p[0] | (u32)p[1] << 8;
}

static u32 get_le32(const u8 *p)
{
	return get_le16(p) | get_le16(p + 2) << 16;
}

static u64 get_le64(const u8 *p)
{
	return get_le32(p) | (u64)get_le32(p + 4) << 32;
}

static u64 get_be32(const u8 *p)
{
	return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

static u64 get_be64(const u8 *p)
{
	return get_be32(p) << 32 | get_be32(p + 4);
}

/* Readers: the first 128 KiB of the device; 0 means that it cannot be told. */

static u64 end_ext(const u8 *head)
{
	const u8 *s = head + 1024;
	u64 blocks = get_le32(s + 4);

	if (get_le32(s + 96) & 0x80)		/* 64bit */
		blocks |= (u64)get_le32(s + 0x150) << 32;
	if (get_le32(s + 24) > 6)
		return 0;
	return blocks << (10 + get_le32(s + 24));
}

static u64 end_xfs(const u8 *head)
{
	return get_be64(head + 8) * get_be32(head + 4);
}

static u64 end_btrfs(const u8 *head)
{
	/* total_bytes of the item that describes this very device */
	return get_le64(head + 65536 + 0xd1);
}

static u64 end_swap(const u8 *head)
{
	u32 page;

	for (page = 4096; page <= 65536; page *= 2)
		if (!memcmp(head + page - 10, "SWAPSPACE2", 10))
			return ((u64)get_le32(head + 1028) + 1) * page;
	return 0;
}

static u64 end_fat(const u8 *head)
{
	u64 sectors = get_le16(head + 19);

	if (!sectors)
		sectors = get_le32(head + 32);
	return sectors * get_le16(head + 11);
}

static u64 end_ntfs(const u8 *head)
{
	/* The copy of the boot sector is behind the last sector. */
	return (get_le64(head + 40) + 1) * get_le16(head + 11);
}

static u64 end_exfat(const u8 *head)
{
	return head[108] > 12 ? 0 : get_le64(head + 72) << head[108];
}

static u64 end_lvm2(const u8 *head)
{
	const u8 *label;
	u32 i, offset;

	for (i = 0; i < 4; i++) {
		label = head + i * 512;
		if (memcmp(label, "LABELONE", 8))
			continue;
		offset = get_le32(label + 20);
		/* Behind the physical volume's identifier. */
		return offset > 512 - 40 ? 0 : get_le64(label + offset + 32);
	}
	return 0;
}

#define HEAD_BYTES	(128u << 10)

static const struct {
	const char *name;
	u64 (*end)(const u8 *head);
} readers[] = {
	{ "ext2",		end_ext },
	{ "ext3",		end_ext },
	{ "ext4",		end_ext },
	{ "xfs",		end_xfs },
	{ "btrfs",		end_btrfs },
	{ "swap",		end_swap },
	{ "vfat",		end_fat },
	{ "ntfs",		end_ntfs },
	{ "exfat",		end_exfat },
	{ "LVM2_member",	end_lvm2 },
};

static int read_head(const struct device *dev, u8 *head)
{
	u64 bytes = dev->sectors << 9;

	memset(head, 0, HEAD_BYTES);
	return device_read(dev, 0, head,
			   bytes < HEAD_BYTES ? (size_t)bytes : HEAD_BYTES);
}

static void read_extent(const struct device *dev, struct signature *sig)
{
	static u8 head[HEAD_BYTES];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(readers); i++) {
		if (strcmp(readers[i].name, sig->name))
			continue;
		if (read_head(dev, head))
			return;
		sig->end = readers[i].end(head);
		if (sig->end)
			sig->extent = EXTENT_KNOWN;
		return;
	}
}

/* ---- libblkid ---------------------------------------------------------- */

static blkid_probe new_probe(int fd)
{
	blkid_probe pr = blkid_new_probe();
	int flags = BLKID_SUBLKS_TYPE | BLKID_SUBLKS_MAGIC |
		    BLKID_SUBLKS_BADCSUM;

#ifdef BLKID_SUBLKS_FSINFO
	flags |= BLKID_SUBLKS_FSINFO;
#endif
	if (!pr)
		return NULL;
	if (blkid_probe_set_device(pr, fd, 0, 0) ||
	    blkid_probe_enable_superblocks(pr, 1) ||
	    blkid_probe_set_superblocks_flags(pr, flags) ||
	    blkid_probe_enable_partitions(pr, 1) ||
	    blkid_probe_set_partitions_flags(pr, BLKID_PARTS_MAGIC)) {
		blkid_free_probe(pr);
		return NULL;
	}
	return pr;
}

static u64 lookup_number(blkid_probe pr, const char *name)
{
	const char *value;

	if (blkid_probe_lookup_value(pr, name, &value, NULL))
		return 0;
	return strtoull(value, NULL, 10);
}

static void describe(const struct device *dev, blkid_probe pr,
		     struct signature *sig)
{
	const char *value;

	memset(sig, 0, sizeof(*sig));
	if (!blkid_probe_lookup_value(pr, "TYPE", &value, NULL)) {
		snprintf(sig->name, sizeof(sig->name), "%s", value);
		sig->end = lookup_number(pr, "FSLASTBLOCK") *
			   lookup_number(pr, "FSBLOCKSIZE");
		if (sig->end)
			sig->extent = EXTENT_KNOWN;
		else
			read_extent(dev, sig);
	} else if (!blkid_probe_lookup_value(pr, "PTTYPE", &value, NULL)) {
		snprintf(sig->name, sizeof(sig->name), "%s partition table",
			 value);
	} else {
		snprintf(sig->name, sizeof(sig->name), "unknown");
	}
}

int signatures_find(const struct device *dev, struct signature *found, int max)
{
	int fd, count = 0, rc;
	blkid_probe pr;

	/* The library reads at any offset, which O_DIRECT would not take. */
	fd = open(dev->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	pr = new_probe(fd);
	if (!pr) {
		close(fd);
		return -EIO;
	}
	while ((rc = blkid_do_probe(pr)) == 0 && count < max)
		describe(dev, pr, &found[count++]);
	blkid_free_probe(pr);
	close(fd);
	return rc < 0 ? -EIO : count;
}

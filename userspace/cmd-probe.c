// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot probe - say what a device is, for udev
 *
 * Everything printed is a number, a UUID or a fixed word, so that a rule may
 * IMPORT it as it is.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "../dm-snapprot/core/state.h"
#include "identify.h"
#include "mapper.h"
#include "tool.h"

static void print_common(const char *type,
			 const struct snapprot_disk_header *h, u32 version,
			 bool supported)
{
	char uuid[37];

	snapprot_uuid_format(h->uuid, uuid);
	printf("SNAPPROT_TYPE=%s\n", type);
	printf("SNAPPROT_UUID=%s\n", uuid);
	printf("SNAPPROT_VERSION=%" PRIu32 "\n", version);
	printf("SNAPPROT_SUPPORTED=%d\n", supported);
}

static void print_store(const struct identity *id)
{
	const struct snapprot_disk_super *s = &id->super;
	u32 lost = le32_to_cpu(s->lost_epoch);

	print_common("store", &s->h, le32_to_cpu(s->version),
		     id->store == TRACE_VALID);
	/* All else may have another meaning in another version. */
	if (id->store != TRACE_VALID)
		return;
	printf("SNAPPROT_GENERATION=%" PRIu64 "\n",
	       (u64)le64_to_cpu(s->generation));
	printf("SNAPPROT_PROTECTED=%d\n",
	       !!(le32_to_cpu(s->flags) & SNAPPROT_SUPER_PROTECTED));
	printf("SNAPPROT_ORIGIN_SECTORS=%" PRIu64 "\n",
	       (u64)le64_to_cpu(s->origin_sectors));
	printf("SNAPPROT_STORE_SECTORS=%" PRIu64 "\n",
	       (u64)le64_to_cpu(s->store_blocks) * SNAPPROT_SECTORS_PER_BLOCK);
	printf("SNAPPROT_LOST=%d\n", lost != 0);
	if (lost)
		printf("SNAPPROT_LOST_FAULT=%s\n",
		       snapprot_fault_name(le32_to_cpu(s->lost_fault)));
}

static void print_label(const struct identity *id, enum label_place place)
{
	const struct snapprot_disk_label *l = &id->label_at[place];
	u32 flags = le32_to_cpu(l->flags);

	print_common("label", &l->h, le32_to_cpu(l->version),
		     id->label[place] == TRACE_VALID);
	printf("SNAPPROT_LABEL_PLACE=%s\n",
	       place == LABEL_ON_ORIGIN ? "origin" : "device");
	if (id->label[place] != TRACE_VALID)
		return;
	printf("SNAPPROT_GENERATION=%" PRIu64 "\n",
	       (u64)le64_to_cpu(l->generation));
	printf("SNAPPROT_PROTECTED=%d\n", !!(flags & SNAPPROT_LABEL_PROTECTED));
	printf("SNAPPROT_ORIGIN_SECTORS=%" PRIu64 "\n",
	       (u64)le64_to_cpu(l->origin_sectors));
	printf("SNAPPROT_SNAPSHOTS=%d\n", !!(flags & SNAPPROT_LABEL_SNAPSHOTS));
	printf("SNAPPROT_LOST=%d\n", !!(flags & SNAPPROT_LABEL_LOST));
	if (flags & SNAPPROT_LABEL_LOST)
		printf("SNAPPROT_LOST_FAULT=%s\n",
		       snapprot_fault_name(le32_to_cpu(l->lost_fault)));
}

/* Something that is no more: no rule may act on it, a person may want to. */
static int print_nothing(const struct device *dev, const struct identity *id)
{
	if (id->store == TRACE_DAMAGED)
		return complain(TOOL_WRONG, "%s: a damaged store", dev->path);
	if (id->label[LABEL_ON_DEVICE] == TRACE_DAMAGED ||
	    id->label[LABEL_ON_ORIGIN] == TRACE_DAMAGED)
		return complain(TOOL_WRONG, "%s: a damaged label", dev->path);
	return complain(TOOL_WRONG, "%s: neither a store nor a label",
			dev->path);
}

/*
 * Of a whole disk the last sectors may be those of its last partition, and the label
 * there that one's.
 */
static bool is_its_own(const struct device *dev, const struct identity *id,
		       enum label_place place)
{
	const struct snapprot_disk_label *l = &id->label_at[place];

	return place != LABEL_ON_ORIGIN || id->label[place] != TRACE_VALID ||
	       le64_to_cpu(l->origin_sectors) == label_offset(dev, place) >> 9;
}

static int probe_device(const struct device *dev)
{
	static struct identity id;
	enum label_place place;
	int err;

	err = identify(dev, &id);
	if (err)
		return complain(TOOL_FAILED, "%s: %s", dev->path,
				strerror(-err));
	if (id.store >= TRACE_NEWER) {
		print_store(&id);
		return output_end();
	}
	for (place = 0; place < LABEL_PLACES; place++) {
		if (id.label[place] >= TRACE_NEWER &&
		    is_its_own(dev, &id, place)) {
			print_label(&id, place);
			return output_end();
		}
	}
	return print_nothing(dev, &id);
}

/* ---- loaded devices ----------------------------------------------------- */

static void print_loaded(const struct mapper_dev *dev)
{
	static const char * const types[] = {
		[MAPPER_LIVE]		= "live",
		[MAPPER_STORE]		= "active-store",
		[MAPPER_VIEW]		= "view",
		[MAPPER_OVERLAY]	= "overlay",
	};

	printf("SNAPPROT_TYPE=%s\n", types[dev->kind]);
	printf("SNAPPROT_UUID=%s\n", dev->volume);
	if (dev->kind == MAPPER_LIVE)
		printf("SNAPPROT_MODE=%s\nSNAPPROT_STATE=%s\n",
		       dev->live.mode, dev->live.state);
	if (dev->kind == MAPPER_LIVE && dev->live.fault[0])
		printf("SNAPPROT_FAULT=%s\n", dev->live.fault);
	if (dev->kind == MAPPER_VIEW)
		printf("SNAPPROT_STATE=%s\n", dev->view.state);
	if (dev->kind == MAPPER_VIEW || dev->kind == MAPPER_OVERLAY)
		printf("SNAPPROT_ID=%" PRIu32 "\n", dev->id);
}

/* First character of a file of the device in sysfs, or 0. */
static char sys_char(dev_t number, const char *file)
{
	char path[96], c = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(number),
		 minor(number), file);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fread(&c, 1, 1, f) != 1)
		c = 0;
	fclose(f);
	return c;
}

/*
 * A loaded device of a volume is told without a read, which may have to wait. One of
 * somebody else's that is suspended would not answer. True if all is said.
 */
static bool probe_loaded(const char *path, int *code)
{
	const struct mapper_dev *dev;
	struct mapper_scan scan;
	struct stat st;
	char suspended;

	if (stat(path, &st) || !S_ISBLK(st.st_mode))
		return false;
	suspended = sys_char(st.st_rdev, "dm/suspended");
	if (!suspended)
		return false;
	dev = mapper_scan(&scan) ? NULL :
	      mapper_find_number(&scan, major(st.st_rdev), minor(st.st_rdev));
	if (dev) {
		print_loaded(dev);
		*code = output_end();
	} else if (suspended == '1') {
		*code = complain(TOOL_BUSY, "%s: is suspended", path);
	}
	mapper_scan_free(&scan);
	return dev || suspended == '1';
}

/* ---- the command -------------------------------------------------------- */

static int run_probe(int argc, char **argv)
{
	static const struct option options[] = {
		{ "udev",	no_argument,		NULL, 'u' },
		{ NULL,		0,			NULL, 0 }
	};
	struct device dev = DEVICE_CLOSED;
	bool udev = false;
	int opt, code;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (opt != 'u')
			return complain_option(opt, argv);
		udev = true;
	}
	if (argc - optind != 1)
		return complain_usage("one device is needed");
	if (udev && probe_loaded(argv[optind], &code))
		return code;

	code = device_open(&dev, argv[optind], 0);
	if (code)
		return code;
	code = probe_device(&dev);
	device_close(&dev);
	return code;
}

const struct command command_probe = {
	.name = "probe",
	.args = "[--udev] DEV",
	.what = "say what DEV is, as KEY=VALUE; exit 0 only for a store or label",
	.help =
	"SNAPPROT_TYPE is store or label; a label's SNAPPROT_LABEL_PLACE is origin\n"
	"(its last 1 MiB) or device (one of its own). SNAPPROT_SUPPORTED=0 means a\n"
	"format version that this tool does not know; only the UUID can be told then.\n"
	"With --udev a device that is loaded is something as well: live, view, overlay\n"
	"or active-store; nothing is read from it.\n",
	.run = run_probe,
};

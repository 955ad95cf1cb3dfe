// SPDX-License-Identifier: GPL-2.0-only
/*
 * A damaged store in a file, and the tools on it: check, dump, repair. What repair
 * makes is sound; what it keeps of a store whose damage the checksums show is
 * right; and what the core has nothing against, check has nothing against.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../userspace/env.h"
#include "../../userspace/tool.h"
#include "fuzz.h"

static char store[FUZZ_BASES][64];
static char repaired[64];
static struct fuzz_image img;

static void put(int fd, u64 block, const void *data)
{
	CHECK_EQ(pwrite(fd, data, SNAPPROT_BLOCK_SIZE,
			block * SNAPPROT_BLOCK_SIZE), SNAPPROT_BLOCK_SIZE);
}

static void make_file(void *ctx)
{
	u32 nr = *(u32 *)ctx, i;
	const struct fuzz_base *b = fuzz_base(nr);
	const char *dir = getenv("TMPDIR");
	int fd;

	snprintf(store[nr], sizeof(store[nr]), "%.30s/fuzz.%d.store%u",
		 dir ? dir : "/tmp", getpid(), nr);
	snprintf(repaired, sizeof(repaired), "%.30s/fuzz.%d.new",
		 dir ? dir : "/tmp", getpid());
	fd = open(store[nr], O_CREAT | O_TRUNC | O_RDWR, 0600);
	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, b->m->sim->blocks * SNAPPROT_BLOCK_SIZE), 0);
	for (i = 0; i < b->nr_used; i++)
		put(fd, b->used[i], sim_block(b->m->sim, b->used[i]));
	close(fd);
}

static void remove_files(void)
{
	u32 i;

	for (i = 0; i < FUZZ_BASES; i++)
		unlink(store[i]);
	unlink(repaired);
}

/* Put the damage in, or what was there before. */
static void change(bool damage)
{
	struct sim *sim = img.base->m->sim;
	u32 nr = img.base - fuzz_base(0), i;
	int fd = open(store[nr], O_RDWR);

	CHECK(fd >= 0);
	for (i = 0; i < img.nr; i++)
		put(fd, img.block[i], damage ? img.data[i] :
					       sim_block(sim, img.block[i]));
	close(fd);
}

static int tool(const struct command *cmd, char *a, char *b, char *c)
{
	int argc = 2 + !!b + !!c;
	char *argv[5];

	argv[0] = (char *)cmd->name;
	argv[1] = a;
	argv[2] = b;
	argv[3] = c;
	argv[4] = NULL;
	optind = 0;
	output_begin(cmd);
	return cmd->run(argc, argv);
}

/* What the core makes of the same store: problems, or an error. */
static int core_verdict(char *path)
{
	struct device dev = DEVICE_CLOSED;
	struct snapprot_core core;
	struct store_env se;
	int ret;

	CHECK_EQ(device_open(&dev, path, 0), 0);
	CHECK_EQ(store_env_init(&se, &dev, 0), 0);
	ret = snapprot_store_load(&core, &se.env, device_blocks(&dev));
	if (!ret) {
		ret = fuzz_check(&core);
		if (img.honest)
			fuzz_never_wrong(&img, &core);
	}
	snapprot_store_exit(&core);
	store_env_exit(&se);
	device_close(&dev);
	return ret;
}

/* Both copies of the superblock are looked at by check, and by nobody else. */
static bool supers_touched(void)
{
	u32 i;

	for (i = 0; i < img.nr; i++)
		if (img.block[i] == SNAPPROT_SUPER_BLOCK_0 ||
		    img.block[i] == SNAPPROT_SUPER_BLOCK_1)
			return true;
	return false;
}

static void run(void *ctx)
{
	char *path = store[img.base - fuzz_base(0)];
	int verdict, core, code;

	change(true);
	core = core_verdict(path);
	verdict = tool(&command_check, path, NULL, NULL);
	CHECK(verdict >= CHECK_SOUND && verdict <= CHECK_UNKNOWN);
	CHECK_EQ(tool(&command_check, "--json", path, NULL), verdict);
	if (verdict == CHECK_SOUND)
		CHECK_EQ(core, 0);
	if (!core && !supers_touched())
		CHECK_EQ(verdict, CHECK_SOUND);
	tool(&command_probe, path, NULL, NULL);
	tool(&command_dump, path, NULL, NULL);
	tool(&command_dump, "--map", path, NULL);
	code = tool(&command_dump, "--content", path, NULL);
	if (verdict == CHECK_SOUND)
		CHECK_EQ(code, TOOL_DONE);
	unlink(repaired);
	code = tool(&command_repair, path, "-o", repaired);
	/* Not all is kept where the log's end is in doubt; but it is made. */
	if (verdict == CHECK_SOUND)
		CHECK(!access(repaired, F_OK));
	if (!access(repaired, F_OK))
		CHECK_EQ(core_verdict(repaired), 0);
	else
		CHECK(code != TOOL_DONE);
	if (!access(repaired, F_OK))
		CHECK_EQ(tool(&command_check, repaired, NULL, NULL),
			 CHECK_SOUND);
	change(false);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	u32 i;

	for (i = 0; i < FUZZ_BASES; i++)
		fuzz_run(make_file, &i);
	atexit(remove_files);
	return 0;
}

int LLVMFuzzerTestOneInput(const u8 *input, size_t size)
{
	fuzz_image(&img, input, size);
	fuzz_run(run, NULL);
	return 0;
}

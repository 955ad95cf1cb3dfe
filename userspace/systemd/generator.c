// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot-generator - units for the volumes of /etc/snapprottab
 *
 * systemd runs this before anything else, and again when it reloads its units; see
 * systemd.generator(7). There is no udev then, and nothing is mounted but the root,
 * so no device is looked at: that is for the units to do.
 *
 * A volume's unit starts when its origin has come up, activates it, and has started
 * when it does not wait for its store any more. Whoever wants /dev/mapper/NAME or
 * /dev/snapprot/NAME wants the unit, and waits as long as it does.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../dm-snapprot/core/core.h"
#include "../tab.h"
#include "unitname.h"

#ifndef SNAPPROT_PATH
#define SNAPPROT_PATH	"/usr/local/sbin/snapprot"
#endif

#define PATH_LEN	1024

/**
 * struct generator - one run
 * @dir: where units go
 * @tab: path of the tab
 * @volumes: what is in it
 * @log: /dev/kmsg, which is where the journal takes it from, or standard error
 * @initrd: only what is needed before the root is mounted
 * @failed: something could not be written
 */
struct generator {
	const char *dir;
	const char *tab;
	struct tab volumes;
	FILE *log;
	bool kmsg;
	bool initrd;
	bool failed;
};

static void say(struct generator *g, const char *fmt, ...)
{
	va_list ap;

	if (g->kmsg)
		fprintf(g->log, "<3>snapprot-generator[%d]: ", (int)getpid());
	else
		fprintf(g->log, "snapprot-generator: ");
	va_start(ap, fmt);
	vfprintf(g->log, fmt, ap);
	va_end(ap);
	fputc('\n', g->log);
	/* Each write is a message. */
	fflush(g->log);
}

static void bad_line(void *ctx, unsigned int line, unsigned int column,
		     const char *what)
{
	struct generator *g = ctx;

	say(g, "%s:%u:%u: %s", g->tab, line, column, what);
}

/* ---- files ------------------------------------------------------------------ */

/* With the directory that it is in. */
static int make_path(struct generator *g, const char *dir, const char *name,
		     char *path)
{
	int n = snprintf(path, PATH_LEN, "%s/%s", g->dir, dir);

	if (n >= PATH_LEN)
		return -ENAMETOOLONG;
	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	n += snprintf(path + n, (size_t)(PATH_LEN - n), "/%s", name);
	return n >= PATH_LEN ? -ENAMETOOLONG : 0;
}

static FILE *open_unit(struct generator *g, const char *dir, const char *name)
{
	char path[PATH_LEN];
	int err = make_path(g, dir, name, path);
	FILE *f = err ? NULL : fopen(path, "wxe");

	if (!f) {
		say(g, "%s/%s: %s", dir, name, strerror(err ? -err : errno));
		g->failed = true;
		return NULL;
	}
	fprintf(f, "# Made by snapprot-generator.\n\n[Unit]\n");
	return f;
}

static void close_unit(struct generator *g, FILE *f, const char *name)
{
	bool bad = ferror(f);

	if (!fclose(f) && !bad)
		return;
	say(g, "%s: %s", name, strerror(errno));
	g->failed = true;
}

/* @by wants or requires the unit. */
static void link_unit(struct generator *g, const char *by, const char *how,
		      const char *unit)
{
	char dir[UNIT_NAME + 16], path[PATH_LEN], to[UNIT_NAME + 8];
	int err;

	snprintf(dir, sizeof(dir), "%s.%s", by, how);
	snprintf(to, sizeof(to), "../%s", unit);
	err = make_path(g, dir, unit, path);
	if (!err && symlink(to, path))
		err = -errno;
	if (!err)
		return;
	say(g, "%s/%s: %s", dir, unit, strerror(-err));
	g->failed = true;
}

/* ---- devices ---------------------------------------------------------------- */

/* The path that udev will give a device of the tab. 0 or -ENAMETOOLONG. */
static int node_of(const char *spec, char *path, size_t len)
{
	static const struct {
		const char *tag;
		const char *dir;
	} tags[] = {
		{ "PARTUUID=",	"/dev/disk/by-partuuid/" },
		{ "PARTLABEL=",	"/dev/disk/by-partlabel/" },
	};
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(tags); i++) {
		n = strlen(tags[i].tag);
		if (strncmp(spec, tags[i].tag, n))
			continue;
		spec += n;
		n = strlen(tags[i].dir);
		if (n >= len)
			return -ENAMETOOLONG;
		memcpy(path, tags[i].dir, n + 1);
		return node_encode(spec, path + n, len - n);
	}
	return (size_t)snprintf(path, len, "%s", spec) >= len ?
	       -ENAMETOOLONG : 0;
}

static int volume_unit(const struct tab_entry *e, char *unit, size_t len)
{
	int n = snprintf(unit, len, "snapprot@"), err;

	err = unit_escape(e->name, unit + n,
			  len - (size_t)n - strlen(".service"));
	if (!err)
		strcat(unit, ".service");
	return err;
}

/*
 * On top of another volume: down before that. Its device comes and goes by itself, so
 * an order by that is none when both are to stop.
 */
static int print_below(FILE *f, const struct generator *g, const char *path)
{
	char unit[UNIT_NAME + 1], node[4 * TAB_NAME_MAX + 1];
	const char *name = NULL;
	size_t i;
	int err;

	if (!strncmp(path, "/dev/mapper/", 12))
		name = path + 12;
	else if (!strncmp(path, "/dev/snapprot/", 14))
		name = path + 14;
	for (i = 0; name && i < g->volumes.count; i++) {
		err = node_encode(g->volumes.entries[i].name, node,
				  sizeof(node));
		if (err || strcmp(node, name))
			continue;
		err = volume_unit(&g->volumes.entries[i], unit, sizeof(unit));
		if (err)
			return err;
		fprintf(f, "After=%s\n", unit);
	}
	return 0;
}

/* The unit goes with a device, and starts after it. */
static int print_device(FILE *f, const struct generator *g, const char *spec)
{
	char path[PATH_LEN], unit[UNIT_NAME + 1], quoted[4 * PATH_LEN];
	int err;

	err = node_of(spec, path, sizeof(path));
	if (err)
		return err;
	if (strncmp(path, "/dev/", 5)) {
		err = unit_quote(path, quoted, sizeof(quoted));
		if (!err)
			fprintf(f, "RequiresMountsFor=\"%s\"\n", quoted);
		return err;
	}
	err = unit_of_path(path, ".device", unit, sizeof(unit));
	if (err)
		return err;
	fprintf(f, "BindsTo=%s\nAfter=%s\n", unit, unit);
	return print_below(f, g, path);
}

/* ---- a volume ----------------------------------------------------------------- */

/* The units of the live volume's device, which have to wait for the volume's. */
static void write_device(struct generator *g, const char *dir,
			 const char *node, const char *unit)
{
	char path[PATH_LEN], device[UNIT_NAME + 1], drop_in[UNIT_NAME + 16];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, node);
	if (unit_of_path(path, ".device", device, sizeof(device)))
		return;
	link_unit(g, device, "requires", unit);
	snprintf(drop_in, sizeof(drop_in), "%s.d", device);
	f = open_unit(g, drop_in, "40-snapprot.conf");
	if (!f)
		return;
	/* The volume's grace period is longer than systemd's patience. */
	fprintf(f, "JobRunningTimeoutSec=infinity\n");
	close_unit(g, f, device);
}

static void print_order(FILE *f, const struct generator *g,
			const struct tab_entry *e, const char *blockdev)
{
	fprintf(f,
		"After=systemd-udevd-kernel.socket snapprot-hold.service\n"
		"Wants=snapprot-hold.service %s\n"
		"Before=%s\n", blockdev, blockdev);
	/* Who mounts it waits in any case; with nofail nobody else does. */
	if (e->flag[TAB_NETDEV])
		fprintf(f, "Wants=network-online.target\n"
			"After=network-online.target remote-fs-pre.target\n");
	if (!e->flag[TAB_NOFAIL] && !e->flag[TAB_NOAUTO])
		fprintf(f, "Before=%s\n", e->flag[TAB_NETDEV] ?
			"remote-fs.target" : "snapprot.target");
	/* What was there before the root was mounted stays until it is not. */
	if (!e->flag[TAB_INITRD] || g->initrd)
		fprintf(f, "Conflicts=umount.target\n"
			"Before=umount.target\n");
}

static int print_unit(FILE *f, struct generator *g, const struct tab_entry *e,
		      const char *node)
{
	char path[PATH_LEN], blockdev[UNIT_NAME + 1], name[8 * TAB_NAME_MAX];
	int err;

	snprintf(path, sizeof(path), "/dev/mapper/%s", node);
	memcpy(blockdev, "blockdev@", 9);
	err = unit_of_path(path, ".target", blockdev + 9, sizeof(blockdev) - 9);
	if (!err)
		err = unit_quote(e->name, name, sizeof(name));
	if (err)
		return err;
	fprintf(f, "Description=Live volume %%I\n"
		"Documentation=man:snapprottab(5) man:snapprot(8)\n"
		"SourcePath=%s\n"
		"DefaultDependencies=no\n"
		"IgnoreOnIsolate=yes\n", g->tab);
	err = print_device(f, g, e->origin);
	if (!err && e->label)
		err = print_device(f, g, e->label);
	if (!err && e->store)
		err = print_below(f, g, e->store);
	print_order(f, g, e, blockdev);
	fprintf(f, "\n[Service]\n"
		"Type=oneshot\n"
		"RemainAfterExit=yes\n"
		"TimeoutStartSec=infinity\n"
		"ExecStart=" SNAPPROT_PATH " activate --wait -- \"%s\"\n"
		"ExecStop=" SNAPPROT_PATH " deactivate -- \"%s\"\n", name,
		name);
	return err;
}

static void write_volume(struct generator *g, const struct tab_entry *e)
{
	char unit[UNIT_NAME + 1], node[4 * TAB_NAME_MAX + 1];
	FILE *f;
	int err;

	err = volume_unit(e, unit, sizeof(unit));
	if (!err)
		err = node_encode(e->name, node, sizeof(node));
	if (err) {
		say(g, "%s:%u: this name is too long for a unit", g->tab,
		    e->line);
		return;
	}
	f = open_unit(g, ".", unit);
	if (!f)
		return;
	err = print_unit(f, g, e, node);
	close_unit(g, f, unit);
	if (err) {
		say(g, "%s:%u: the name of a device is too long for a unit",
		    g->tab, e->line);
		return;
	}
	write_device(g, "/dev/mapper", node, unit);
	write_device(g, "/dev/snapprot", node, unit);
	if (!e->flag[TAB_NOAUTO])
		link_unit(g, e->flag[TAB_NETDEV] ? "remote-fs.target" :
			  "snapprot.target",
			  e->flag[TAB_NOFAIL] || e->flag[TAB_NETDEV] ?
			  "wants" : "requires", unit);
}

/* ---- all of them ---------------------------------------------------------------- */

static void generate(struct generator *g)
{
	struct tab *tab = &g->volumes;
	size_t i;
	int err;

	err = tab_read(tab, g->tab, bad_line, g);
	if (err && err != -ENOENT) {
		say(g, "%s: %s", g->tab, strerror(-err));
		g->failed = true;
	}
	for (i = 0; i < tab->count; i++)
		if (!g->initrd || tab->entries[i].flag[TAB_INITRD])
			write_volume(g, &tab->entries[i]);
	tab_free(tab);
}

int main(int argc, char **argv)
{
	struct generator g = { .log = stderr };
	const char *initrd = getenv("SYSTEMD_IN_INITRD");

	if (argc != 2 && argc != 4) {
		fprintf(stderr, "usage: snapprot-generator DIR [EARLY LATE]\n");
		return 2;
	}
	umask(022);
	g.dir = argv[1];
	g.tab = getenv("SNAPPROTTAB");
	/* By hand it is told here; at boot nobody would see that. */
	if (!g.tab) {
		g.tab = TAB_PATH;
		g.log = fopen("/dev/kmsg", "we");
		g.kmsg = g.log;
		g.log = g.log ? g.log : stderr;
	}
	g.initrd = initrd && !strcmp(initrd, "1");
	generate(&g);
	return g.failed;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot - make, look at, check and mend what dm-snapprot keeps on disk, and
 * look after volumes that are loaded
 *
 * The subcommands are in cmd-*.c, one file each.
 */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "../dm-snapprot/core/core.h"
#include "tool.h"

static const struct command * const commands[] = {
	&command_format,
	&command_probe,
	&command_check,
	&command_dump,
	&command_repair,
	&command_list,
	&command_status,
	&command_snapshot,
	&command_delete,
	&command_protect,
	&command_normal,
	&command_clear,
	&command_activate,
	&command_deactivate,
	&command_release,
	&command_grow,
	&command_expose,
	&command_conceal,
	&command_mount,
	&command_umount,
	&command_stores,
	&command_wipe,
	&command_unprotect_store,
	&command_watch,
};

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static void print_overview(void)
{
	size_t i;

	puts("usage: snapprot COMMAND [ARGUMENT...]\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  snapprot %-15s %s\n      %s\n", commands[i]->name,
		       commands[i]->args, commands[i]->what);
	puts("  snapprot help            [COMMAND]\n"
	     "  snapprot --version\n\n"
	     "Exit codes: 0 done, 1 failed, 2 wrong usage, 4 wrong device, 5 busy;\n"
	     "of check: 0 sound, 1 damaged, 2 cannot tell.");
}

static void print_help(const struct command *cmd)
{
	printf("usage: snapprot %s %s\n\n%s\n", cmd->name, cmd->args,
	       cmd->what);
	if (cmd->help)
		printf("\n%s", cmd->help);
}

static int run_help(int argc, char **argv)
{
	const struct command *cmd;

	if (argc > 2)
		return complain_usage("help: too many arguments");
	if (argc < 2) {
		print_overview();
		return output_end();
	}
	cmd = find_command(argv[1]);
	if (!cmd)
		return complain_usage("%s: no such command", argv[1]);
	print_help(cmd);
	return output_end();
}

int main(int argc, char **argv)
{
	const struct command *cmd;

	/* For the width of names in tables; numbers stay as they are. */
	setlocale(LC_CTYPE, "");
	if (argc < 2)
		return complain_usage("a command is missing");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help"))
		return run_help(argc - 1, argv + 1);
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("snapprot %s (store format %u)\n", SNAPPROT_TOOL_VERSION,
		       SNAPPROT_FORMAT_VERSION);
		return output_end();
	}
	cmd = find_command(argv[1]);
	if (!cmd)
		return complain_usage("%s: no such command", argv[1]);
	if (argc == 3 && !strcmp(argv[2], "--help")) {
		print_help(cmd);
		return output_end();
	}
	output_begin(cmd);
	return cmd->run(argc - 1, argv + 1);
}

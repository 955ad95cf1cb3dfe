// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot unprotect-store - take the protection off an unused store
 *
 * A store of a volume that is active has its protection taken off by "snapprot
 * normal"; this is for one that is left of a volume.
 */
#include <errno.h>
#include <stdio.h>

#include "admin.h"
#include "env.h"
#include "reclaim.h"

/* By the core, as the kernel does it: both copies, each durable. */
static int write_flag(const struct device *dev)
{
	struct snapprot_core core;
	struct store_env se;
	int err;

	memset(&core, 0, sizeof(core));
	err = store_env_init(&se, dev, ENV_WRITE);
	if (!err) {
		err = snapprot_store_load(&core, &se.env, device_blocks(dev));
		if (!err)
			err = snapprot_store_update(&core, core.generation,
						    core.flags & ~SNAPPROT_SUPER_PROTECTED,
						    core.lost_epoch,
						    core.lost_fault);
		snapprot_store_exit(&core);
	}
	store_env_exit(&se);
	return err;
}

static int unprotect(struct leftover *lo, bool yes)
{
	int code, err;

	if (!lo->id.store_protected)
		return 0;
	code = admin_confirm(yes,
			     "%s: the store of volume %s will not be protected any more: it can be formatted and wiped.",
			     lo->dev.path, lo->volume);
	if (code)
		return code;
	err = write_flag(&lo->dev);
	if (!err)
		err = identify(&lo->dev, &lo->id);
	if (!err && (lo->id.store != TRACE_VALID || lo->id.store_protected))
		err = -EIO;
	if (err == -EBADMSG)
		return complain(TOOL_FAILED,
				"%s: is damaged (see snapprot check); nothing was changed",
				lo->dev.path);
	if (err)
		return complain(TOOL_FAILED, "%s: %s", lo->dev.path,
				strerror(-err));
	if (lo->label_found &&
	    le32_to_cpu(lo->label.flags) & SNAPPROT_LABEL_PROTECTED)
		printf("%s: the label on %s is still protected: activating the volume protects the store again\n",
		       lo->dev.path, lo->label_path);
	return output_end();
}

static int run_unprotect(int argc, char **argv)
{
	return leftover_run(argc, argv, unprotect);
}

const struct command command_unprotect_store = {
	.name = "unprotect-store",
	.args = "[--yes] STORE",
	.what = "take the protection off a store that is not in use",
	.help =
	"Afterwards it can be wiped or formatted. Where the volume is active, use\n"
	"\"snapprot normal\". Asks, or needs --yes.\n",
	.run = run_unprotect,
};

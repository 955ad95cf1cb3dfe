// SPDX-License-Identifier: GPL-2.0-only
/*
 * The judge, who compares what the devices have with what must be there, and the loads
 * of a volume that goes on: it does so only if the judge has found that right.
 */
#include <stdlib.h>

#include "vol-internal.h"

const char *const verdict_words[NR_VERDICTS] = {
	"right", "refused", "errors", "last group", "second", "WRONG",
	"NEEDLESS", "MISSED",
};

/* ---- the judge ---------------------------------------------------------- */

#define SAY(v, ...) snprintf((v)->why, sizeof((v)->why), __VA_ARGS__)

static bool same_snap(const struct snapprot_snap *a,
		      const struct snapprot_snap *b)
{
	return a->id == b->id && a->epoch == b->epoch && a->time == b->time &&
	       a->sectors == b->sectors && a->hold == b->hold &&
	       !memcmp(a->uuid, b->uuid, sizeof(a->uuid)) &&
	       !memcmp(a->source, b->source, sizeof(a->source)) &&
	       !strcmp(a->name, b->name);
}

/* @other: wrong, and not for want of the last group */
struct found {
	u32 errors, wrong, other;
};

/* Where old data is read. */
typedef const struct blob *(*read_fn)(void *from, u64 place);

static const struct blob *read_renv(void *from, u64 place)
{
	return renv_read(from, place);
}

static const struct blob *read_dev(void *from, u64 place)
{
	return dev_read(from, place);
}

static void judge_snap(struct vol *v, struct snapprot_core *core,
		       const struct shot *shot, read_fn read, void *from,
		       struct found *f)
{
	u32 i;

	for (i = 0; i < v->wl->origin; i++) {
		const u32 want = shot->content[i];
		struct snapprot_entry e;
		const struct blob *b;
		bool same;
		int ret;

		ret = snapprot_lookup(core, block_of(v, i), shot->s.epoch, &e);
		if (ret < 0) {
			f->errors++;
			continue;
		}
		if (!ret) {
			if (v->origin[i] == want)
				continue;
			f->other += !v->last_mark[i];
			if (!f->wrong++)
				SAY(v, "snapshot %u, block %u reads the origin",
				    shot->s.id, i);
			continue;
		}
		b = read(from, snapprot_entry_place(&e));
		if (!b) {
			f->errors++;
			continue;
		}
		same = b == v->ver[want] ||
		       !memcmp(b->data, v->ver[want]->data, BLOCK);
		if (same ? version_sum(v, core, want) == e.sum :
			   snapprot_data_sum(core, b->data) != e.sum) {
			f->errors += !same;
			continue;
		}
		if (same) {
			f->errors++;
			continue;
		}
		f->other += !v->last_mark[i];
		if (!f->wrong++)
			SAY(v, "snapshot %u, block %u, epoch %u: wrong data at %llu",
			    shot->s.id, i, e.epoch,
			    (unsigned long long)snapprot_entry_place(&e));
	}
}

static const struct shot *shot_of(const struct vol *v, u32 id)
{
	u32 i;

	for (i = 0; i < v->nr_shots; i++)
		if (v->shot[i].s.id == id)
			return &v->shot[i];
	return NULL;
}

static void judge_core(struct vol *v, struct snapprot_core *core,
		       const struct snapprot_disk_label *lab, read_fn read,
		       void *from, struct found *f)
{
	bool label_lost = le32_to_cpu(lab->flags) & SNAPPROT_LABEL_LOST;
	u32 lost = label_lost ? core->epoch : core->lost_epoch;
	bool any = false;
	u32 i;

	for (i = 0; i < v->nr_shots; i++) {
		const struct shot *shot = &v->shot[i];
		struct snapprot_snap *s = snapprot_snap_find(core, shot->s.id);

		if (!s) {
			if (v->deleting == shot->s.id)
				continue;
			f->other += v->last_record != shot->s.id;
			if (!f->wrong++)
				SAY(v, "snapshot %u is missing", shot->s.id);
			continue;
		}
		if (!same_snap(s, &shot->s) &&
		    !(v->setting.id == s->id && same_snap(s, &v->setting))) {
			f->other += v->last_record != s->id;
			if (!f->wrong++)
				SAY(v, "snapshot %u has another name or hold",
				    s->id);
		}
		if (s->epoch <= lost) {
			/* Lost: as it should be, or needlessly. */
			if (!shot_lost(v, shot) && v->losing < s->epoch)
				f->errors++;
			continue;
		}
		if (shot_lost(v, shot)) {
			f->other++;
			if (!f->wrong++)
				SAY(v, "snapshot %u is not lost any more", s->id);
			continue;
		}
		if (v->deleting != s->id && v->losing < s->epoch)
			any = true;
		judge_snap(v, core, shot, read, from, f);
	}
	for (i = 0; i < core->nr_snaps; i++) {
		const struct snapprot_snap *s = &core->snaps[i];

		if (shot_of(v, s->id))
			continue;
		if (v->creating.s.id == s->id &&
		    same_snap(s, &v->creating.s)) {
			judge_snap(v, core, &v->creating, read, from, f);
			continue;
		}
		f->other += v->last_record != s->id;
		if (!f->wrong++)
			SAY(v, "snapshot %u is back", s->id);
	}
	if (any && !label_lost &&
	    !(le32_to_cpu(lab->flags) & SNAPPROT_LABEL_SNAPSHOTS)) {
		f->other++;
		if (!f->wrong++)
			SAY(v, "the label says that there are no snapshots");
	}
	if (v->protect && !v->mode_moving &&
	    !(core->flags & SNAPPROT_SUPER_PROTECTED) &&
	    !(le32_to_cpu(lab->flags) & SNAPPROT_LABEL_PROTECTED)) {
		f->other++;
		if (!f->wrong++)
			SAY(v, "protection mode is off");
	}
}

/* What a label says of the least that has to be there; refused: an error. */
static int judge_label(struct vol *v, struct snapprot_disk_label *lab)
{
	const struct snapprot_disk_label *copy[SNAPPROT_COPIES], *best;
	u32 i;
	int err;

	for (i = 0; i < SNAPPROT_COPIES; i++) {
		const struct blob *b = renv_read(&v->rl,
						 snapprot_label_place(i));

		copy[i] = b ? (const void *)b->data : NULL;
	}
	best = snapprot_label_choose(copy, &err);
	if (!best)
		return err ? err : -ENODATA;
	memcpy(lab, best, sizeof(*lab));
	return 0;
}

static int load(struct vol *v, struct snapprot_core *core,
		struct snapprot_env *env, u64 blocks,
		const struct snapprot_disk_label *lab,
		const struct snapprot_evidence *boot)
{
	struct snapprot_evidence ev = {
		.ckpt_seq = le64_to_cpu(lab->ckpt_seq),
		.log_seq = le64_to_cpu(lab->log_seq),
		.super_seq = le64_to_cpu(lab->super_seq),
		.epoch = le32_to_cpu(lab->epoch),
	};
	u64 generation = le64_to_cpu(lab->generation);
	int err;

	env->tune = &v->tune;
	err = snapprot_store_load(core, env, blocks, boot ? boot : &ev);
	if (err)
		return err;
	if (memcmp(core->store_id, lab->store_id, sizeof(core->store_id)) ||
	    memcmp(core->uuid, lab->h.uuid, sizeof(core->uuid)))
		return -EXDEV;
	if (core->generation != generation && core->generation != generation + 1)
		return -ESTALE;
	return 0;
}

static bool in_zones(const struct snapprot_core *core, u64 place)
{
	const struct snapprot_zone *z = core->log.zone;

	return (place >= z[0].range.start && place < z[0].range.end) ||
	       (place >= z[1].range.start && place < z[1].range.end);
}

/*
 * Everything that is whole in these contents and says of a step that it counted: if
 * anything does, the step is not of the last group. Of a group that was cut off before
 * it counted, only what lies in the zones that the last step names has to be found.
 */
static u64 proof_in(struct vol *v, const struct snapprot_core *core)
{
	struct renv *r = &v->rs;
	u64 i, proof = v->proved;

	for (i = 0; i < r->blocks; i++) {
		const struct blob *b = renv_read(r, i);
		const struct snapprot_disk_super *s;
		const struct snapprot_disk_log *l;
		u64 seq = 0;

		if (!b || b == &blob_zero || b->version)
			continue;
		s = (const void *)b->data;
		l = (const void *)b->data;
		if ((i == snapprot_super_place(0) ||
		     i == snapprot_super_place(1) ||
		     i == snapprot_super_place(2) ||
		     i == snapprot_super_place(3)) &&
		    !snapprot_super_verify(s, i))
			seq = le64_to_cpu(s->fence_seq);
		else if (snapprot_log_is_ours(&core->env->key, l, i) &&
			 (le64_to_cpu(l->h.seq) <= v->boot.log_seq ||
			  in_zones(core, i)))
			seq = le64_to_cpu(l->durable_seq);
		if (seq > proof)
			proof = seq;
	}
	return proof;
}

static u64 last_of(const struct snapprot_core *core)
{
	return core->log.seq - 1;
}

enum verdict judge(struct vol *v, bool boot)
{
	struct snapprot_disk_label lab;
	struct snapprot_core core;
	struct found f = { 0 };
	enum verdict verdict;
	bool once = v->rs.kind == LIE_OLD_ONCE;
	int err;

	v->why[0] = '\0';
	memset(&core, 0, sizeof(core));
	err = 0;
	if (boot)
		memcpy(&lab, &v->lab, sizeof(lab));
	else
		err = judge_label(v, &lab);
	if (err) {
		SAY(v, "the label: %d", err);
		return REFUSED;
	}
	err = load(v, &core, &v->rs.env, v->rs.blocks, &lab,
		   boot ? &v->boot : NULL);
	if (err) {
		SAY(v, "load: %d", err);
		snapprot_store_exit(&core);
		return REFUSED;
	}
	judge_core(v, &core, &lab, read_renv, &v->rs, &f);
	verdict = f.wrong ? WRONG : f.errors ? ERRORS : RIGHT;
	if (verdict == WRONG && !boot && !f.other &&
	    last_of(&core) >= proof_in(v, &core) && last_of(&core) < v->boot.log_seq)
		verdict = LAST;
	if ((verdict == WRONG || (f.errors && verdict != LAST)) && !once) {
		err = snapprot_store_check(&core, true, NULL, NULL);
		if (!err && verdict == ERRORS &&
		    !(le32_to_cpu(lab.flags) & SNAPPROT_LABEL_LOST))
			verdict = MISSED;
		if (verdict == WRONG && !err && strlen(v->why) < 150)
			strcat(v->why, "; the check finds nothing");
	}
	snapprot_store_exit(&core);
	return verdict;
}

bool one_copy_only(const struct vol *v)
{
	u64 place = v->w.lie_block;
	u32 i;

	if (v->w.lie_dev == v->label)
		return true;
	if (v->w.lie_dev != v->store)
		return false;
	for (i = 0; i < SNAPPROT_COPIES; i++)
		if (place == snapprot_super_place(i))
			return true;
	return false;
}

/* ---- loads -------------------------------------------------------------- */

/* Whatever was on its way has happened, or has not. */
static void settle(struct vol *v)
{
	struct snapprot_core *core = &v->core;
	struct snapprot_snap *s;
	u32 i;

	if (v->creating.s.id && snapprot_snap_find(core, v->creating.s.id))
		v->shot[v->nr_shots++] = v->creating;
	else if (v->creating.s.id)
		free(v->creating.content);
	v->creating.s.id = 0;
	for (i = 0; v->deleting && i < v->nr_shots; i++)
		if (v->shot[i].s.id == v->deleting &&
		    !snapprot_snap_find(core, v->deleting)) {
			shot_remove(v, i);
			break;
		}
	v->deleting = 0;
	s = v->setting.id ? snapprot_snap_find(core, v->setting.id) : NULL;
	for (i = 0; s && i < v->nr_shots; i++)
		if (v->shot[i].s.id == s->id && same_snap(s, &v->setting))
			v->shot[i].s = v->setting;
	v->setting.id = 0;
	v->mode_moving = false;
}

int arrive(struct vol *v)
{
	struct snapprot_disk_label lab;
	struct found f = { 0 };
	u32 lost;
	u64 generation;
	int err;
	u32 i;

	/* The label of the disk is what there is. */
	{
		const struct snapprot_disk_label *copy[SNAPPROT_COPIES], *best;

		for (i = 0; i < SNAPPROT_COPIES; i++) {
			const struct blob *b =
				dev_read(v->label, snapprot_label_place(i));

			copy[i] = b ? (const void *)b->data : NULL;
			v->lab_sum[i] = b ? copy_sum(b->data) : 0;
		}
		best = snapprot_label_choose(copy, &err);
		if (!best)
			return err ? err : -ENODATA;
		memcpy(&lab, best, sizeof(lab));
	}
	err = load(v, &v->core, &v->env.env, v->store->blocks, &lab, NULL);
	v->open = true;
	if (err)
		return err;
	memcpy(&v->lab, &lab, sizeof(lab));
	if (v->w.armed) {
		/* A read may have lied to the writer only. */
		judge_core(v, &v->core, &lab, read_dev, v->store, &f);
		if (f.wrong || f.errors) {
			v->stopped = !f.wrong ? ERRORS : !f.other &&
				     last_of(&v->core) < v->boot.log_seq &&
				     last_of(&v->core) >= v->proved ? LAST : WRONG;
			return -EBADMSG;
		}
	}
	settle(v);
	generation = v->core.generation + 1;
	lost = le32_to_cpu(lab.flags) & SNAPPROT_LABEL_LOST ? v->core.epoch :
							      v->core.lost_epoch;
	v->lost_epoch = lost;
	v->losing = 0;
	/* The mode that is on anywhere is on. */
	v->protect = v->core.flags & SNAPPROT_SUPER_PROTECTED ||
		     le32_to_cpu(lab.flags) & SNAPPROT_LABEL_PROTECTED;
	err = update(v, generation, v->protect ? SNAPPROT_SUPER_PROTECTED : 0,
		     lost);
	if (err)
		return err;
	v->generation = generation;
	return label_write(v, v->protect ? SNAPPROT_LABEL_PROTECTED : 0,
			   SNAPPROT_LABEL_LOST |
			   (shots_valid(v) ? 0 : SNAPPROT_LABEL_SNAPSHOTS));
}

static void leave(struct vol *v)
{
	snapprot_store_exit(&v->core);
	wenv_drop(&v->env);
	v->open = false;
	v->phase = IDLE;
}

/* What is to be read now? A load that is not right is the end of the run. */
static bool fine(struct vol *v)
{
	renv_set(&v->rs, v->store->cur, v->store->blocks);
	renv_set(&v->rl, v->label->cur, v->label->blocks);
	v->judging = true;
	v->stopped = judge(v, false);
	v->judging = false;
	return v->stopped == RIGHT;
}

int end_cleanly(struct vol *v)
{
	int err = 0;

	if (v->phase != IDLE || once_in(v, 2))
		err = checkpoint(v);
	if (!err)
		err = second(v);
	if (!err)
		err = label_write(v, 0, 0);
	if (!err)
		err = dev_flush(v->store);
	return err;
}

int reload(struct vol *v)
{
	leave(v);
	return fine(v) ? arrive(v) : -EUCLEAN;
}

/* Is the writer killed with the power on (the device's cache lives on)? */
int crash(struct vol *v, bool power)
{
	enum cut how = below(v, NR_CUTS);

	if (power) {
		v->judging = true;	/* no events meanwhile */
		dev_crash(v->store, how);
		dev_crash(v->label, how);
		v->judging = false;
	}
	return reload(v);
}

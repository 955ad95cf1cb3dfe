/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Format 2: how a reader of the store knows that it has all there is. Two blocks of
 * the origin, one snapshot; the log with its groups, zones, search and seal; the
 * two superblocks; a checkpoint; the label and its numbers. Names are those of
 * doc/format2.rst.
 *
 * Writes to the log and to chunks are in a volatile cache until a flush. The system
 * may die at any point, at boot too, and its devices keep their caches; or the power
 * fails: each block that is not durable is then what it was or what it is to be, and
 * a superblock or a copy of the label that is being written is torn. The origin is
 * overwritten as soon as it may be, which is the worst.
 *
 * One lie a run: a write is lost, or it is kept in the cache whatever is flushed
 * (read as new, and gone when the power fails), or a copy of the store comes back.
 *
 * Promises, as assertions:
 *   right   a store that is accepted has all old data that the snapshot needs, and a
 *	     snapshot that was lost is not believed. Excused are the last group, if
 *	     the lie is about it and neither a later group, a seal, a superblock
 *	     nor the label speaks of it; and a copy that is older than the label by
 *	     no more than the label did not know yet
 *   keep    the right store is refused only for a lie about its log or chunks, or a
 *	     superblock that was kept in a cache; so never for a crash, a lost
 *	     superblock, or the label
 *
 * Checksums are not modelled but as the numbers of contents (h[], c[], DATA0 + block):
 * F1 says that a pointer finds what it was made for, or an error.
 *
 * Runs, each with the lies and bounds that it needs (all four kinds, every bound at
 * once, would be too much):
 *   RUN_LOG RUN_ZONE RUN_FENCE RUN_SUPER RUN_CKPT RUN_LABEL RUN_COPY RUN_LOST
 *
 * Mutants, the run that catches each, and what it leaves out:
 *   NO_SEARCH		RUN_LOG		zones are not searched
 *   SEARCH_ANY		RUN_LOG		any higher number is evidence
 *   DURABLE_IGNORED	RUN_LOG		old data of any step ends the log
 *   NO_SEAL		RUN_LOG		a second goes by and no seal is written
 *   OLD_STEP		RUN_LOG		a step of an earlier generation is believed
 *   LABEL_EARLY	RUN_LOG		label before the store is durable
 *   NO_CATCH_UP	RUN_LOG		a store that is one ahead moves on at once
 *   ZONE_NOT_COUNTED	RUN_ZONE	a zone is used that no counted step names
 *   NO_FENCE		RUN_FENCE	fence_seq is not looked at
 *   NO_FLUSH_BETWEEN	RUN_CKPT	both superblocks may be torn
 *   NO_REREAD		RUN_CKPT	none is read again before both are written
 *   ONE_REREAD		RUN_CKPT	only the one that is written first is
 *   NO_READ_BACK	RUN_CKPT	the first is not, before the second is written
 *   REUSE_EARLY	RUN_CKPT	blocks are reused before the second is written
 *   REUSE_BEFORE_LABEL	RUN_CKPT	or before the label knows the checkpoint
 *   LABEL_TWO_PLACES	RUN_LABEL	a write begins with a copy of the last one
 *   LABEL_NOT_AGAIN	RUN_LABEL	a label of which one copy is old is relied on
 *   NO_GENERATION	RUN_COPY	the label's generation is not compared
 *   NO_LOG_SEQ		RUN_COPY	its log_seq is not
 *   NO_NUMBERS		RUN_COPY	none of its numbers is
 *   LOST_CLEARED	RUN_LOST	the label forgets what was lost
 *
 * What can be left out without harm, in these bounds: reading the superblock again that
 * is replaced first (-DKEPT_REREAD reads only the other); the label's ckpt_seq
 * (-DNO_CKPT_SEQ), as log_seq says as much, if both are always written together;
 * and, with generations compared, a search where old data ended the log
 * (-DSEARCH_HEADER).
 */

/* What may happen in this run, and how much of it. */
#if defined(RUN_SUPER)
#define LIE_SUPER true
#define LOSE 1
#define MAXSTEP 1
#define MAXCKPT 1
#elif defined(RUN_CKPT)
#define LIE_SUPER true
#define LOSE 0
#define MAXSTEP 1
#define MAXCKPT 2
#elif defined(RUN_LABEL)
#define LIE_LABEL true
#define LOSE 1
#define MAXSTEP 1
#define MAXCKPT 1
#elif defined(RUN_COPY)
#define LIE_COPY true
#define LOSE 0
#define MAXSTEP 2
#define MAXCKPT 1
#elif defined(RUN_LOST)
#define LIE_COPY true
#define LOSE 1
#define MAXSTEP 1
#define MAXCKPT 1
#elif defined(RUN_FENCE)
#define LIE_LOG true
#define LOSE 0
#define MAXSTEP 2
#define MAXCKPT 1
#else
#define LIE_LOG true
#define LOSE 0
#define MAXSTEP 4
#define MAXCKPT 0	/* RUN_LOG, RUN_ZONE */
#endif
#ifndef LIE_LOG
#define LIE_LOG false
#endif
#ifndef LIE_SUPER
#define LIE_SUPER false
#endif
#ifndef LIE_LABEL
#define LIE_LABEL false
#endif
#ifndef LIE_COPY
#define LIE_COPY false
#endif
#define MAXBOOT 3

#ifdef NO_NUMBERS
#define NO_GENERATION
#define NO_CKPT_SEQ
#define NO_LOG_SEQ
#endif
#ifdef DURABLE_IGNORED
/* A search at the end of the log would make up for it. */
#define SEARCH_HEADER
#endif

/* Blocks of the store, from 1 on, but superblocks; SIZE of them are a zone. */
#if defined(RUN_ZONE) || defined(RUN_COPY) || defined(RUN_FENCE)
#define SIZE 2
#else
#define SIZE 3
#endif
#define P (4 * SIZE + 2)
#define ZONE(p) (((p) - 1) / SIZE)

/* Contents of a block: 0 nothing, the number of a header, old data, a chunk. */
#define MAXH 9
#define DATA0 20
#define CHUNK0 30

/* what the lie was about */
#define NONE 0
#define LOG_LIE 1
#define SUPER_LOST 2
#define SUPER_STALE 3
#define LABEL_LOST 4
#define LABEL_STALE 5
#define COPY 6

/* dur: durable_seq; z, nz: zone[]; p0, p1: where old data of the two blocks is */
typedef Hdr { byte seq, dur, prev, next, z, nz, gen, p0, p1 };
typedef Chunk { byte p0, p1 };
/* cp, ck: place and sum of the chunk; gseq: first step of the generation */
typedef Super { byte seq, gen, ckpt, cp, ck, logp, logseq, prev, fence, gseq, z, nz; bit lost };
typedef Label { byte seq, gen, ckpt, log; bit lost };

#define NS 2
#ifdef LABEL_TWO_PLACES
#define NL 2
#else
#define NL 4
#endif

/* on disk; blocks as they are read, and as they are durable */
Hdr h[MAXH + 1];
Chunk c[4]; byte nc;
Super s[NS]; Label l[NL];
byte cur[P + 1], dur[P + 1];

/*
 * The lie: a block that no flush makes durable; the copy of the store; what comes back
 * of a superblock (stale - 1) or a label (stale - 11) when the power fails.
 */
byte lied, stuck; bool copied;
byte ccur[P + 1]; Super cs[NS];
Super os; Label ol; byte stale;

/*
 * The truth, in masks of blocks: overwritten; the label spoke of it; the copy had it;
 * may be missed. Was the lie about the group being made (1), or the last one (2)?
 */
byte origin, said, had, excuse, lie_g; bool lost_t;
byte nboot;

/*
 * Memory: places of old data (e: counted, f: with the group being made), the log, the
 * superblock, what the label was told, the checkpoint in work, and the last one.
 */
byte e0, e1, f0, f1;
short used, hdrs;
byte seq, prev, nx, z, nz, zpos, counted, made; bool nz_ok, sealed, sealing;
byte gen, ckpt, cp, ck, lc, bad, gseq; bool lost;
byte lseq, l_ckpt, l_log; bool l_lost;
byte phase, k_logp, k_logseq, k_prev, k_z, k_nz, k_cp, k_ck; short k_freed;
Super n; byte sp_logp, sp_logseq, sp_prev, sp_z, sp_nz;

/* scratch */
byte i, q0, q1, qn, tz, tnz, tpos, id, best, hi, pos, q, pv, a0, a1, bseq;
bool tok, ok, refused; short tused, gc;

/* Does the label go on saying what was lost? */
#ifdef LOST_CLEARED
#define LOST_AFTER false
#else
#define LOST_AFTER lost
#endif
/* Is the other copy of the label an old one? */
#ifdef LABEL_NOT_AGAIN
#define RELY false
#else
#define RELY (l[bseq].seq != l[bseq ^ 1].seq)
#endif
/* Is the label to be written before the store moves on? */
#ifdef NO_CATCH_UP
#define CATCH_UP false
#else
#define CATCH_UP (gen == l[bseq].gen + 1 || RELY)
#endif
/* The step that the label is told of */
#ifdef LABEL_EARLY
#define TOLD (seq - 1)
#else
#define TOLD counted
#endif

#define MAY_LOG (LIE_LOG && lied == NONE)
#define MAY_SUPER (LIE_SUPER && lied == NONE)
#define MAY_LABEL (LIE_LABEL && lied == NONE)
#define MAY_COPY (LIE_COPY && lied == NONE)

#define USED(m, p) (((m) >> (p)) & 1)

#define SET(a, b) a.seq = b.seq; a.gen = b.gen; a.ckpt = b.ckpt; a.cp = b.cp; a.ck = b.ck; \
	a.logp = b.logp; a.logseq = b.logseq; a.prev = b.prev; a.fence = b.fence; a.gseq = b.gseq; a.z = b.z; \
	a.nz = b.nz; a.lost = b.lost
#define ZERO(a) a.seq = 0; a.gen = 0; a.ckpt = 0; a.cp = 0; a.ck = 0; a.logp = 0; a.logseq = 0; \
	a.prev = 0; a.fence = 0; a.gseq = 0; a.z = 0; a.nz = 0; a.lost = 0
#define ZEROL(a) a.seq = 0; a.gen = 0; a.ckpt = 0; a.log = 0; a.lost = 0
#define SETL(a, b) a.seq = b.seq; a.gen = b.gen; a.ckpt = b.ckpt; a.log = b.log; a.lost = b.lost
#define LAB(a) a.seq = lseq; a.gen = gen; a.ckpt = ckpt; a.log = l_log; a.lost = l_lost

/* Does header x say that step q counted? */
#ifdef SEARCH_ANY
#define EVIDENCE(x) (x.seq > q)
#else
#define EVIDENCE(x) (x.seq > q && x.dur >= q)
#endif
/* May header x, with number q, be a step at all? */
#ifdef OLD_STEP
#define GENOK(x) true
#else
#define GENOK(x) (q < s[best].gseq || x.gen == s[best].gen)
#endif

inline flush()
{
	d_step {
		i = 1;
		do
		:: i <= P -> if :: i != stuck -> dur[i] = cur[i] :: else fi; i++
		:: else -> break
		od;
		i = 0
	}
}

/* Write content x to block p of log and chunks; grp: 1 if of the group being made. */
inline put(p, x, grp)
{
	if
	:: d_step { cur[p] = x; if :: stuck == p -> stuck = 0 :: else fi }
	:: MAY_LOG && cur[p] != x ->
		d_step {
			lied = LOG_LIE; lie_g = grp; printf("LIE lost block %d id %d\n", p, x)
		}
	:: MAY_LOG && cur[p] != x ->
		d_step {
			lied = LOG_LIE; lie_g = grp; cur[p] = x; stuck = p;
			printf("LIE stale block %d id %d\n", p, x)
		}
	fi
}

/* Copy k of the superblock, durably, with all that was written before. */
inline put_super(k)
{
	flush();
	n.seq++;
	if
	:: d_step {
		printf("super %d: seq %d gen %d ckpt %d fence %d lost %d\n", k, n.seq, n.gen, n.ckpt, n.fence, n.lost);
		SET(s[k], n); if :: stale == k + 1 -> stale = 0; ZERO(os) :: else fi
	}
	:: d_step {
		printf("super %d torn\n", k); ZERO(s[k]);
		if :: stale == k + 1 -> stale = 0; ZERO(os) :: else fi
	}; goto power
	:: MAY_SUPER ->
		d_step {
			lied = SUPER_LOST;
			printf("LIE super %d lost: seq %d gen %d ckpt %d\n", k, n.seq, n.gen, n.ckpt);
			bad = bad | (1 << (k))
		}
	:: MAY_SUPER ->
		d_step {
			lied = SUPER_STALE;
			printf("LIE super %d stale: seq %d gen %d ckpt %d\n", k, n.seq, n.gen, n.ckpt);
			SET(os, s[k]); SET(s[k], n); stale = k + 1
		}
	fi
}

/* Place k of the label, durably. */
inline put_label(k)
{
	if
	:: d_step {
		printf("label %d: seq %d gen %d ckpt %d log %d lost %d\n", k, lseq, gen, ckpt, l_log, l_lost);
		LAB(l[k]); if :: stale == k + 11 -> stale = 0; ZEROL(ol) :: else fi
	}
	:: d_step {
		printf("label %d torn\n", k); ZEROL(l[k]);
		if :: stale == k + 11 -> stale = 0; ZEROL(ol) :: else fi
	}; goto power
	:: MAY_LABEL ->
		d_step {
			lied = LABEL_LOST;
			printf("LIE label %d lost: seq %d gen %d\n", k, lseq, gen)
		}
	:: MAY_LABEL ->
		d_step {
			lied = LABEL_STALE;
			printf("LIE label %d stale: seq %d gen %d lost %d\n", k, lseq, gen, l_lost);
			SETL(ol, l[k]); LAB(l[k]); stale = k + 11
		}
	fi
}

/* The label, with the numbers of now. Of four places two are written in turn. */
inline put_labels(x, told)
{
	d_step { l_lost = x; lseq++; l_ckpt = ckpt; l_log = told };
#ifdef LABEL_TWO_PLACES
	put_label(0);
	put_label(1)
#else
	put_label((lseq & 1) * 2);
	put_label((lseq & 1) * 2 + 1)
#endif
}

/* Mutant: both superblocks are on their way at once, and a crash may tear both. */
inline put_both()
{
	flush();
	if
	:: skip
	:: d_step { ZERO(s[0]); ZERO(s[1]) }; goto power
	fi
}

inline compose(logp_, logseq_, prev_, z_, nz_, cp_, ck_, ckpt_)
{
	d_step {
		n.gen = gen; n.ckpt = ckpt_; n.cp = cp_; n.ck = ck_;
		n.logp = logp_; n.logseq = logseq_; n.prev = prev_; n.z = z_; n.nz = nz_;
		n.fence = counted; n.gseq = gseq; n.lost = lost
	}
}

#ifdef NO_FLUSH_BETWEEN
#define BOTH put_both()
#else
#define BOTH skip
#endif
#ifdef NO_READ_BACK
#define READ_BACK skip
#else
#define READ_BACK if :: bad -> goto power :: else fi
#endif
#if defined(NO_REREAD)
#define FOUND_BAD false
#elif defined(ONE_REREAD)
#define FOUND_BAD (bad & (1 << (FIRST)))
#elif defined(KEPT_REREAD)
#define FOUND_BAD (bad & (1 << (SECOND)))
#else
#define FOUND_BAD bad
#endif
#define FIRST (1 - lc)
#define SECOND lc

#define SAID if :: copied -> said = said | origin :: else fi

/* Something durable speaks of the last group. */
inline prove()
{
	d_step { if :: lie_g == 2 -> lie_g = 0; excuse = 0 :: else fi }
}

/* What was freed is free; a merge may write there at once. */
inline reuse()
{
	used = used & (-1 - k_freed);
	if
	:: d_step {
		i = 1;
		do
		:: i <= P ->
			if
			:: USED(k_freed, i) -> cur[i] = 0; if :: stuck == i -> stuck = 0 :: else fi
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0
	}
	:: skip
	fi
}

/* The next free block of the zones. */
inline take(x)
{
	x = 0;
	i = tz * SIZE + 1;
	do
	:: i <= tz * SIZE + SIZE && i <= P ->
		if :: i > tpos && !USED(tused, i) && x == 0 -> x = i :: else fi;
		i++
	:: else -> break
	od;
	if
#ifdef ZONE_NOT_COUNTED
	:: x == 0 ->
#else
	:: x == 0 && tok ->
#endif
		tz = tnz; tpos = 0; tok = false;
		/* a new one */
		tnz = 9; i = 1;
		do
		:: i <= P ->
			if :: tnz == 9 && ZONE(i) != tz && !USED(tused, i) -> tnz = ZONE(i) :: else fi;
			i++
		:: else -> break
		od;
		i = tz * SIZE + 1;
		do
		:: i <= tz * SIZE + SIZE && i <= P ->
			if :: !USED(tused, i) && x == 0 -> x = i :: else fi;
			i++
		:: else -> break
		od;
		if :: tnz == 9 -> x = 0 :: else fi
	:: else
	fi;
	if
	:: x != 0 -> tused = tused | (1 << x); tpos = x
	:: else -> ok = false
	fi;
	i = 0
}

/* A step with the blocks of the mask m, 0: a seal, or a record */
inline step(m)
{
	d_step {
		ok = true; tz = z; tnz = nz; tpos = zpos; tok = nz_ok; tused = used;
		q0 = 0; q1 = 0;
		if :: m & 1 -> take(q0) :: else fi;
		if :: ok && (m & 2) -> take(q1) :: else fi;
		if :: ok -> take(qn) :: else fi;
		if
		:: ok ->
			/* the same bytes are the same block */
			id = 0; i = 1;
			do
			:: i <= MAXH ->
				if
				:: h[i].seq == seq && h[i].dur == counted && h[i].prev == prev &&
				   h[i].next == qn && h[i].z == tz && h[i].nz == tnz && h[i].gen == gen &&
				   h[i].p0 == q0 && h[i].p1 == q1 -> id = i
				:: else
				fi;
				i++
			:: else -> break
			od;
			if
			:: id == 0 ->
				i = 1;
				do
				:: i <= MAXH && h[i].seq != 0 -> i++
				:: else -> break
				od;
				id = i;
				assert(id <= MAXH);
				h[id].seq = seq; h[id].dur = counted; h[id].prev = prev; h[id].next = qn;
				h[id].z = tz; h[id].nz = tnz; h[id].gen = gen; h[id].p0 = q0; h[id].p1 = q1
			:: else
			fi;
			i = 0
		:: else
		fi
	}
	if
	:: ok ->
		if :: q0 != 0 -> put(q0, DATA0, 1) :: else fi;
		if :: q1 != 0 -> put(q1, DATA0 + 1, 1) :: else fi;
		put(nx, id, 1);
		d_step {
			if :: q0 != 0 -> f0 = q0 :: else fi;
			if :: q1 != 0 -> f1 = q1 :: else fi;
			sealing = (q0 == 0 && q1 == 0 && made == 0);
			hdrs = hdrs | (1 << nx);
			used = tused; z = tz; nz = tnz; zpos = tpos; nz_ok = tok;
			nx = qn; prev = id; seq++; made++;
			printf("step seq %d id %d at next %d data %d %d zones %d %d\n",
			       seq - 1, prev, nx, q0, q1, z, nz)
		}
	:: else
	fi;
	d_step {
		ok = false; tz = 0; tnz = 0; tpos = 0; tok = false; tused = 0; q0 = 0;
		q1 = 0; qn = 0; id = 0
	}
}

/* Is the header there that should be? */
inline is_next()
{
	ok = cur[pos] != 0 && cur[pos] <= MAXH;
	if
	:: ok -> ok = (h[cur[pos]].seq == q && h[cur[pos]].prev == pv && GENOK(h[cur[pos]]))
	:: else
	fi
}

/* Contents that nothing has any more are forgotten, to have fewer states. */
#define MARK(x) if :: (x) != 0 && (x) <= MAXH -> gc = gc | (1 << (x)) :: else fi
inline collect()
{
	d_step {
		gc = 0;
		i = 1;
		do
		:: i <= P -> MARK(cur[i]); MARK(dur[i]); MARK(ccur[i]); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < NS -> MARK(s[i].prev); MARK(cs[i].prev); i++
		:: else -> break
		od;
		MARK(os.prev);
		id = 0;
		do
		:: id < 3 ->
			i = 1;
			do
			:: i <= MAXH -> if :: USED(gc, i) -> MARK(h[i].prev) :: else fi; i++
			:: else -> break
			od;
			id++
		:: else -> break
		od;
		id = 0;
		i = 1;
		do
		:: i <= MAXH ->
			if
			:: !USED(gc, i) ->
				h[i].seq = 0; h[i].dur = 0; h[i].prev = 0; h[i].next = 0; h[i].z = 0; h[i].nz = 0;
				h[i].gen = 0; h[i].p0 = 0; h[i].p1 = 0
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0; gc = 0
	}
}

/* snapprot_store_load(), and what the label says of it */
inline load()
{
	d_step {
		refused = false;
		/* superblock */
		best = 0; i = 1;
		do
		:: i < NS -> if :: s[i].seq > s[best].seq -> best = i :: else fi; i++
		:: else -> break
		od;
		if :: s[best].seq == 0 -> refused = true :: else fi;
		SET(n, s[best]);
		lc = best;
		gen = n.gen; ckpt = n.ckpt; cp = n.cp; ck = n.ck;
		if
		:: cp != 0 && cur[cp] != ck -> refused = true
		:: cp != 0 && cur[cp] == ck -> e0 = c[ck - CHUNK0].p0; e1 = c[ck - CHUNK0].p1
		:: else
		fi;
		used = 0;
		if :: cp != 0 -> used = used | (1 << cp) :: else fi;
		if :: e0 != 0 -> used = used | (1 << e0) :: else fi;
		if :: e1 != 0 -> used = used | (1 << e1) :: else fi;
		/* the headers */
		pos = n.logp; q = n.logseq; pv = n.prev; z = n.z; nz = n.nz; hi = 0;
		is_next();
		do
		:: ok ->
			id = cur[pos];
			if :: h[id].dur > hi -> hi = h[id].dur :: else fi;
			pos = h[id].next; z = h[id].z; nz = h[id].nz; pv = id; q++;
			is_next()
		:: else -> break
		od;
#ifdef DURABLE_IGNORED
		hi = 0;
#endif
#if defined(SEARCH_HEADER)
		i = 1;
		do
		:: i <= P ->
			if
			:: (ZONE(i) == z || ZONE(i) == nz) && cur[i] != 0 && cur[i] <= MAXH ->
				if
				:: EVIDENCE(h[cur[i]]) -> refused = true
				:: else
				fi
			:: else
			fi;
			i++
		:: else -> break
		od;
#endif
		/* and their data */
		pos = n.logp; q = n.logseq; pv = n.prev; z = n.z; nz = n.nz; hdrs = 0;
		is_next();
		do
		:: ok ->
			id = cur[pos];
			a0 = h[id].p0; a1 = h[id].p1;
			if
			:: q > hi && ((a0 != 0 && cur[a0] != DATA0) || (a1 != 0 && cur[a1] != DATA0 + 1)) ->
				ok = false
			:: else ->
				if :: a0 != 0 -> e0 = a0; used = used | (1 << a0) :: else fi;
				if :: a1 != 0 -> e1 = a1; used = used | (1 << a1) :: else fi;
				sealed = (a0 == 0 && a1 == 0);
				used = used | (1 << pos); hdrs = hdrs | (1 << pos);
				pos = h[id].next; z = h[id].z; nz = h[id].nz; pv = id; q++;
				is_next()
			fi
		:: else -> break
		od;
#if !defined(NO_SEARCH) && !defined(SEARCH_HEADER)
		i = 1;
		do
		:: i <= P ->
			if
			:: (ZONE(i) == z || ZONE(i) == nz) && cur[i] != 0 && cur[i] <= MAXH ->
				if
				:: EVIDENCE(h[cur[i]]) -> refused = true
				:: else
				fi
			:: else
			fi;
			i++
		:: else -> break
		od;
#endif
		used = used | (1 << pos);
		nx = pos; seq = q; prev = pv; counted = q - 1; nz_ok = true;
		zpos = (ZONE(pos) == z -> pos : 0);
		f0 = e0; f1 = e1;
#ifndef NO_FENCE
		if :: counted < n.fence -> refused = true :: else fi;
#endif
#ifndef NO_GENERATION
		if :: gen != l[bseq].gen && gen != l[bseq].gen + 1 -> refused = true :: else fi;
#endif
#ifndef NO_CKPT_SEQ
		if :: ckpt < l[bseq].ckpt -> refused = true :: else fi;
#endif
#ifndef NO_LOG_SEQ
		if :: counted < l[bseq].log -> refused = true :: else fi;
#endif
		lost = l[bseq].lost || n.lost;
		sp_logp = n.logp; sp_logseq = n.logseq; sp_prev = n.prev; sp_z = n.z; sp_nz = n.nz;
		printf("loaded: super seq %d gen %d ckpt %d, log to %d, e0 %d e1 %d refused %d\n",
		       n.seq, gen, ckpt, counted, e0, e1, refused);
		id = 0; pos = 0; q = 0; pv = 0; hi = 0; a0 = 0; a1 = 0; i = 0; ok = false
	}
}

active proctype volume()
{
	d_step {
		s[0].seq = 1; s[1].seq = 2;
		s[0].gen = 1; s[0].logp = 1; s[0].logseq = 1; s[0].nz = 1;
		s[1].gen = 1; s[1].logp = 1; s[1].logseq = 1; s[1].nz = 1;
		l[NL - 2].seq = 1; l[NL - 1].seq = 1; l[NL - 2].gen = 1; l[NL - 1].gen = 1
	}
boot:
	nboot++;
	if
	:: copied && lied == COPY ->
		if
		:: d_step {
			/* the copy comes instead of the store */
			i = 1;
			do
			:: i <= P -> cur[i] = ccur[i]; dur[i] = ccur[i]; i++
			:: else -> break
			od;
			i = 0;
			do
			:: i < NS -> SET(s[i], cs[i]); i++
			:: else -> break
			od;
			i = 0;
			printf("copy given back\n");
			excuse = origin & (15 - said) & (15 - had);
			copied = false; said = 0; had = 0;
			i = 1;
			do
			:: i <= P -> ccur[i] = 0; i++
			:: else -> break
			od;
			i = 0;
			do
			:: i < NS -> ZERO(cs[i]); i++
			:: else -> break
			od;
			i = 0
		}
		:: skip
		fi
	:: else
	fi;
	/* label */
	d_step {
		bseq = 0; i = 1;
		do
		:: i < NL -> if :: l[i].seq > l[bseq].seq -> bseq = i :: else fi; i++
		:: else -> break
		od;
		i = 0;
		lseq = l[bseq].seq
	}
	assert(lseq != 0);
#if LOSE
	if
	:: !lost_t && nboot < MAXBOOT ->
		/* grace ends without the store, normal mode */
		d_step {
			gen = l[bseq].gen; ckpt = l[bseq].ckpt; counted = l[bseq].log;
			lost = true
		}
		if
		:: !l[bseq].lost || RELY ->
			put_labels(true, counted)
		:: else
		fi;
		d_step { lost_t = true; origin = 3; printf("unpreserved writes, store away\n") };
		/* shut down: the witness */
		if :: put_labels(true, counted) :: skip fi;
		goto power
	:: true
	fi;
#endif
	load();
	if
	:: refused ->
		/* keep */
		assert(lied == LOG_LIE || lied == COPY || lied == SUPER_STALE);
		goto end
	:: else
	fi;
	if
	:: lost -> skip
	:: else ->
		assert(!lost_t);
		if
		:: (origin & 1 && e0 == 0) || (origin & 2 && e1 == 0) ->
			/* right; and no further with what is excused */
			if
			:: origin & 1 && e0 == 0 -> assert(excuse & 1)
			:: else
			fi;
			if
			:: origin & 2 && e1 == 0 -> assert(excuse & 2)
			:: else
			fi;
			goto end
		:: else
		fi
	fi;
	if :: nboot >= MAXBOOT || (lost && !lost_t) -> goto end :: else fi;
	/* arrival */
	if
	:: CATCH_UP ->
		flush();
		put_labels(l[bseq].lost, counted)
	:: else
	fi;
	d_step { gen++; gseq = seq };
	compose(sp_logp, sp_logseq, sp_prev, sp_z, sp_nz, cp, ck, ckpt);
	BOTH;
	put_super(FIRST);
	READ_BACK;
	put_super(SECOND);
	d_step {
		printf("arrived gen %d\n", gen); origin = origin | (e0 != 0 -> 1 : 0) | (e1 != 0 -> 2 : 0);
		if :: lie_g == 2 -> lie_g = 0 :: else fi; excuse = 0
	}
	put_labels(LOST_AFTER, counted);
	d_step { SAID };
	bseq = 0;
again:
	do
	/* steps */
	:: made < 2 && !sealing && seq <= MAXSTEP && !lost ->
		atomic {
			if
			:: f0 == 0 -> step(1)
			:: f0 != 0 && f1 == 0 -> step(2)
			:: f0 == 0 && f1 == 0 -> step(3)
#ifndef NO_SEAL
			:: made == 0 && !sealed -> step(0)
#endif
			:: made == 1 -> step(0)		/* a record */
			:: else -> skip
			fi
		};
		goto again
	:: made > 0 ->
		atomic {
			flush();
			d_step {
				if
				:: lie_g == 2 -> lie_g = 0; excuse = 0
				:: lie_g == 1 -> lie_g = 2; excuse = (f0 != e0 -> 1 : 0) | (f1 != e1 -> 2 : 0)
				:: else
				fi;
				e0 = f0; e1 = f1;
				origin = origin | (e0 != 0 -> 1 : 0) | (e1 != 0 -> 2 : 0);
				counted = seq - 1; made = 0;
				printf("flushed, counted %d origin %d\n", counted, origin);
				sealed = sealing; sealing = false; nz_ok = true
			}
		};
		goto again
#ifdef NO_SEAL
	/* a second passes, and nobody has written the seal */
	:: made == 0 && !sealed && seq > 1 -> sealed = true; prove(); goto again
#endif
	/* the label's numbers */
	:: ckpt != l_ckpt || TOLD != l_log ->
		put_labels(LOST_AFTER, TOLD);
		prove(); SAID;
		goto again
	/* checkpoint */
	:: phase == 0 && made == 0 && ckpt < MAXCKPT && nc < 3 ->
		d_step {
			printf("freeze\n");
			k_logp = nx; k_logseq = seq; k_prev = prev; k_z = z; k_nz = nz;
			k_freed = hdrs; if :: cp != 0 -> k_freed = k_freed | (1 << cp) :: else fi;
			hdrs = 0;
			/* place of the chunk */
			k_cp = 0; i = 1;
			do
			:: i <= P -> if :: !USED(used, i) && ZONE(i) != z && ZONE(i) != nz -> k_cp = i :: else fi; i++
			:: else -> break
			od;
			k_ck = 0; i = 0;
			do
			:: i < nc -> if :: c[i].p0 == e0 && c[i].p1 == e1 -> k_ck = CHUNK0 + i :: else fi; i++
			:: else -> break
			od;
			if
			:: k_ck == 0 -> c[nc].p0 = e0; c[nc].p1 = e1; k_ck = CHUNK0 + nc; nc++
			:: else
			fi;
			i = 0;
			used = used | (1 << k_cp)
		}
		if
		:: k_cp == 0 -> goto end
		:: else
		fi;
		atomic { put(k_cp, k_ck, lie_g) };
		phase = 1;
		goto again
	:: phase == 1 ->
		if
		:: FOUND_BAD -> goto power	/* external_writer */
		:: else
		fi;
		compose(k_logp, k_logseq, k_prev, k_z, k_nz, k_cp, k_ck, ckpt + 1);
		BOTH;
		put_super(FIRST);
#ifdef REUSE_EARLY
		reuse();
#endif
		phase = 2; prove();
		goto again
	:: phase == 2 ->
		READ_BACK;
		put_super(SECOND);
		d_step { ckpt++; cp = k_cp; ck = k_ck };
#ifndef REUSE_BEFORE_LABEL
		put_labels(LOST_AFTER, counted);
		SAID;
#endif
		reuse();
		d_step {
			sp_logp = k_logp; sp_logseq = k_logseq; sp_prev = k_prev; sp_z = k_z; sp_nz = k_nz;
			phase = 0; k_freed = 0; k_logp = 0; k_logseq = 0; k_prev = 0; k_z = 0; k_nz = 0; k_cp = 0; k_ck = 0
		};
		goto again
#if LOSE
	:: phase == 0 && !lost && made == 0 ->
		lost = true;
		put_labels(true, counted);
		d_step { origin = 3; lost_t = true; printf("unpreserved writes\n") };
		if :: FOUND_BAD -> goto power :: else fi;
		compose(sp_logp, sp_logseq, sp_prev, sp_z, sp_nz, cp, ck, ckpt);
		BOTH;
		put_super(FIRST);
		READ_BACK;
		put_super(SECOND);
		put_labels(LOST_AFTER, counted);
		goto again
#endif
	:: MAY_COPY && nboot < MAXBOOT ->
		d_step {
			lied = COPY; copied = true; printf("LIE copy\n"); had = origin;
			i = 1;
			do
			:: i <= P -> ccur[i] = cur[i]; i++
			:: else -> break
			od;
			i = 0;
			do
			:: i < NS -> SET(cs[i], s[i]); i++
			:: else -> break
			od;
			i = 0
		};
		goto again
	:: goto power
	od;

power:
	atomic {
		if
		/* the power stays, and with it what is in caches */
		:: printf("RESTART\n")
		:: printf("POWER\n"); pos = 1;
			do
			:: pos <= P ->
				if
				:: cur[pos] != dur[pos] ->
					if
					:: cur[pos] = dur[pos]; if :: stuck == pos -> stuck = 0 :: else fi
					:: true -> if :: stuck == pos :: else -> dur[pos] = cur[pos] fi
					fi
				:: else
				fi;
				pos++
			:: else -> break
			od;
			pos = 0;
			if
			:: stale > 10 -> if :: d_step { SETL(l[stale - 11], ol); stale = 0; ZEROL(ol) } :: skip fi
			:: stale > 0 && stale <= 10 -> if :: d_step { SET(s[stale - 1], os); stale = 0; ZERO(os) } :: skip fi
			:: else
			fi
		fi;
		d_step {
			e0 = 0; e1 = 0; f0 = 0; f1 = 0; used = 0; seq = 0; prev = 0; nx = 0; z = 0; nz = 0;
			zpos = 0; nz_ok = false; counted = 0; made = 0; sealed = false; sealing = false;
			gen = 0; ckpt = 0; cp = 0; ck = 0; lc = 0; lost = false; bad = 0;
			lseq = 0; l_ckpt = 0; l_log = 0; l_lost = false;
			hdrs = 0; phase = 0; k_logp = 0; k_logseq = 0; k_prev = 0; k_z = 0; k_nz = 0;
			k_cp = 0; k_ck = 0; k_freed = 0; best = 0; bseq = 0; refused = false;
			n.seq = 0; n.gen = 0; n.ckpt = 0; n.cp = 0; n.ck = 0; n.logp = 0; n.logseq = 0;
			gseq = 0; n.gseq = 0; n.prev = 0; n.fence = 0; n.z = 0; n.nz = 0; n.lost = 0;
			sp_logp = 0; sp_logseq = 0; sp_prev = 0; sp_z = 0; sp_nz = 0;
			if :: lie_g == 1 -> lie_g = 0 :: else fi
		}
	};
	collect();
	d_step {
		id = 255; i = 0;
		do
		:: i < NS -> if :: s[i].seq != 0 && s[i].seq < id -> id = s[i].seq :: else fi; i++
		:: else -> break
		od;
		if :: os.seq != 0 && os.seq < id -> id = os.seq :: else fi;
		i = 0;
		do
		:: i < NS -> if :: s[i].seq != 0 -> s[i].seq = s[i].seq - id + 1 :: else fi; i++
		:: else -> break
		od;
		if :: os.seq != 0 -> os.seq = os.seq - id + 1 :: else fi;
		id = 255; i = 0;
		do
		:: i < NL -> if :: l[i].seq != 0 && l[i].seq < id -> id = l[i].seq :: else fi; i++
		:: else -> break
		od;
		if :: ol.seq != 0 && ol.seq < id -> id = ol.seq :: else fi;
		id = (id == 255 -> 255 : (id - 1) & (254));
		i = 0;
		do
		:: i < NL -> if :: l[i].seq != 0 -> l[i].seq = l[i].seq - id :: else fi; i++
		:: else -> break
		od;
		if :: ol.seq != 0 -> ol.seq = ol.seq - id :: else fi;
		id = 0; i = 0
	};
	goto boot;
end:
	skip
}

/* The handover between two hosts, for spin (spinroot.com): who may run the container, whatever fails.
 *
 * table.pml is printed from migrate/handover.c by tests/model/table.c; here is the world around it: two agents with journals, two containers, two
 * directions of one connection, and FAULTS faults, each of which may come between any two steps:
 *   - an agent is killed (what it wrote is there); a host is rebooted (its container is gone, and so may be what was not synced)
 *   - one direction of the connection loses all that is under way and passes nothing any more; each side notices its own broken connection
 *     some time later, or never before it is killed
 *   - an action fails, and the other side is told, or only finds the connection ended
 * Checked: in no state do two copies run, nor one that is older than what ran, nor is memory let go that the target lacks (assertions in `look`);
 * where nothing more can happen, both sides are settled with one running copy, or a reboot took the only one (`monitor`); and nothing can go on for ever
 * (non-progress cycles). -DLAZY: memory follows after the thaw. */
#include "table.pml"

#ifndef FAULTS
#define FAULTS 2
#endif
#ifdef LAZY
#define IS_LAZY true
#else
#define IS_LAZY false
#endif

#define NONE 0
#define FROZEN 1
#define RUNS 2
/* Frames. */
#define M_ACCEPT 1
#define M_READY 2
#define M_FILLING 3
#define M_RUNNING 4
#define M_FROZEN 5
#define M_COMMIT 6
#define M_REST 7
#define M_DONE 8
#define M_ABORT 9

byte s_state = S_OFFERED, s_disk = S_OFFERED, s_do = DO_NONE, s_box = RUNS;
byte t_state = T_OFFERED, t_disk = T_OFFERED, t_do = DO_NONE, t_box = NONE;
byte s_outcome = 255, t_outcome = 255; /* event of the action just taken */
bool s_alive = true, t_alive = true, s_told = false, t_told = false;
bool up_open = true, down_open = true;
bool dumped = false, stale = false, ran = false, lacks = IS_LAZY, excused = false;
byte faults = FAULTS;
chan up = [3] of { byte };
chan down = [3] of { byte };

/* Results of the table's lookups; every step is atomic, so they are nobody's state. */
hidden byte found, durable, next, action, event, frame;

#define connected (up_open && down_open)

inline fire_s(ev) {
	lookup(s_state, ev);
	if
	:: found -> s_state = next; s_do = action; if :: durable -> s_disk = s_state :: else fi
	:: else
	fi
}
inline fire_t(ev) {
	lookup(t_state, ev);
	if
	:: found -> t_state = next; t_do = action; if :: durable -> t_disk = t_state :: else fi
	:: else
	fi
}
inline drain(queue) {
	do
	:: queue?frame
	:: len(queue) == 0 -> break
	od
}
inline send_up(m) { if :: up_open -> up!m :: else fi }
inline send_down(m) { if :: down_open -> down!m :: else fi }
inline cut_all() { up_open = false; down_open = false; drain(up); drain(down) }
inline look() {
	assert(!(s_box == RUNS && t_box == RUNS));
	assert(!(t_box == RUNS && stale));
	assert(!(s_box == RUNS && ran));
	assert(!(lacks && t_box == RUNS && s_box == NONE && !excused));
	assert(!(lacks && t_box == RUNS && settled(t_state)))
}

inline s_serve() {
	if
	:: s_box == NONE -> fire_s(EV_MEMORY_LOST)
	:: s_box != NONE && connected -> send_up(M_REST)
	:: s_box != NONE && !connected && t_alive && t_state == T_FILLING ->
		cut_all(); up_open = true; down_open = true; s_told = false; t_told = false;
		send_up(M_REST)
	:: else -> s_do = DO_ASK_STATE
	fi
}

inline s_acts() {
	action = s_do;
	if
	:: action == DO_ASK_STATE ->
		cut_all(); t_disk = t_state; /* told only when on disk */
		answer(s_state, t_state);
		fire_s(event)
	:: else ->
		s_do = DO_NONE;
		if
		:: action == DO_PAUSE -> s_box = FROZEN; s_outcome = EV_PAUSED
		:: action == DO_DUMP -> dumped = true; send_up(M_FROZEN)
		:: action == DO_DECIDE -> fire_s(EV_COMMIT)
		:: action == DO_SEND_COMMIT -> send_up(M_COMMIT)
		:: action == DO_SERVE -> s_serve()
		:: action == DO_DELETE -> s_box = NONE; s_outcome = EV_DELETED
		:: action == DO_SEND_DONE -> send_up(M_DONE)
		:: action == DO_RESUME ->
			if :: s_box == FROZEN -> s_box = RUNS; stale = dumped :: else fi;
			s_outcome = EV_RESUMED
		:: else
		fi
	fi
}

inline t_acts() {
	action = t_do;
	if
	:: action == DO_ASK_VERDICT || action == DO_FILL ->
		s_disk = s_state;
		verdict(s_state, t_state);
		fire_t(event)
	:: else ->
		t_do = DO_NONE;
		if
		:: action == DO_PREPARE -> send_down(M_ACCEPT)
		:: action == DO_SEND_READY -> send_down(M_READY)
		:: action == DO_SEND_RUNNING && t_state == T_FILLING -> send_down(M_FILLING)
		:: action == DO_SEND_RUNNING && t_state != T_FILLING -> send_down(M_RUNNING)
		:: action == DO_DROP -> t_box = NONE; t_outcome = EV_DROPPED
		:: action == DO_THAW ->
			if :: t_box == FROZEN -> t_box = RUNS; ran = true :: else fi;
			t_outcome = (lacks -> EV_FILLS : EV_THAWED)
		:: else
		fi
	fi
}

inline s_receives() {
	down?frame;
	if
	:: frame == M_ACCEPT -> fire_s(EV_ACCEPTED)
	:: frame == M_READY -> fire_s(EV_READY)
	:: frame == M_FILLING -> fire_s(EV_FILLS)
	:: frame == M_RUNNING -> fire_s(EV_RUNS)
	:: frame == M_ABORT -> fire_s(EV_ABORTED)
	fi
}

inline t_receives() {
	up?frame;
	if
	:: frame == M_FROZEN && t_state == T_PREPARING -> t_box = FROZEN; fire_t(EV_RESTORED)
	:: frame == M_FROZEN && t_state != T_PREPARING
	:: frame == M_COMMIT -> fire_t(EV_COMMITTED)
	:: frame == M_REST -> lacks = false; fire_t(EV_FILLED)
	:: frame == M_DONE -> fire_t(EV_DONE)
	:: frame == M_ABORT -> fire_t(EV_ABORTED)
	fi
}

/* A question is asked only where its answer would change something: else it is asked again, which is no step. */
active proctype source() {
end:	do
	:: atomic { !s_alive ->
		s_alive = true; s_told = true;
		if
		:: s_box != NONE -> fire_s(EV_RESTARTED)
		:: s_box == NONE && IS_LAZY -> fire_s(EV_MEMORY_LOST)
		:: else -> fire_s(EV_REBOOTED)
		fi; look() }
	:: atomic { s_alive && s_outcome != 255 -> event = s_outcome; s_outcome = 255; fire_s(event); look() }
	:: atomic { s_alive && s_outcome == 255 && s_do != DO_NONE && s_do != DO_ASK_STATE -> s_acts(); look() }
	:: atomic { s_alive && s_outcome == 255 && s_do == DO_ASK_STATE && t_alive && ANSWERS(s_state, t_state) -> s_acts(); look() }
	:: atomic { s_alive && s_outcome == 255 && (s_do == DO_NONE) && len(down) > 0 -> s_receives(); look() }
	:: atomic { s_alive && s_outcome == 255 && s_do == DO_NONE && len(down) == 0 && !connected && !s_told -> s_told = true; fire_s(EV_LOST); look() }
	od
}

active proctype target() {
end:	do
	:: atomic { !t_alive ->
		t_alive = true; t_told = true;
		if :: t_box != NONE -> fire_t(EV_RESTARTED) :: else -> fire_t(EV_REBOOTED) fi; look() }
	:: atomic { t_alive && t_outcome != 255 -> event = t_outcome; t_outcome = 255; fire_t(event); look() }
	:: atomic { t_alive && t_outcome == 255 && t_do == DO_FILL && connected -> t_do = DO_NONE }
	:: atomic { t_alive && t_outcome == 255 && t_do != DO_NONE && t_do != DO_ASK_VERDICT && t_do != DO_FILL -> t_acts(); look() }
	:: atomic { t_alive && t_outcome == 255 && (t_do == DO_ASK_VERDICT || (t_do == DO_FILL && !connected)) && s_alive && VERDICTS(s_state, t_state) ->
		t_acts(); look() }
	:: atomic { t_alive && t_outcome == 255 && t_do == DO_NONE && len(up) > 0 -> t_receives(); look() }
	:: atomic { t_alive && t_outcome == 255 && t_do == DO_NONE && len(up) == 0 && !connected && !t_told -> t_told = true; fire_t(EV_LOST); look() }
	:: atomic { t_alive && t_outcome == 255 && t_do == DO_NONE && len(up) == 0 && !connected && t_told && t_state == T_FILLING -> fire_t(EV_UNDECIDED) }
	:: atomic { t_alive && t_outcome == 255 && t_do == DO_NONE && t_state == T_OFFERED && len(up) == 0 -> fire_t(EV_CHECKED); look() }
	od
}

/* Another copy that can still run when this one is lost. */
#define target_has_it ((t_box == RUNS && !lacks) || (t_box == FROZEN && !stale && !IS_LAZY && s_state != S_ABORTING && t_state != T_DROPPING))
#define source_has_it (s_box != NONE && t_state < T_THAWING)

inline kill_s() { cut_all(); s_alive = false; s_do = DO_NONE; s_outcome = 255 }
inline kill_t() { cut_all(); t_alive = false; t_do = DO_NONE; t_outcome = 255 }

active proctype adversary() {
end:	do
	:: atomic { faults > 0 -> faults = 0 } /* enough */
	:: atomic { faults > 0 && up_open -> faults--; up_open = false; drain(up) }
	:: atomic { faults > 0 && down_open -> faults--; down_open = false; drain(down) }
	:: atomic { faults > 0 && s_alive -> faults--; kill_s() }
	:: atomic { faults > 0 && t_alive -> faults--; kill_t() }
	:: atomic { faults > 0 && s_alive ->
		faults--;
		if :: s_box != NONE && !target_has_it -> excused = true :: else fi;
		kill_s(); s_box = NONE;
		if :: s_state = s_disk :: true fi;
		look() }
	:: atomic { faults > 0 && t_alive ->
		faults--;
		if :: t_box != NONE && !source_has_it -> excused = true :: else fi;
		kill_t(); t_box = NONE;
		if :: t_state = t_disk :: true fi;
		look() }
	:: atomic { faults > 0 && s_alive && s_outcome == 255 && s_state != S_OFFERED ->
		faults--; lookup(s_state, EV_FAILED);
		if
		:: found -> fire_s(EV_FAILED); if :: s_state == S_ABORTING && len(up) < 2 -> send_up(M_ABORT) :: cut_all() fi; look()
		:: else
		fi }
	:: atomic { faults > 0 && t_alive && t_outcome == 255 && t_state != T_IN_DOUBT && t_box != RUNS ->
		faults--; lookup(t_state, EV_FAILED);
		if
		:: found ->
			if :: t_box == FROZEN && s_box == NONE -> excused = true :: else fi;
			fire_t(EV_FAILED); if :: t_state == T_DROPPING && len(down) < 2 -> send_down(M_ABORT) :: cut_all() fi; look()
		:: else
		fi }
	od
}

/* Where nothing can happen any more. */
active proctype monitor() {
end:	timeout ->
	assert(faults == 0);
	if
	:: s_state == S_GONE && t_state == T_STRANDED -> assert(excused && lacks && t_box == RUNS) /* an operator has to decide */
	:: else ->
		assert(settled(s_state) && settled(t_state));
		assert(s_box != FROZEN && t_box != FROZEN);
		assert(s_box == RUNS || t_box == RUNS || excused)
	fi
}

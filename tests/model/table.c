/* Prints the handover's table (migrate/handover.c) as Promela, for tests/model/handover.pml: constants for states, events and actions, and what the
 * functions over them say for every state. So the model and the program cannot differ. */
#include <ctype.h>
#include <stdio.h>
#include "migrate/handover.h"

static void upper(const char *prefix, const char *name)
{
	printf("%s_", prefix);
	for (; *name; name++)
		putchar(toupper((unsigned char)*name));
}

static const char *side_of(enum handover_state s)
{
	return handover_side_of(s) == HANDOVER_SOURCE ? "S" : "T";
}

static void print_constants(void)
{
	for (int s = 0; s < HANDOVER_STATE_COUNT; s++) {
		printf("#define ");
		upper(side_of(s), handover_state_name(s));
		printf(" %d\n", s);
	}
	for (int ev = 0; ev < HANDOVER_EVENT_COUNT; ev++) {
		printf("#define ");
		upper("EV", handover_event_name(ev));
		printf(" %d\n", ev);
	}
	for (int a = 0; a < HANDOVER_ACTION_COUNT; a++) {
		printf("#define ");
		upper("DO", handover_action_name(a));
		printf(" %d\n", a);
	}
}

/* A column of the rules as an array over states and events. 255: there is no rule. */
static void print_column(const char *name, int (*of)(const struct handover_rule *r))
{
	printf("hidden byte %s_of[%d] = {\n", name, HANDOVER_STATE_COUNT * HANDOVER_EVENT_COUNT);
	for (int s = 0; s < HANDOVER_STATE_COUNT; s++)
		for (int ev = 0; ev < HANDOVER_EVENT_COUNT; ev++) {
			const struct handover_rule *r = handover_next((enum handover_state)s, (enum handover_event)ev);
			printf("%s%d /* %s %d %d */\n", s + ev ? "," : "", r ? of(r) : 255, name, s, ev);
		}
	printf("}\n");
}

static int next_of(const struct handover_rule *r)
{
	return (int)r->next;
}

static int action_of(const struct handover_rule *r)
{
	return (int)r->action;
}

static int durable_of(const struct handover_rule *r)
{
	return r->order == ORDER_SYNC;
}

/* lookup(s, ev): found, and then next, action, durable. */
static void print_rules(void)
{
	print_column("next", next_of);
	print_column("action", action_of);
	print_column("durable", durable_of);
	printf("#define AT(s, ev) ((s) * %d + (ev))\n", HANDOVER_EVENT_COUNT);
	printf("inline lookup(s, ev) {\n\tnext = next_of[AT(s, ev)]; action = action_of[AT(s, ev)]; durable = durable_of[AT(s, ev)];\n"
	       "\tfound = (next != 255)\n}\n");
}

/* What a target makes of the verdict of a source in state s. */
static bool hears_verdict(enum handover_state s, enum handover_state t, enum handover_event *ev)
{
	return handover_verdict_event(handover_verdict_in(s), t, ev) && handover_next(t, *ev);
}

/* What a source makes of the answer of a target in state t. */
static bool hears_answer(enum handover_state s, enum handover_state t, enum handover_event *ev)
{
	return handover_answer_event(handover_answer_in(t), ev) && handover_next(s, *ev);
}

/* NAME(s, t): whether hearing means something; name(s, t): sets event to it. */
static void print_hearing(const char *macro, const char *name, bool (*hears)(enum handover_state, enum handover_state, enum handover_event *))
{
	enum handover_event ev;
	printf("#define %s(s, t) (false", macro);
	for (int s = 0; s <= SOURCE_ABORTED; s++)
		for (int t = SOURCE_ABORTED + 1; t < HANDOVER_STATE_COUNT; t++)
			if (hears(s, t, &ev))
				printf(" || (s == %d && t == %d)", s, t);
	printf(")\ninline %s(s, t) {\n\tif\n", name);
	for (int s = 0; s <= SOURCE_ABORTED; s++)
		for (int t = SOURCE_ABORTED + 1; t < HANDOVER_STATE_COUNT; t++)
			if (hears(s, t, &ev))
				printf("\t:: s == %d && t == %d -> event = %d\n", s, t, (int)ev);
	printf("\tfi\n}\n");
}

static void print_settled(void)
{
	printf("#define settled(s) (false");
	for (int s = 0; s < HANDOVER_STATE_COUNT; s++)
		if (handover_is_settled(s))
			printf(" || s == %d", s);
	printf(")\n");
}

int main(void)
{
	print_constants();
	print_rules();
	print_hearing("VERDICTS", "verdict", hears_verdict);
	print_hearing("ANSWERS", "answer", hears_answer);
	print_settled();
	return 0;
}

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

/* lookup(s, ev): found, and then next, action, durable. */
static void print_rules(void)
{
	size_t n;
	const struct handover_rule *r = handover_rules(&n);
	printf("inline lookup(s, ev) {\n\tfound = true;\n\tif\n");
	for (size_t i = 0; i < n; i++)
		printf("\t:: s == %d && ev == %d -> next = %d; action = %d; durable = %d\n", (int)r[i].state, (int)r[i].event, (int)r[i].next,
		       (int)r[i].action, r[i].order == ORDER_SYNC);
	printf("\t:: else -> found = false\n\tfi\n}\n");
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

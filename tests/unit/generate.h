/* Random messages of any type from a seed, with all that a descriptor allows: absent and zero, extremes, alternatives, maps, recursion. */
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "proto/json_codec.h"
#include "proto/pb.h"

/* splitmix64: the same messages on every machine. */
static uint64_t generate_number(uint64_t *seed)
{
	uint64_t z = (*seed += 0x9e3779b97f4a7c15ULL);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static char *generate_string(uint64_t *seed)
{
	static const char *const pieces[] = { "a", "Z9", "\"", "\\", "\n\t", "\x01\x7f", "ä", "€", "𝄞", "/", "{}", "[,:", " " };
	struct buf b = { 0 };
	buf_puts(&b, "", NULL);
	for (uint64_t n = generate_number(seed) % 5; n > 0; n--)
		buf_puts(&b, pieces[generate_number(seed) % ARRAY_LEN(pieces)], NULL);
	return b.data;
}

/* Often an edge of the type's range. */
static uint64_t generate_edge(uint64_t *seed)
{
	static const uint64_t edges[] = { 0, 1, INT32_MAX, (uint64_t)INT32_MIN, UINT32_MAX, INT64_MAX, (uint64_t)INT64_MIN, UINT64_MAX };
	uint64_t n = generate_number(seed);
	return n % 2 ? n : edges[(n >> 8) % ARRAY_LEN(edges)];
}

static ProtobufCMessage *generate_message(const ProtobufCMessageDescriptor *d, uint64_t *seed, int depth);

static void generate_value(const ProtobufCFieldDescriptor *f, uint64_t *seed, int depth, void *place)
{
	uint64_t n = generate_edge(seed);
	if (f->type == PROTOBUF_C_TYPE_STRING) {
		*(char **)place = generate_string(seed);
	} else if (f->type == PROTOBUF_C_TYPE_BYTES) {
		ProtobufCBinaryData *b = place;
		b->len = n % 40;
		b->data = malloc(40);
		memset(b->data, (int)(n >> 8), 40);
	} else if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		*(ProtobufCMessage **)place = generate_message(f->descriptor, seed, depth + 1);
	} else if (f->type == PROTOBUF_C_TYPE_BOOL) {
		*(protobuf_c_boolean *)place = n & 1;
	} else if (f->type == PROTOBUF_C_TYPE_ENUM) {
		const ProtobufCEnumDescriptor *d = f->descriptor;
		*(int *)place = d->values[n % d->n_values].value;
	} else {
		memcpy(place, &n, json_element_size(f)); /* little-endian: the low half of a 32-bit field */
	}
}

static void generate_repeated(const ProtobufCFieldDescriptor *f, uint64_t *seed, int depth, ProtobufCMessage *m)
{
	size_t n = generate_number(seed) % 4, size = json_element_size(f);
	char *array = n ? calloc(n, size) : NULL;
	for (size_t i = 0; i < n; i++) {
		generate_value(f, seed, depth, array + i * size);
		if (!json_is_map(f))
			continue;
		/* The keys of a map differ. */
		ProtobufCMessage *entry = ((ProtobufCMessage **)(void *)array)[i];
		char **key = (char **)((char *)entry + entry->descriptor->fields[0].offset), number[24];
		snprintf(number, sizeof(number), "%zu", i);
		struct buf b = { 0 };
		buf_printf(&b, NULL, "%s%s", number, *key);
		free(*key);
		*key = b.data;
	}
	*(size_t *)((char *)m + f->quantifier_offset) = n;
	memcpy((char *)m + f->offset, &array, sizeof(array));
}

static void generate_field(const ProtobufCFieldDescriptor *f, uint64_t *seed, int depth, ProtobufCMessage *m)
{
	char *quantifier = (char *)m + f->quantifier_offset;
	bool wanted = f->label == PROTOBUF_C_LABEL_REQUIRED || (generate_number(seed) % 3 != 0 && depth < 4);
	if (!wanted)
		return;
	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		generate_repeated(f, seed, depth, m);
		return;
	}
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		if (*(uint32_t *)quantifier != 0 || generate_number(seed) % 4 != 0)
			return;
		*(uint32_t *)quantifier = f->id;
	} else if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type != PROTOBUF_C_TYPE_STRING && f->type != PROTOBUF_C_TYPE_MESSAGE) {
		*(protobuf_c_boolean *)quantifier = 1;
	}
	generate_value(f, seed, depth, (char *)m + f->offset);
}

/* Owned. depth 0 at the call. */
static ProtobufCMessage *generate_message(const ProtobufCMessageDescriptor *d, uint64_t *seed, int depth)
{
	ProtobufCMessage *m = pb_new(d, NULL);
	for (unsigned i = 0; i < d->n_fields; i++)
		generate_field(&d->fields[i], seed, depth, m);
	return m;
}
